"""Our tasks for the runner of vla-eval: `vla-eval run --no-docker` with a benchmark folder or sampled episodes.

Source: sheet molmospaces section 23: methods of a StepBenchmark, payload convention, MolmoSpaces adapter.
Differs from that adapter: state and action are those of the episode's robot, whichever it is; chunks are executed
whole; success at the end and at any step are both told.

    benchmarks:
      - benchmark: "zoo.envs.serving.vla_eval_benchmark:ZooBenchmark"
        params: {benchmark: mini}            # or: {sampled: pick, count: 20, seed: 3}

Every episode is a task of its own. `tasks: [pick]` in the file keeps the episodes of one of ours.
"""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo.envs.serving.payloads import actions_of, to_frame
from zoo.errors import ConfigError
from zoo.libraries import optional

try:
    from vla_eval.benchmarks.base import StepBenchmark, StepResult
    from vla_eval.recording import NullEpisodeRecorder
    from vla_eval.specs import IMAGE_RGB, LANGUAGE, DimSpec
except ImportError:  # the constructor says what to install; without it this module can still be looked at
    StepBenchmark = object

if TYPE_CHECKING:
    from zoo.envs.episodes.schema import Episode
    from zoo.envs.simulation.environment import EpisodeEnv

NAME_CHARACTERS = 60
"""Of the instruction in a task's name, as the MolmoSpaces adapter has it."""
ACTION_FORMATS = {
    "joint_position": "joint_pos_abs",
    "joint_rel_position": "joint_pos_rel",
    "holo_joint_planar_position": "base_pose_abs",
    "holo_joint_rel_planar_position": "base_pose_rel",
    "height": "height_abs",
}
"""Names of conventions by our modes; `joint_pos_abs` is the MolmoSpaces adapter's."""


class ZooBenchmark(StepBenchmark):
    """Episodes of a benchmark, or drawn ones, one after the other.

    Args:
        benchmark: Bundled name, or a folder.
        sampled: Task to draw episodes of instead.
        count: How many are drawn.
        split: Of the houses of drawn episodes.
        seed: Of the draws.
        cameras: Whose pictures are sent, all by default; a mapping gives each its name on the wire.
        image_size: Width and height of pictures, pixels; None takes each episode's.
        horizon_steps: Policy steps after which an episode is cut off; None: what it or its task says.
        end_on_success: End an episode as soon as its task is done.
        send_state: Send the joint positions.

    Raises:
        MissingLibraryError: vla-eval is not installed.
        ConfigError: neither benchmark nor task, or both, or a number out of its range.
    """

    render_backends: ClassVar[frozenset[str]] = frozenset({"gpu", "cpu"})
    _ALL_RECORD_FIELDS: ClassVar[frozenset[str]] = frozenset({"reward", "done", "success"})

    def __init__(
        self,
        *,
        benchmark: str | None = None,
        sampled: str | None = None,
        count: int = 20,
        split: str = "val",
        seed: int = 0,
        cameras: Sequence[str] | Mapping[str, str] | None = None,
        image_size: Sequence[int] | None = None,
        horizon_steps: int | None = None,
        end_on_success: bool = False,
        send_state: bool = True,
    ) -> None:
        optional("vla_eval.benchmarks.base", extra="vla-eval", purpose="run our tasks in its harness")
        super().__init__()
        if (benchmark is None) == (sampled is None):
            raise ConfigError(
                "params of ZooBenchmark want one of benchmark and sampled, such as {benchmark: mini} or {sampled: pick}"
            )
        if horizon_steps is not None and horizon_steps < 1:
            raise ConfigError(f"horizon_steps is {horizon_steps}, expected 1 or more")
        if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
            raise ConfigError(f"image_size is {list(image_size)}, expected width and height, as [224, 224]")
        self.horizon_steps, self.end_on_success, self.send_state = horizon_steps, end_on_success, send_state
        self.image_size = None if image_size is None else (int(image_size[0]), int(image_size[1]))
        self._episodes = _loaded(benchmark) if benchmark is not None else _drawn(sampled, count, split, seed)
        self._cameras = _by_wire_name(cameras, self._episodes[0])
        self._envs: dict[str, EpisodeEnv] = {}
        self._env: EpisodeEnv | None = None
        self._recorder = NullEpisodeRecorder()

    @classmethod
    def configure_render(cls, mode: str) -> dict[str, str]:
        """Set the GL library, before the simulator is imported; on the CPU that is Mesa's, by EGL without OSMesa."""
        if mode != "cpu":
            return {}
        library = "osmesa" if ctypes.util.find_library("OSMesa") else "egl"
        chosen = {"MUJOCO_GL": library, "PYOPENGL_PLATFORM": library, "LIBGL_ALWAYS_SOFTWARE": "1"}
        os.environ.update(chosen)
        return chosen

    def get_tasks(self) -> list[dict[str, Any]]:
        """One for each episode."""
        tasks = []
        for index, episode in enumerate(self._episodes):
            name = episode.task.name or episode.task.task_cls
            instruction = episode.language.task_description
            words = instruction[:NAME_CHARACTERS].replace("/", "_")
            tasks.append(
                {
                    "name": f"{name}_{index:04d}_{words}",
                    "suite": name,
                    "episode_index": index,
                    "task": name,
                    "instruction": instruction,
                    "key": episode.key,
                }
            )
        return tasks

    def reset(self, task: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Set the task's episode up."""
        from zoo.envs.evaluation.rollout import RolloutSettings

        episode = self._episodes[task["episode_index"]]
        env = self._env = self._env_for(episode)
        observation, _ = env.reset(options={"episode": episode})
        settings = RolloutSettings(horizon_steps=self.horizon_steps)
        env.horizon_steps = settings.steps_of(episode, env.simulation.clocks.policy_dt)
        self._film(observation)
        return observation

    def step(self, action: Mapping[str, Any]) -> StepResult:
        """Execute one action, or all of a chunk; an empty one ends the episode, since the policy is done."""
        env = self._env
        actions = actions_of(action)
        if not len(actions):
            return StepResult(obs=None, reward=0.0, done=True, info=env.outcome())
        for row in actions:
            observation, reward, terminated, truncated, info = env.step(row)
            is_done = terminated or truncated
            self._film(observation)
            self._recorder.record_step(reward=reward, done=is_done, success=info["success"])
            if is_done:
                break
        return StepResult(obs=observation, reward=reward, done=is_done, info=info)

    def make_obs(self, raw_obs: Mapping[str, np.ndarray], task: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of an observation."""
        episode_camera = {own: wire for wire, own in self._cameras.items()}
        named = {episode_camera.get(name, name): value for name, value in raw_obs.items()}
        if not self.send_state:
            del named["state"]
        return to_frame(named, task["instruction"])

    def get_step_result(self, step_result: StepResult) -> dict[str, Any]:
        """How the episode stands at its end."""
        outcome = self._env.outcome()
        return {
            "success": outcome["success_at_end"],
            "success_oracle": outcome["success_oracle"],
            "policy_steps": self._env.steps,
        }

    def get_metric_keys(self) -> dict[str, str]:
        """Both shares of successes, and the mean of steps."""
        return {"success": "mean", "success_oracle": "mean", "policy_steps": "mean"}

    def get_metadata(self) -> dict[str, Any]:
        """The longest episode's steps, and what tells these episodes from others."""
        from zoo.envs.episodes.schema import content_hash
        from zoo.envs.evaluation.rollout import RolloutSettings

        settings = RolloutSettings(horizon_steps=self.horizon_steps)
        steps = [settings.steps_of(one, self._env_for(one).robot.clocks.policy_dt) for one in self._episodes]
        return {"max_steps": max(steps), "digest": content_hash([one.to_json() for one in self._episodes])}

    def get_action_spec(self) -> dict[str, DimSpec]:
        """Commands of the first episode's robot, by move group in their order."""
        robot = self._env_for(self._episodes[0]).robot
        spec = {}
        for group in robot.groups:
            lower, upper = group.bounds()
            form = "gripper_open_0_closed_255" if group.kind == "gripper" else ACTION_FORMATS[group.mode()]
            spec[group.name] = DimSpec(group.name, len(lower), form, (float(lower.min()), float(upper.max())))
        return spec

    def get_observation_spec(self) -> dict[str, DimSpec]:
        """What is sent of the first episode's robot."""
        spec = dict.fromkeys(self._cameras, IMAGE_RGB) | {"language": LANGUAGE}
        if self.send_state:
            (joints,) = self._env_for(self._episodes[0]).observation_space["state"].shape
            spec["state"] = DimSpec("state", joints, "joint_positions")
        return spec

    def get_hold_action(self, last_action: Mapping[str, Any] | None) -> dict[str, Any]:
        """The command that leaves every target where it is, whatever the groups' modes."""
        env = self._env
        if env is None:  # asked before the first episode, whether there is such a thing
            (size,) = self._env_for(self._episodes[0]).action_space.shape
            return {"actions": np.zeros(size, np.float32)}
        return {"actions": env.joined({})}

    def render(self) -> np.ndarray | None:
        """(height, width, 3) uint8 of the first camera that is sent."""
        camera = next(iter(self._cameras.values()), None)
        return None if self._env is None or camera is None else self._env.picture(camera)

    def cleanup(self) -> None:
        """Free the GL contexts."""
        for env in self._envs.values():
            env.close()
        self._envs, self._env = {}, None

    def _film(self, observation: Mapping[str, np.ndarray]) -> None:
        self._recorder.record_video(observation.get(next(iter(self._cameras.values()), "")))

    def _env_for(self, episode: Episode) -> EpisodeEnv:
        """The environment of an episode's robot and picture size, made at first use."""
        from zoo.envs.simulation.environment import EpisodeEnv

        size = self.image_size or episode.img_resolution
        key = f"{episode.robot.robot_name} {size}"
        if key not in self._envs:
            self._envs[key] = EpisodeEnv(
                robot=episode.robot.robot_name,
                cameras=tuple(self._cameras.values()),
                image_size=size,
                end_on_success=self.end_on_success,
            )
        return self._envs[key]


def _loaded(name: str) -> tuple[Episode, ...]:
    from zoo.envs.episodes.benchmark import Benchmark, find_benchmark
    from zoo.envs.evaluation.runs import installed_assets

    benchmark = Benchmark.load(find_benchmark(name))
    benchmark.check_assets(installed_assets(benchmark.metadata.asset_digests))
    return benchmark.episodes


def _drawn(task: str, count: int, split: str, seed: int) -> tuple[Episode, ...]:
    from zoo.envs.sampling.sampler import sample_episodes

    return tuple(sample_episodes(task, split=split, count=count, seed=seed))


def _by_wire_name(cameras: Sequence[str] | Mapping[str, str] | None, episode: Episode) -> dict[str, str]:
    """Names of cameras in episodes by their names on the wire."""
    if cameras is None:
        return {camera.name: camera.name for camera in episode.cameras}
    return dict(cameras) if isinstance(cameras, Mapping) else {name: name for name in cameras}

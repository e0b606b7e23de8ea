"""Gymnasium's interface to an episode: observations of cameras and joints in, commands of move groups out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium import spaces

from zoo import registry
from zoo.envs.episodes.schema import Episode
from zoo.envs.robots.robot import Clocks, Mode, Robot
from zoo.envs.simulation.camera_rig import CameraRig
from zoo.envs.simulation.occlusion import cover, occlusion_of
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.tasks.task import Task
from zoo.errors import ConfigError, ZooError
from zoo.navigation_actions import SpocAction

FAR_M = 1e3  # bound of places in observations
NOISE_STREAM = 0x6E6F  # tells the draws of noise from others that an episode's seed begins
NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})


class ActionError(ZooError):
    """A policy gave what cannot be executed.

    Args:
        message: For people.
        reason: For counting.
    """

    def __init__(self, message: str, *, reason: Literal["wrong_shape", "nan_action", "unknown_action"]) -> None:
        super().__init__(message)
        self.reason = reason


class EpisodeEnv(gymnasium.Env):
    """One robot in one house with one task; every `reset` may bring another of them.

    Observation: a picture per camera, (height, width, 3) uint8, by its name; `state` (n,) float32, the joints of all
    groups but the base (radians, metres; of a gripper one number, 0 open to 1 closed); `base_pose` (7,) float32,
    position and quaternion wxyz in the world; `tcp_pose` (tools, 7) float32, in the frame of the base.
    Action: (m,) float32, the commands of all groups one after the other, in the order of `action_groups`.

    A robot that moves in discrete steps does so without physics. Observation: pictures and `base_pose`; `in_hand` (1,)
    int64, 1 while it holds something; `last_action_success` (1,) int64, 1 at the start; what the robot measures of
    itself, of a Stretch `arm` (4,) float32. Action: (1,) of any number type, the index of one of SPOC's twenty. `done`
    terminates. `collisions` counts moves of the base that something blocked.

    Reward: the task's. `info`: `success`, the facts of the judgement, at the end `success_at_end`, `success_oracle`.

    Args:
        robot: Registry name; episodes of other robots are refused.
        robot_arguments: What it is built with. Episodes of the same robot may state others, if they do not change
            observations or actions: bodies of any size, for instance.
        episodes: Those that `reset` draws from with its seed; `options={"episode": ...}` chooses one oneself.
        cameras: Whose pictures are observed.
        image_size: Width and height of pictures, pixels; None takes the first episode's.
        modes: What commands of a group mean; the robot's usual ones where a group is not named.
        clocks: Of physics, controller and policy; None takes the robot's.
        horizon_steps: Policy steps after which an episode is cut off.
        end_on_success: End as soon as the task is done, rather than let it be undone.
        noise: A robot that moves in discrete steps does not move quite as far as it is told; drawn from the episode's
            seed.
        render_mode: `rgb_array` for pictures of the first camera.

    Raises:
        ConfigError: no episodes, or a robot, camera or mode that does not fit.
    """

    kind: ClassVar[str] = "env"
    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        *,
        robot: str,
        robot_arguments: Mapping[str, Any] = NO_ARGUMENTS,
        episodes: Sequence[Episode] = (),
        cameras: Sequence[str] = (),
        image_size: tuple[int, int] | None = None,
        modes: Mapping[str, Mode] | None = None,
        clocks: Clocks | None = None,
        horizon_steps: int = 300,
        end_on_success: bool = False,
        noise: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if horizon_steps < 1:
            raise ConfigError(f"horizon_steps is {horizon_steps}, expected 1 or more")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"render_mode is {render_mode!r}, expected None or 'rgb_array'")
        if image_size is None and not episodes:
            raise ConfigError("without episodes image_size must be given, as (224, 224)")
        self.robot = registry.build("robot", robot, **robot_arguments)
        self.episodes, self.cameras = tuple(episodes), tuple(cameras)
        self.modes, self.clocks = dict(modes or {}), clocks
        self.horizon_steps, self.end_on_success, self.render_mode = horizon_steps, end_on_success, render_mode
        self.noise = noise
        width, height = image_size or self.episodes[0].img_resolution
        self._rig = CameraRig(width=width, height=height)
        self._boxes = self.robot.action_space(self.modes)
        self.action_groups = tuple(group.name for group in self.robot.groups)
        self.action_space = self._action_space()
        self.observation_space = self._observation_space(self.robot, width, height)
        self.simulation: Simulation | None = None

    @property
    def is_discrete(self) -> bool:
        """The robot acts by SPOC's twenty actions."""
        return self.robot.is_discrete

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Set an episode up.

        Args:
            seed: Of the draw among `episodes`.
            options: `episode` chooses one, `index` is its place in its benchmark, which is its seed if it states none.
        Raises:
            ConfigError: no episode given, or one of another robot or without an asked camera.
            UnknownNameError: its task is of a class that is not registered.
            DataError: the episode does not fit its house, or covers what is no part of a picture.
        """
        super().reset(seed=seed)
        episode, index = (options or {}).get("episode"), int((options or {}).get("index", 0))
        if episode is None:
            if not self.episodes:
                raise ConfigError('this environment has no episodes; give one: reset(options={"episode": ...})')
            index = int(self.np_random.integers(len(self.episodes)))
            episode = self.episodes[index]
        self._check(episode)
        self.simulation = Simulation(episode, clocks=self.clocks, rig=self._rig, reuse=self.simulation)
        self._take(self.simulation.robot)
        self._occlusions = {camera.name: box for camera in episode.cameras if (box := occlusion_of(camera)) is not None}
        self._rig.show(self.simulation.model, self.simulation.data, self.simulation.cameras)
        self.task: Task = registry.load("task", episode.task.name).from_episode(episode.task.fields())
        self.task.bind(self.simulation.world)
        self.steps, self._ever = 0, False
        self.collisions, self._has_moved = 0, True
        seed = episode.seed_at(index)
        self._noise = np.random.default_rng([NOISE_STREAM, seed]) if self.noise else None
        self.judgement = self.task.judge()
        words = episode.language.task_description
        task = {"instruction": words, "task": episode.task.name, "key": episode.key, "seed": seed}
        if (body := self.robot.embodiment()) is not None:
            task["embodiment"] = body
        return self._observation(), {"task": task, "success": self.judgement.success, **self.judgement.facts}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Command the robot for one policy step.

        Raises:
            ActionError: an action of another shape, one that is not finite, or an index that is none.
            UnstableError: the physics blew up.
        """
        if self.is_discrete:
            self._act(self._index(action))
        else:
            self.command(action)
            self.simulation.step()
        self.steps += 1
        self.judgement = self.task.judge()
        success = self.judgement.success
        self._ever = self._ever or success
        is_over = self.is_discrete and self.simulation.world.said == SpocAction.DONE
        terminated = is_over or (success and self.end_on_success)
        truncated = not terminated and self.steps >= self.horizon_steps
        info: dict[str, Any] = {"success": success, **self.judgement.facts}
        if terminated or truncated:
            info |= self.outcome()
        return self._observation(), self.judgement.reward, terminated, truncated, info

    def outcome(self) -> dict[str, bool]:
        """How the episode would be scored if it ended now."""
        return {"success_at_end": self.judgement.success, "success_oracle": self._ever}

    def command(self, action: np.ndarray) -> None:
        """Set the targets of an action, without simulating; of a robot that is commanded by its groups."""
        self.simulation.view.command(self.by_group(self._checked(action, self._layout())), self.modes)

    def by_group(self, action: np.ndarray) -> dict[str, np.ndarray]:
        """Commands of each group out of an action."""
        ends = np.cumsum([len(self._boxes[name].low) for name in self.action_groups])
        return dict(zip(self.action_groups, np.split(action, ends[:-1]), strict=True))

    def joined(self, commands: Mapping[str, np.ndarray]) -> np.ndarray:
        """An action out of commands of groups; the others stay where they are.

        Args:
            commands: By group, in that group's mode.
        """
        parts = [
            np.asarray(commands[name] if name in commands else self._staying(name), np.float64)
            for name in self.action_groups
        ]
        return np.concatenate(parts).astype(np.float32)

    def render(self) -> np.ndarray | None:
        """(height, width, 3) uint8 of the first camera of the episode, or None without render_mode."""
        if self.render_mode is None or self.simulation is None:
            return None
        return self.picture(next(iter(self.simulation.cameras)))

    def picture(self, camera: str) -> np.ndarray:
        """(height, width, 3) uint8 of a camera of the episode, as things stand now, covered where it says so."""
        return self._pictures([camera])[camera]

    def close(self) -> None:
        """Free the GL context."""
        self._rig.close()

    def _checked(self, action: np.ndarray, layout: str) -> np.ndarray:
        values = np.asarray(action, np.float64)
        if values.shape != self.action_space.shape:
            raise ActionError(
                f"an action has shape {values.shape}, expected {self.action_space.shape}: {layout}",
                reason="wrong_shape",
            )
        if not np.isfinite(values).all():
            raise ActionError(f"an action is not finite: {values.tolist()}", reason="nan_action")
        return values

    def _index(self, action: np.ndarray) -> SpocAction:
        value = float(self._checked(action, "the index of one of 20 actions")[0])
        if value not in range(len(SpocAction)):
            raise ActionError(
                f"action {value:g} is none of the {len(SpocAction)}, expected a whole number, 0 (move_ahead) to 19",
                reason="unknown_action",
            )
        return SpocAction(int(value))

    def _act(self, action: SpocAction) -> None:
        outcome = self.simulation.act(action, rng=self._noise)
        effect = action.effect
        self._has_moved = outcome.moved
        self.collisions += outcome.blocked_by is not None and bool(effect.forward_m or effect.turn_deg)

    def _take(self, robot: Robot) -> None:
        """Be the environment of another body of the same robot.

        Raises:
            ConfigError: it observes or acts in another way.
        """
        height, width = self._rig.height, self._rig.width
        same = robot.action_space(self.modes) == self.robot.action_space(self.modes)
        if not same or self._observation_space(robot, width, height) != self.observation_space:
            raise ConfigError(
                f"the episode's robot {robot.name!r} has other actions or observations than this environment's; give "
                f"the environment its arguments: EpisodeEnv(robot={robot.name!r}, robot_arguments=...)"
            )
        self.robot = robot

    def _action_space(self) -> spaces.Space:
        if self.is_discrete:
            return spaces.MultiDiscrete([len(SpocAction)])
        return spaces.Box(
            np.concatenate([self._boxes[name].low for name in self.action_groups]).astype(np.float32),
            np.concatenate([self._boxes[name].high for name in self.action_groups]).astype(np.float32),
            dtype=np.float32,
        )

    def _staying(self, name: str) -> np.ndarray:
        """The command that leaves a group's targets where they are."""
        view, group = self.simulation.view, self.robot.group(name)
        mode = group.mode(self.modes.get(name))
        if mode == "height":
            weights = np.asarray(group.height)
            return np.array([float(view.ctrl(name) @ weights / (weights @ weights))])
        if mode in ("joint_rel_position", "holo_joint_rel_planar_position"):
            return np.zeros(len(self._boxes[name].low))
        return view.ctrl(name)

    def _layout(self) -> str:
        return ", ".join(f"{name} {len(self._boxes[name].low)}" for name in self.action_groups)

    def _check(self, episode: Episode) -> None:
        if episode.robot.robot_name != self.robot.name:
            raise ConfigError(
                f"the episode is for robot {episode.robot.robot_name!r}, this environment has {self.robot.name!r}"
            )
        missing = sorted(set(self.cameras) - {camera.name for camera in episode.cameras})
        if missing:
            known = ", ".join(camera.name for camera in episode.cameras) or "none"
            raise ConfigError(f"the episode has no camera {', '.join(missing)}; it has {known}")
        episode.task.fields()  # of a class that nobody registered there are none

    def _observation_space(self, robot: Robot, width: int, height: int) -> spaces.Dict:
        own: dict[str, spaces.Space] = {"base_pose": spaces.Box(-FAR_M, FAR_M, (7,), np.float32)}
        if robot.is_discrete:
            own |= {name: spaces.Box(0, 1, (1,), np.int64) for name in ("in_hand", "last_action_success")}
            own |= {name: spaces.Box(-FAR_M, FAR_M, (size,), np.float32) for name, size in robot.sensor_sizes.items()}
        else:
            joints = sum(
                1 if group.kind == "gripper" else len(group.joints) for group in robot.groups if group.kind != "base"
            )
            tools = sum(group.tcp is not None for group in robot.groups)
            own |= {
                "state": spaces.Box(-FAR_M, FAR_M, (joints,), np.float32),
                "tcp_pose": spaces.Box(-FAR_M, FAR_M, (tools, 7), np.float32),
            }
        pictures = {name: spaces.Box(0, 255, (height, width, 3), np.uint8) for name in self.cameras}
        return spaces.Dict(own | pictures)

    def _observation(self) -> dict[str, np.ndarray]:
        view = self.simulation.view
        if self.is_discrete:
            return {
                "base_pose": view.base_pose().astype(np.float32),
                "in_hand": np.array([bool(self.simulation.world.held)], np.int64),
                "last_action_success": np.array([self._has_moved], np.int64),
                **self.simulation.actions.sensors(),
                **self._pictures(self.cameras),
            }
        tools = [view.tcp_pose(group.name) for group in self.robot.groups if group.tcp is not None]
        return {
            "state": view.state_vector(),
            "base_pose": view.base_pose().astype(np.float32),
            "tcp_pose": np.array(tools, np.float32).reshape(-1, 7),
            **self._pictures(self.cameras),
        }

    def _pictures(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What cameras show, with what the episode covers; judgements look past that."""
        pictures = self._rig.pictures(names)
        for name in self._occlusions.keys() & pictures.keys():
            cover(pictures[name], self._occlusions[name])
        return pictures

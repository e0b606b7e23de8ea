"""What the simulator costs beyond MuJoCo itself, what a navigation step costs, and what a second worker brings.

Policy steps of `EpisodeEnv` with pictures are timed against the bare loop: the same physics steps of the same model
under the same controls, and the same pictures by the same renderer, without observation, judgement and checks. Both
sides end in the same state, which is tested. They take turns segment by segment, and of each segment the quickest round
counts, because other programs can only slow it down. Navigation steps move a RING body in free space, by discrete moves
without physics, and render one picture each. Workers run whole episodes with random actions, set-up of each included;
their processes were started before and have run an episode.

Beside seconds of the clock, those of this process on all cores are told: a busy machine stretches the former only.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from typing import Any

import numpy as np
from tqdm import tqdm

from zoo import registry
from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.schema import Robot as RobotRecord
from zoo.envs.evaluation.pool import EpisodePool, WorkerSettings
from zoo.envs.evaluation.rollout import RolloutSettings
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.navigation.occupancy import build_map
from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.robots.discrete_moves import DiscreteMover
from zoo.envs.robots.ring_body import RingBody
from zoo.envs.sampling.cameras import records
from zoo.envs.sampling.sampler import SamplingReport, sample_episodes
from zoo.envs.simulation.camera_rig import CameraRig
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError
from zoo.navigation_actions import SpocAction

logger = logging.getLogger(__name__)

POLICY_FLOOR, NAVIGATION_FLOOR, WORKERS_FLOOR = 0.85, 60.0, 1.8
SEGMENT_STEPS = 10
WANDER = 0.02
"""Largest change of a command from step to step, radians: an arm that moves and is not thrown about."""
RENDER_THREADS = "LP_NUM_THREADS"
MAP_PX_PER_M = 50
MOVES = (SpocAction.MOVE_AHEAD, SpocAction.ROTATE_LEFT, SpocAction.ROTATE_RIGHT, SpocAction.MOVE_BACK)
"""Ends where it began, and turns on the way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One measured quantity.

    Args:
        what: It is.
        value: How much.
        unit: Of the value.
        ratio: To the other side; None for a row without one.
        floor: Of the ratio, or of the value where there is no ratio; None where nothing is promised.
        value_cpu: The value by seconds of this process on all cores; None where other processes work.
        ratio_cpu: The ratio by the same.
    """

    what: str
    value: float
    unit: str
    ratio: float | None = None
    floor: float | None = None
    value_cpu: float | None = None
    ratio_cpu: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the floor is reached; None without one."""
        reached = self.value if self.ratio is None else self.ratio
        return None if self.floor is None else reached >= self.floor


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationCost:
    """Result of `measure_simulation`.

    Args:
        rows: What was measured.
        rounds: Turns of all sides.
        load: Programs that wanted a core on average over the last minute, at the beginning and at the end.
    """

    rows: tuple[Row, ...]
    rounds: int
    load: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        rows = [asdict(row) | {"holds": row.holds} for row in self.rows]
        return {"rows": rows, "rounds": self.rounds, "load": list(self.load), "cores": os.cpu_count()}

    def as_text(self) -> str:
        """Table."""
        heads = ("what", "value", "unit", "ratio", "floor", "", "CPU value", "CPU ratio")
        cells = [heads, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
        low, high = self.load
        lines.append(f"best of {self.rounds} rounds; load {low:.1f} to {high:.1f} on {os.cpu_count()} cores")
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, slots=True)
class Seconds:
    """What some work took.

    Args:
        wall: By the clock.
        cpu: Of this process, all threads together.
    """

    wall: float
    cpu: float

    def less(self, part: Seconds) -> Seconds:
        """Without a part of the work."""
        return Seconds(self.wall - part.wall, self.cpu - part.cpu)


def measure_simulation(
    task: str,
    *,
    episodes: int = 20,
    size: int = 224,
    steps: int = 50,
    horizon_steps: int = 40,
    rounds: int = 1,
    seed: int = 0,
) -> SimulationCost:
    """Draw episodes, and time all of it on them, in turns.

    Renders with one thread, here and in workers, whatever the environment says.

    Args:
        task: Whose episodes; its robot needs two cameras.
        episodes: How many; the first is timed alone, all by workers.
        size: Width and height of pictures, pixels.
        steps: Policy steps and navigation steps of a round.
        horizon_steps: Policy steps of an episode that workers run.
        rounds: Turns of all sides.
        seed: Of the draw.
    Raises:
        ConfigError: a number out of range, or a robot with one camera.
        UnknownNameError: no such task.
    """
    if min(episodes, size, steps, horizon_steps, rounds) < 1:
        raise ConfigError(
            f"bench: {episodes} episodes, size {size}, {steps} steps, {horizon_steps} steps of an episode, {rounds} "
            "rounds; expected 1 or more of each"
        )
    registry.find("task_sampler", task)  # before a bar is drawn
    os.environ[RENDER_THREADS] = "1"  # llvmpipe reads it when the first context opens
    load = os.getloadavg()[0]
    report = SamplingReport()
    found = sample_episodes(task, count=episodes, seed=seed, report=report)
    drawn = list(tqdm(found, total=episodes, desc=f"drawing {task}", unit="episode", leave=False))
    logger.info("%s: %s", task, report.text())
    if len(drawn[0].cameras) < 2:
        raise ConfigError(f"bench: robot {drawn[0].robot.robot_name!r} of {task!r} has one camera, and two are timed")
    sized = [replace(episode, img_resolution=(size, size)) for episode in drawn]
    rows = [
        *policy_rows(sized[0], steps=steps, rounds=rounds),
        navigation_row(sized[0], steps=steps, rounds=rounds),
        *worker_rows(sized, horizon_steps=horizon_steps, rounds=rounds),
    ]
    return SimulationCost(rows=tuple(rows), rounds=rounds, load=(load, os.getloadavg()[0]))


def policy_rows(episode: Episode, *, steps: int, rounds: int) -> list[Row]:
    """Policy steps of an environment with two cameras, and the bare loop.

    Args:
        episode: With pictures of the wanted size.
        steps: Of a round.
        rounds: Turns.
    """
    size = episode.img_resolution
    cameras = tuple(camera.name for camera in episode.cameras[:2])
    env = EpisodeEnv(robot=episode.robot.robot_name, cameras=cameras, image_size=size, horizon_steps=10**9)
    start, actions, controls = _recorded(env, episode, steps)
    bare = _BareLoop(env, cameras, size)
    ours: list[list[Seconds]] = []
    theirs: list[list[Seconds]] = []
    try:
        for number in tqdm(range(rounds), desc="policy steps", unit="round", leave=False):
            env.reset(options={"episode": episode})
            bare.begin(start)
            taken: dict[Callable[..., None], list[Seconds]] = {}
            sides = [(_act, env, actions), (_BareLoop.run, bare, controls)]
            for place in range(0, steps, SEGMENT_STEPS):
                for run, side, told in sides[:: 1 if (number + place // SEGMENT_STEPS) % 2 else -1]:
                    taken.setdefault(run, []).append(timed(run, side, told[place : place + SEGMENT_STEPS]))
            ours.append(taken[_act])
            theirs.append(taken[_BareLoop.run])
            assert np.array_equal(env.simulation.data.qpos, bare.data.qpos), "the two sides did different things"
    finally:
        bare.close()
        env.close()
    own, least = quickest(ours), quickest(theirs)
    return [
        Row(
            what=f"policy step, two pictures of {size[0]}",
            value=steps / own.wall,
            unit="steps/s",
            ratio=least.wall / own.wall,
            floor=POLICY_FLOOR,
            value_cpu=steps / own.cpu,
            ratio_cpu=least.cpu / own.cpu,
        ),
        Row(
            what="the same in a bare MuJoCo loop",
            value=steps / least.wall,
            unit="steps/s",
            value_cpu=steps / least.cpu,
        ),
    ]


def navigation_row(episode: Episode, *, steps: int, rounds: int) -> Row:
    """Discrete moves of a RING body in the house of an episode, one picture each.

    Args:
        episode: With pictures of the wanted size.
        steps: Of a round.
        rounds: Turns.
    Raises:
        ConfigError: nowhere in the house the body has room to move.
    """
    robot = RingBody()
    placed = robot.camera_systems["ring_body"].nominal()[:1]
    task = replace(episode.task, robot_base_pose=tuple(planar_pose7(0.0, 0.0, 0.0).tolist()))
    body = RobotRecord(robot_name=robot.name, init_qpos={})
    simulation = Simulation(replace(episode, robot=body, cameras=records(placed), task=task))
    view, camera = simulation.view, placed[0].name
    view.set_base_pose(_roomiest(simulation))
    mujoco.mj_forward(simulation.model, simulation.data)
    width, height = episode.img_resolution
    rig = CameraRig(width=width, height=height)
    rig.show(simulation.model, simulation.data, simulation.cameras)
    mover = DiscreteMover(view)
    rig.pictures([camera])  # opens the context

    def walk(moves: Sequence[SpocAction]) -> None:
        for move in moves:
            outcome = mover.move(move.effect)
            if not outcome.moved:
                raise ConfigError(f"the body bumped into something in house {simulation.house.scene.name!r}")
            rig.pictures([camera])
            view.base_pose()

    moves = list(islice(cycle(MOVES), -(-steps // len(MOVES)) * len(MOVES)))
    try:
        places = range(0, len(moves), len(MOVES))
        turns = [
            [timed(walk, moves[place : place + len(MOVES)]) for place in places]
            for _ in tqdm(range(rounds), desc="navigation steps", unit="round", leave=False)
        ]
    finally:
        rig.close()
    taken = quickest(turns)
    return Row(
        what=f"navigation step, one picture of {width}",
        value=len(moves) / taken.wall,
        unit="steps/s",
        floor=NAVIGATION_FLOOR,
        value_cpu=len(moves) / taken.cpu,
    )


def worker_rows(episodes: Sequence[Episode], *, horizon_steps: int, rounds: int) -> list[Row]:
    """Episodes with random actions and two cameras by two workers, and by one.

    Args:
        episodes: All of them are run by either side, in every round.
        horizon_steps: Policy steps of each.
        rounds: Turns.
    Raises:
        ConfigError: an episode was not run to its end.
    """
    settings = WorkerSettings(
        policy="random",
        rollout=RolloutSettings(horizon_steps=horizon_steps),
        cameras=tuple(camera.name for camera in episodes[0].cameras[:2]),
    )
    taken: dict[int, list[float]] = {1: [], 2: []}
    total = sum(taken) + rounds * len(taken) * len(episodes)
    with ExitStack() as stack, tqdm(total=total, desc="workers", unit="episode", leave=False) as bar:
        pools = {count: stack.enter_context(EpisodePool(settings, num_workers=count)) for count in taken}
        for turn in range(rounds + 1):
            for count in sorted(pools, reverse=bool(turn % 2)):
                # The first turn starts the processes, and opens a context in each.
                chosen = episodes if turn else [episodes[0]] * count
                begin = time.perf_counter()
                for result in pools[count].run(dict(enumerate(chosen))):
                    bar.update()
                    if result.steps < horizon_steps:
                        raise ConfigError(f"episode {result.index} ended after {result.steps} steps: {result.detail}")
                if turn:
                    taken[count].append(time.perf_counter() - begin)
    two, one = min(taken[2]), min(taken[1])
    unit = f"episodes of {horizon_steps} steps/min"
    return [
        Row(what="2 workers", value=60 * len(episodes) / two, unit=unit, ratio=one / two, floor=WORKERS_FLOOR),
        Row(what="1 worker", value=60 * len(episodes) / one, unit=unit),
    ]


class _BareLoop:
    """What MuJoCo's own documentation would have one write.

    Args:
        env: Set to the episode; its model is used, its state is not.
        cameras: Whose pictures are drawn.
        size: Of them, pixels.
    """

    def __init__(self, env: EpisodeEnv, cameras: Sequence[str], size: tuple[int, int]) -> None:
        simulation = env.simulation
        self.model, self.data = simulation.model, mujoco.MjData(simulation.model)
        self._num_steps = simulation.clocks.policy_steps
        self._cameras = [self.model.camera(simulation.cameras[name]).id for name in cameras]
        self._renderer = OffscreenRenderer(width=size[0], height=size[1])
        self._renderer.bind(self.model)

    def begin(self, start: mujoco.MjData) -> None:
        mujoco.mj_copyData(self.data, self.model, start)
        self._draw()

    def run(self, controls: Sequence[np.ndarray]) -> None:
        for control in controls:
            self.data.ctrl[:] = control
            mujoco.mj_step(self.model, self.data, nstep=self._num_steps)
            self._draw()

    def close(self) -> None:
        self._renderer.close()

    def _draw(self) -> None:
        for camera in self._cameras:
            self._renderer.look(camera)
            self._renderer.update(self.data)
            self._renderer.rgb()


def _act(env: EpisodeEnv, actions: Sequence[np.ndarray]) -> None:
    for action in actions:
        env.step(action)


def _recorded(
    env: EpisodeEnv, episode: Episode, steps: int
) -> tuple[mujoco.MjData, list[np.ndarray], list[np.ndarray]]:
    """The state at the start, actions, and the controls that these set; runs them once, which warms everything up."""
    env.reset(options={"episode": episode})
    start = mujoco.MjData(env.simulation.model)
    mujoco.mj_copyData(start, env.simulation.model, env.simulation.data)
    here, space = env.joined({}), env.action_space
    wander = np.random.default_rng(0).uniform(-WANDER, WANDER, (steps, len(here))).cumsum(axis=0)
    actions = list(np.clip(here + wander, space.low, space.high).astype(np.float32))
    controls = []
    for action in actions:
        env.step(action)
        controls.append(env.simulation.data.ctrl.copy())
    return start, actions, controls


def _roomiest(simulation: Simulation) -> np.ndarray:
    """pose7 on the floor, as far from everything as can be."""
    root = simulation.model.body_rootid[simulation.view.base_id]
    plan = build_map(
        simulation.model,
        simulation.data,
        scene=simulation.house.scene,
        skip_bodies=[simulation.model.body(root).name],
        px_per_m=MAP_PX_PER_M,
    )
    clearance = plan.clearance_m()
    x, y = plan.point_of(np.unravel_index(clearance.argmax(), clearance.shape))
    return planar_pose7(float(x), float(y), 0.0)


def timed(run: Callable[..., None], *told: Any) -> Seconds:
    """What a call took."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(*told)
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def quickest(turns: Sequence[Sequence[Seconds]]) -> Seconds:
    """Sum over segments of the quickest round of each, by either clock."""
    segments = list(zip(*turns, strict=True))
    return Seconds(
        sum(min(one.wall for one in segment) for segment in segments),
        sum(min(one.cpu for one in segment) for segment in segments),
    )


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "holds", False: "MISSED", None: ""}[row.holds]
    numbers = (row.ratio, row.floor, row.value_cpu, row.ratio_cpu)
    ratio, floor, value_cpu, ratio_cpu = ("" if number is None else f"{number:.3g}" for number in numbers)
    return row.what, f"{row.value:.1f}", row.unit, ratio, floor, verdict, value_cpu, ratio_cpu

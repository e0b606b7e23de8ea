"""What all samplers of CHORES share: the robot and its body, the start, and the writing of an episode.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.12 (tasks, fields), 1.15 (difficulty: ways longer than 3 m), 2.2
(bodies). The robot starts anywhere where it fits, looking anywhere.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zoo import registry
from zoo.envs.assets.library import AssetLibrary
from zoo.envs.episodes.schema import Episode, Language, SceneModifications, Source
from zoo.envs.episodes.schema import Robot as RobotRecord
from zoo.envs.episodes.tasks import ChoresTask, new_task
from zoo.envs.experts.chores.body import Body
from zoo.envs.experts.chores.viewpoints import Eye
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.robots.ring_body import draw_embodiment
from zoo.envs.robots.robot import Robot
from zoo.envs.sampling import cameras as camera_records
from zoo.envs.sampling.chores.site import Scout, Site, Ways
from zoo.envs.sampling.chores.vocabulary import check_categories
from zoo.envs.sampling.sampler import RejectedError, TaskSampler
from zoo.envs.sampling.stage import Stage
from zoo.envs.simulation.environment import NO_ARGUMENTS
from zoo.envs.simulation.houses import House, library
from zoo.envs.tasks.chores import NAVIGATION_CAMERA, ObjectNav
from zoo.errors import ConfigError
from zoo.goal_texts import goal_text

TOO_NEAR, TOO_FAR = "target too near", "target too far"
NO_PLACE = "no free place for the robot"
WITHOUT = "house without target"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What an episode asks for.

    Args:
        fields: Of its task.
        targets: Root bodies that count.
        rooms: That count, where it is about rooms.
    """

    fields: Mapping[str, Any]
    targets: Sequence[str] = ()
    rooms: Sequence[str] = ()


class ChoreSampler(TaskSampler):
    """Draws episodes of one task of CHORES; what was built for a house is kept for its next episode.

    Args:
        robot: Registry name: `stretch` or `ring_body`.
        robot_arguments: What it is built with, plain JSON.
        random_bodies: A `ring_body` of its own for every episode; without image_size it has pictures of its own, too.
        categories: Of assets that may be asked for; None: all.
        image_size: Width and height of pictures, pixels; None: the robot's.
        min_path_m: Least way from the start; None: what is usual for the task.
        max_path_m: Longest; None: what is usual for the task.
        horizon_steps: Steps of an episode; None: as the task has it.
        cameras: Of the robot, those that episodes have; None: all.

    Raises:
        ConfigError: a robot that does not act by discrete steps or cannot do the task, numbers that make no sense, or
            cameras that the robot does not have or that leave out the one that decides about success.
        UnknownNameError: no asset is called like one of the categories.
    """

    robot_name: ClassVar[str] = "stretch"
    robots: ClassVar[tuple[str, ...]] = ("stretch", "ring_body")
    task: ClassVar[str]
    """Registry name."""
    no_goal: ClassVar[str]
    """Why a draw is rejected where nobody could do the task."""
    usual_path_m: ClassVar[tuple[float, float]] = (3.0, math.inf)

    def __init__(
        self,
        *,
        robot: str = "stretch",
        robot_arguments: Mapping[str, Any] = NO_ARGUMENTS,
        random_bodies: bool = False,
        categories: Sequence[str] | None = None,
        image_size: tuple[int, int] | None = None,
        min_path_m: float | None = None,
        max_path_m: float | None = None,
        horizon_steps: int | None = None,
        cameras: Sequence[str] | None = None,
    ) -> None:
        if robot not in self.robots:
            raise ConfigError(f"episodes of {self.task} are for {' or '.join(self.robots)}, not for robot {robot!r}")
        if random_bodies and (robot != "ring_body" or robot_arguments):
            raise ConfigError(
                f"random_bodies draws bodies of robot 'ring_body' without arguments; got robot {robot!r} with "
                f"{dict(robot_arguments)}. Give robot='ring_body' alone"
            )
        low, high = self.usual_path_m
        self.path_m = (low if min_path_m is None else min_path_m, high if max_path_m is None else max_path_m)
        if not 0 <= self.path_m[0] < self.path_m[1]:
            raise ConfigError(
                f"{self.task}: ways from {self.path_m[0]:g} to {self.path_m[1]:g} m, expected 0 <= min < max"
            )
        if horizon_steps is not None and horizon_steps < 1:
            raise ConfigError(f"{self.task}: horizon_steps is {horizon_steps}, expected 1 or more")
        self.robot: Robot = registry.build("robot", robot, **robot_arguments)
        self.robot_arguments, self.random_bodies = dict(robot_arguments), random_bodies
        self.image_size, self.horizon_steps = None if image_size is None else tuple(image_size), horizon_steps
        self.categories = None if categories is None else tuple(categories)
        self.cameras = None if cameras is None else tuple(cameras)
        self._check_cameras()
        self._libraries: dict[str, AssetLibrary] = {}
        self._site: Site | None = None
        self._scout: Scout | None = None

    @abstractmethod
    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        """What to ask for in a house.

        Raises:
            RejectedError: there is nothing, or nothing by this draw.
        """

    @abstractmethod
    def ways(self, scout: Scout, grid: RouteGrid, choice: Choice) -> Ways | None:
        """Ways on a grid to what is asked for; None where there are none."""

    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        site = self.site(place)
        choice = self.choose(site, rng)
        robot, arguments = self._draw_robot(rng)
        system = next(iter(robot.camera_systems.values()))
        placed = system.draw(rng)
        size = self.image_size or (system.width, system.height)
        scout = self._scout_of(site, robot, size)
        x, y = self._draw_start(scout, choice, rng)
        yaw = float(rng.uniform(-math.pi, math.pi))
        if not scout.floor.is_free(np.array([x, y, yaw])):  # on the grids of smaller radii
            raise RejectedError(NO_PLACE)
        pose7 = planar_pose7(x, y, yaw)
        record = self._record(choice, robot, tuple(map(float, pose7)))
        scene = place.scene
        return Episode(
            source=Source(camera_system_class=system.name),
            house_index=scene.index,
            scene_dataset=scene.dataset,
            data_split=scene.split,
            seed=int(rng.integers(2**31)),
            robot=RobotRecord(
                robot_name=robot.name,
                init_qpos={group.name: group.home for group in robot.groups if group.kind != "base"},
                arguments=arguments,
            ),
            img_resolution=size,
            cameras=camera_records.records([one for one in placed if self.cameras is None or one.name in self.cameras]),
            scene_modifications=SceneModifications(object_poses=site.stage.poses()),
            task=record,
            task_relevant_objects=tuple(choice.targets),
            language=Language(task_description=self.instruction(record, rng)),
        )

    def instruction(self, record: ChoresTask, rng: np.random.Generator) -> str:
        """What the robot is told; a task that CHORES does not have words it itself.

        Args:
            record: Of the episode.
            rng: Of the words.
        """
        return goal_text(record.to_json(), rng)

    def site(self, place: House) -> Site:
        """The settled house.

        Raises:
            RejectedError: it does not come to rest.
        """
        if self._site is None or self._site.stage.place is not place:
            self._site = self._scout = None  # the old one goes before the new one comes
            for name in sorted({item.library for item in place.scene.objects} - self._libraries.keys()):
                self._libraries[name] = library(name)
            self._check_categories()
            self._site = Site(Stage(place, self.robot, self._libraries))
        return self._site

    def _check_cameras(self) -> None:
        if self.cameras is None:
            return
        own = [camera.name for camera in next(iter(self.robot.camera_systems.values())).nominal()]
        unknown = [name for name in self.cameras if name not in own]
        if unknown or not self.cameras:
            raise ConfigError(
                f"{self.task}: cameras {', '.join(unknown) or 'are none'}; robot {self.robot.name!r} has "
                f"{', '.join(own)}. Give some of these, or none for all"
            )
        decides = issubclass(registry.load("task", self.task), ObjectNav)
        if decides and NAVIGATION_CAMERA not in self.cameras:
            raise ConfigError(
                f"{self.task}: cameras {', '.join(self.cameras)}, expected {NAVIGATION_CAMERA} among them: success "
                "asks what it sees"
            )

    def _check_categories(self) -> None:
        if self.categories is not None and self._libraries:
            known = {facts.category for library in self._libraries.values() for facts in library.facts().values()}
            check_categories(self.categories, frozenset(known))

    def _draw_robot(self, rng: np.random.Generator) -> tuple[Robot, dict[str, Any]]:
        if not self.random_bodies:
            return self.robot, self.robot_arguments
        arguments = {"body": draw_embodiment(rng, picture=self.image_size).to_json()}
        return registry.build("robot", self.robot.name, **arguments), arguments

    def _scout_of(self, site: Site, robot: Robot, size: tuple[int, int]) -> Scout:
        if self.random_bodies or self._scout is None:
            cameras = next(iter(robot.camera_systems.values())).nominal()
            camera = next(camera for camera in cameras if camera.name == NAVIGATION_CAMERA)
            self._scout = Scout(site, Body.of(robot), Eye.of(camera, size))
        return self._scout

    def _draw_start(self, scout: Scout, choice: Choice, rng: np.random.Generator) -> tuple[float, float]:
        """A place on the roomiest grid that has a way of the right length."""
        low, high = self.path_m
        reason = self.no_goal
        for grid in scout.grids:
            ways = self.ways(scout, grid, choice)
            if ways is None:
                continue
            fits = (ways.lengths_m >= low) & (ways.lengths_m <= high)
            if fits.any():
                cell = ways.cells[fits][int(rng.integers(int(fits.sum())))]
                x, y = grid.plan.point_of(cell) + rng.uniform(-0.5, 0.5, 2) * grid.plan.cell_m
                return float(x), float(y)
            reason = TOO_FAR if (ways.lengths_m > high).any() else TOO_NEAR
        raise RejectedError(reason)

    def _record(self, choice: Choice, robot: Robot, pose7: tuple[float, ...]) -> ChoresTask:
        steps = self.horizon_steps
        seconds = None if steps is None else steps * robot.clocks.policy_dt
        record = new_task(self.task, robot_base_pose=pose7, task_horizon_sec=seconds, **choice.fields)
        assert isinstance(record, ChoresTask)
        return record

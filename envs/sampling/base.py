"""What all samplers share: one stage a house, and the writing of an episode.

Source: sheet molmospaces sections 6 (fields) and 15 (order).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo import registry
from zoo.envs.assets.library import AssetLibrary
from zoo.envs.episodes.schema import Episode, Language, SceneModifications, Source
from zoo.envs.episodes.schema import Robot as RobotRecord
from zoo.envs.episodes.tasks import new_task
from zoo.envs.kinematics.poses import Array
from zoo.envs.robots.cameras import PlacedCamera
from zoo.envs.robots.robot import Robot
from zoo.envs.sampling import cameras as camera_records
from zoo.envs.sampling.sampler import RejectedError, TaskSampler
from zoo.envs.sampling.stage import Spare, Stage
from zoo.envs.simulation.houses import House
from zoo.envs.tasks.task import Task

NO_PLACE = "no free place for the robot"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stand:
    """The robot as an episode begins.

    Args:
        base_pose7: Where it stands.
        positions: Of its groups.
        cameras: On it.
    """

    base_pose7: Array
    positions: Mapping[str, Array]
    cameras: Sequence[PlacedCamera]


class StagedSampler(TaskSampler):
    """Draws episodes of one robot; what was built for a house is kept for its next episode."""

    task: ClassVar[str]
    """Registry name."""

    def __init__(self) -> None:
        self.robot: Robot = registry.build("robot", self.robot_name)
        self.camera_system = next(iter(self.robot.camera_systems.values()))
        self._libraries: dict[str, AssetLibrary] = {}
        self._stage: Stage | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of pictures, pixels."""
        return self.camera_system.width, self.camera_system.height

    def spares(self, place: House) -> Sequence[Spare]:
        """Objects that episodes of a house may add."""
        del place
        return ()

    def prepare(self, stage: Stage) -> None:
        """Look at a house once, as it is settled."""

    def library(self, name: str) -> AssetLibrary:
        """An asset library by its registry name."""
        if name not in self._libraries:
            self._libraries[name] = registry.build("asset_library", name)
        return self._libraries[name]

    def stage(self, place: House) -> Stage:
        """The settled house, as it was before anybody tried anything.

        Raises:
            RejectedError: the house does not come to rest.
        """
        if self._stage is None or self._stage.place is not place:
            self._stage = None  # the old one goes before the new one comes
            spares = self.spares(place)
            used = sorted({item.library for item in place.scene.objects} | {spare.library for spare in spares})
            stage = Stage(place, self.robot, {name: self.library(name) for name in used}, spares)
            self.prepare(stage)
            self._stage = stage
        self._stage.reset()
        return self._stage

    def stand_free(self, stage: Stage, rng: np.random.Generator, poses: Iterable[Array]) -> Stand:
        """Put the robot at the first of some base poses where it touches nothing.

        Raises:
            RejectedError: there is none.
        """
        positions, cameras = stage.view.start_qpos(rng), self.camera_system.draw(rng)
        for pose in poses:
            stage.stand(pose, positions)
            if stage.is_robot_free():
                return Stand(base_pose7=pose, positions=positions, cameras=cameras)
        raise RejectedError(NO_PLACE)

    def episode(
        self,
        stage: Stage,
        rng: np.random.Generator,
        *,
        stand: Stand,
        fields: Mapping[str, object],
        words: Mapping[str, str],
        prompt: str,
        relevant: Sequence[str],
        added: Sequence[str] = (),
    ) -> Episode:
        """Write an episode down.

        Args:
            stage: As the episode begins, `forward` done.
            rng: Draws the seed of the episode.
            stand: Of the robot.
            fields: Of the task, but for the pose of the base.
            words: For objects, by role.
            prompt: What a policy is told.
            relevant: Objects that the task is about.
            added: Spares that the episode adds.
        Raises:
            RejectedError: the task is done already.
        """
        scene = stage.place.scene
        record = new_task(self.task, robot_base_pose=tuple(map(float, stand.base_pose7)), **fields)
        task: Task = registry.load("task", self.task).from_episode(record.fields())
        task.bind(stage.world)
        if task.judge().success:
            raise RejectedError("already done")
        return Episode(
            source=Source(camera_system_class=self.camera_system.name),
            house_index=scene.index,
            scene_dataset=scene.dataset,
            data_split=scene.split,
            seed=int(rng.integers(2**31)),
            robot=RobotRecord(
                robot_name=self.robot.name,
                init_qpos={name: tuple(map(float, values)) for name, values in stand.positions.items()},
            ),
            img_resolution=self.size,
            cameras=camera_records.records(stand.cameras),
            scene_modifications=SceneModifications(
                added_objects={name: stage.spares[name].asset for name in added}, object_poses=stage.poses(added)
            ),
            task=record,
            task_relevant_objects=tuple(relevant),
            language=Language(task_description=prompt, referral_expressions=dict(words)),
        )

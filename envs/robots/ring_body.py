"""Parametric bodies of RING: a box on wheels with one or two cameras, drawn at random or taken from real robots.

Source: sheet of RING sections 2.2 (ranges, field-of-view rules, embodiment vector, evaluation bodies) and 2.9 (port).
Differs: the pitch limit of a low second camera holds for that body only; upstream changes a shared list, so that it
holds for every later body of the process too. Parameters keep RING's axes (x right, y up, z forward); poses in a scene
are ours (x forward, y left, z up). The box ends two centimetres above the floor, so that it never touches it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Self, get_type_hints

import numpy as np

from zoo.embodiment import (
    EMBODIMENT,
    FIRST_PITCH_DEG,
    FOV_DEG,
    HEIGHT_M,
    MIN_CAMERA_HEIGHT_M,
    OFFSET_SHARE,
    OTHER_SIDE_PX,
    SECOND_PITCH_DEG,
    WIDTH_M,
)
from zoo.envs.episodes.fields import FAILED, Fault, fail, reader_of, sentence
from zoo.envs.robots.cameras import (
    CameraSystem,
    MountedCamera,
    PlacedCamera,
    horizontal_fov_deg,
    quat_from_pitch,
)
from zoo.envs.robots.discrete_moves import DiscreteActions, DiscreteMover, Outcome
from zoo.envs.robots.parts import add_solid
from zoo.envs.robots.planar_base import add_planar_base, base_group
from zoo.envs.robots.rby1 import NAVIGATION
from zoo.envs.robots.robot import Robot
from zoo.envs.robots.view import RobotView
from zoo.envs.scenes.physics import COLLISION_GROUP
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, UnknownNameError
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction

LOW_CAMERA_M, LOW_PITCH_DEG = 0.5, 40  # a second camera that is lower than this looks down by less than that
HORIZONTAL_FOV_DEG = (40, 120)
FIXED_SIDE_PX = 224
FLOOR_GAP_M = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class RingCamera:
    """A camera of a body, RING's axes, from the middle of the box's footprint.

    Args:
        x_m: To the right.
        y_m: Above the floor.
        z_m: Forward.
        pitch_deg: Down.
        yaw_deg: Clockwise, seen from above.
        fovy_deg: Vertical field of view.
    """

    x_m: float = 0.0
    y_m: float
    z_m: float = 0.0
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0
    fovy_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbodimentParams:
    """One body.

    Args:
        size_m: Of the box: width (x), height (y), depth (z).
        pivot_m: From the turning centre to the middle of the box: right (x), forward (z).
        cameras: One or two.
        width: Of every picture, pixels.
        height: Pixels.

    Raises:
        ConfigError: another number of cameras, or a size that is not positive.
    """

    size_m: tuple[float, float, float]
    pivot_m: tuple[float, float] = (0.0, 0.0)
    cameras: tuple[RingCamera, ...]
    width: int = 396
    height: int = 224

    def __post_init__(self) -> None:
        if not 1 <= len(self.cameras) <= 2:
            raise ConfigError(f"a RING body has {len(self.cameras)} cameras, expected one or two")
        if min(self.size_m) <= 0 or self.size_m[1] <= FLOOR_GAP_M or min(self.width, self.height) <= 0:
            raise ConfigError(
                f"a RING body has a box of {self.size_m} m and pictures of {self.width}x{self.height} pixels; all must "
                f"be more than 0, the box higher than {FLOOR_GAP_M} m"
            )

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Read what `to_json` writes; a camera's or body's numbers that have a usual value may be left out.

        Raises:
            ConfigError: it is something else; the first faults are named.
        """
        faults: list[Fault] = []
        values = _read(cls, content, "body", faults)
        if faults:
            raise ConfigError(f"a RING body: {sentence(faults)}")
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as an episode has it: `{"body": ...}` in the arguments of its robot."""
        cameras = [asdict(camera) for camera in self.cameras]
        rest = {"width": self.width, "height": self.height}
        return {"size_m": list(self.size_m), "pivot_m": list(self.pivot_m), "cameras": cameras, **rest}

    def vector(self) -> np.ndarray:
        """`EMBODIMENT` of this body, (19,) float32; a camera that is not there is zeros."""
        named = zip(
            ("pivot_x_m", "pivot_z_m", "size_x_m", "size_y_m", "size_z_m"), (*self.pivot_m, *self.size_m), strict=True
        )
        own = {"width": self.width, "height": self.height, **dict(named)}
        parts = {None: own, **dict(enumerate(map(asdict, self.cameras)))}
        told = [parts[its.camera][its.name] if its.camera in parts else 0 for its in EMBODIMENT]
        return np.array(told, np.float32)

    def numbers(self) -> list[float]:
        """`vector` as records have it, to a millionth."""
        return [round(float(value), 6) for value in self.vector()]

    @property
    def outer_radius_m(self) -> float:
        """Half of the footprint's diagonal: a capsule for planning that never is too small."""
        return math.hypot(self.size_m[0], self.size_m[2]) / 2

    @property
    def inner_radius_m(self) -> float:
        """Half of the footprint's shorter side: a capsule that never is too large."""
        return min(self.size_m[0], self.size_m[2]) / 2


def draw_embodiment(rng: np.random.Generator, *, picture: tuple[int, int] | None = None) -> EmbodimentParams:
    """A random body.

    Args:
        rng: Of the draws.
        picture: Width and height in pixels, where all bodies have the same; fields of view are drawn for its aspect.

    Raises:
        ConfigError: no field of view is in bounds both ways in such a picture.
    """
    width, depth = rng.uniform(*WIDTH_M), rng.uniform(*WIDTH_M)
    height = rng.uniform(*HEIGHT_M)
    pivot = rng.uniform(-1, 1, 2) * OFFSET_SHARE * np.array([width, depth])
    if picture is None:
        sides = (FIXED_SIDE_PX, _even(int(rng.integers(*OTHER_SIDE_PX))))
        picture = sides[::-1] if rng.random() < 0.5 else sides
    bounds = fov_bounds_deg(*picture)
    if bounds[0] > bounds[1]:
        raise ConfigError(
            f"random bodies with pictures of {picture[0]}x{picture[1]} pixels: none has fields of view of "
            f"{FOV_DEG[0]} to {FOV_DEG[1]} degrees vertically and {HORIZONTAL_FOV_DEG[0]} to {HORIZONTAL_FOV_DEG[1]} "
            "horizontally; expected a picture that is less narrow"
        )
    cameras = []
    for index in range(2):
        x, z = rng.uniform(-1, 1, 2) * OFFSET_SHARE * np.array([width, depth])
        y = rng.uniform(MIN_CAMERA_HEIGHT_M, height)
        low, high = SECOND_PITCH_DEG if index else FIRST_PITCH_DEG
        if index and y < LOW_CAMERA_M:
            high = LOW_PITCH_DEG
        cameras.append(
            RingCamera(
                x_m=float(x),
                y_m=float(y),
                z_m=float(z),
                pitch_deg=float(rng.integers(low, high)),
                yaw_deg=float(rng.integers(360)) if index else 0.0,
                fovy_deg=float(rng.integers(bounds[0], bounds[1] + 1)),
            )
        )
    return EmbodimentParams(
        size_m=(float(width), float(height), float(depth)),
        pivot_m=(float(pivot[0]), float(pivot[1])),
        cameras=tuple(cameras),
        width=picture[0],
        height=picture[1],
    )


def _read(kind: type, content: Any, path: str, faults: list[Fault]) -> Any:
    """A dataclass of numbers out of a JSON object, or `FAILED` with its faults added."""
    if not isinstance(content, Mapping):
        return fail(content, "an object", path, faults)
    before, hints, values = len(faults), get_type_hints(kind), {}
    known = {part.name: part for part in fields(kind)}
    unknown = [name for name in content if name not in known]
    faults.extend(Fault(f"{path}.{name}", f"is not known, expected {', '.join(known)}") for name in unknown)
    for name, part in known.items():
        place = f"{path}.{name}"
        if name not in content:
            if part.default is MISSING:
                faults.append(Fault(place, "is missing"))
        elif name == "cameras":
            values[name] = _read_cameras(content[name], place, faults)
        else:
            values[name] = reader_of(hints[name])(content[name], place, faults)
    return FAILED if len(faults) > before else kind(**values)


def _read_cameras(content: Any, path: str, faults: list[Fault]) -> Any:
    if not isinstance(content, (list, tuple)):
        return fail(content, "a list of cameras", path, faults)
    return tuple(_read(RingCamera, item, f"{path}[{index}]", faults) for index, item in enumerate(content))


def fov_bounds_deg(width: int, height: int) -> tuple[int, int]:
    """Least and greatest whole vertical field of view whose horizontal one stays in bounds too, both inclusive."""
    low, high = FOV_DEG
    if width > height:
        high = min(high, math.floor(horizontal_fov_deg(HORIZONTAL_FOV_DEG[1], height, width)))
    if width < height:
        low = max(low, math.ceil(horizontal_fov_deg(HORIZONTAL_FOV_DEG[0], height, width)))
    return low, high


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def _two(y_m: float) -> tuple[RingCamera, RingCamera]:
    """The cameras of a Stretch: ahead, and along the arm on its right."""
    return (
        RingCamera(y_m=y_m, pitch_deg=27, fovy_deg=59),
        RingCamera(y_m=y_m, pitch_deg=33, yaw_deg=90, fovy_deg=59),
    )


BODIES: Mapping[str, EmbodimentParams] = {
    "stretch": EmbodimentParams(size_m=(0.390, 1.416, 0.329), pivot_m=(0.0, 0.116), cameras=_two(1.44)),
    "stretch_real": EmbodimentParams(size_m=(0.33, 1.41, 0.34), cameras=_two(1.40)),
    "stretch_factory": EmbodimentParams(
        size_m=(0.33, 1.41, 0.34), cameras=(RingCamera(y_m=1.30, pitch_deg=30, fovy_deg=69),)
    ),
    "locobot": EmbodimentParams(size_m=(0.352, 0.889, 0.401), cameras=(RingCamera(y_m=0.869, fovy_deg=42),)),
    "a1": EmbodimentParams(
        size_m=(0.305, 0.337, 0.638),
        pivot_m=(0.0, 0.042),
        cameras=(RingCamera(x_m=0.009, y_m=0.300, z_m=0.272, fovy_deg=42),),
        width=480,
        height=270,
    ),
    "go1": EmbodimentParams(
        size_m=(0.28, 0.40, 0.645), cameras=(RingCamera(y_m=0.28, fovy_deg=42),), width=480, height=270
    ),
}
"""Bodies of the evaluation. The sheet names pitch, height and field of view of real ones; cameras of which it gives no
place in the footprint sit in the middle, and the real Stretch's second camera is as in simulation."""


class RingBody(Robot):
    """A box on wheels that moves in discrete steps.

    Args:
        body: A name of `BODIES`, or parameters, as `draw_embodiment` makes them or as their JSON.

    Raises:
        UnknownNameError: there is no body of this name.
        ConfigError: parameters that make no body.
    """

    is_discrete: ClassVar[bool] = True

    def __init__(self, body: str | Mapping[str, Any] | EmbodimentParams = "stretch") -> None:
        if isinstance(body, str):
            if body not in BODIES:
                raise UnknownNameError(f"no RING body {body!r}; there are {', '.join(BODIES)}")
            self.params = BODIES[body]
        else:
            self.params = body if isinstance(body, EmbodimentParams) else EmbodimentParams.from_json(body)
        self.name = "ring_body"
        self.clocks = NAVIGATION
        self.groups = (base_group(),)
        self.camera_systems = {"ring_body": _camera_system(self.params)}

    def add_to(self, spec: mujoco.MjSpec, *, prefix: str = "robot_0/", base_pose7: Sequence[float]) -> mujoco.MjsBody:
        """Build it; the pose is that of the turning centre, upright."""
        base = add_planar_base(spec, prefix, base_pose7)
        width, height, depth = self.params.size_m
        right, forward = self.params.pivot_m
        add_solid(
            base,
            name=f"{prefix}box",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[depth / 2, width / 2, (height - FLOOR_GAP_M) / 2],
            pos=[forward, -right, (height + FLOOR_GAP_M) / 2],
            mass=50.0,
            rgba=(0.4, 0.4, 0.45, 1.0),
            group=COLLISION_GROUP,  # cameras are inside
        )
        return base

    def embodiment(self) -> list[float]:
        return self.params.numbers()

    def actions(self, view: RobotView, *, pickupable: Sequence[int] = ()) -> RingActions:
        """Its seven actions; it has no hand, so nothing is pickupable for it."""
        del pickupable
        return RingActions(view)


class RingActions(DiscreteActions):
    """The actions of navigation on a box on wheels; those of an arm do nothing and fail.

    Args:
        view: Of the robot.
    """

    def __init__(self, view: RobotView) -> None:
        self.mover = DiscreteMover(view)

    def step(self, action: SpocAction, *, rng: np.random.Generator | None = None) -> Outcome:
        if action in (SpocAction.DONE, SpocAction.SUB_DONE):
            return Outcome(moved=True)
        return self.mover.move(action.effect, rng=rng) if action in NAVIGATION_ACTIONS else Outcome(moved=False)


def _camera_system(params: EmbodimentParams) -> CameraSystem:
    names = ("navigation_camera", "manipulation_camera")
    right, forward = params.pivot_m
    mounted = tuple(
        MountedCamera(
            camera=PlacedCamera(
                name=name,
                body="base",
                position_m=(forward + camera.z_m, -right - camera.x_m, camera.y_m),
                quat_wxyz=quat_from_pitch(camera.pitch_deg, -camera.yaw_deg),
                fovy_deg=camera.fovy_deg,
            )
        )
        for name, camera in zip(names, params.cameras, strict=False)
    )
    return CameraSystem(name="ring_body", width=params.width, height=params.height, mounted=mounted)

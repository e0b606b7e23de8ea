"""The tabletop: typed scene description, its MuJoCo model, and the simulation that records what happened.

World frame: z up, the table top is z = 0, lengths in metres. The camera's ground frame has `right` and `forward` (away
from the camera) on the table; "left", "right", "toward" and "away" always mean that frame.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zoo.envs.simulator import mujoco

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.03, 0.03),
    "orange": (1.0, 0.45, 0.0),
    "yellow": (1.0, 0.92, 0.05),
    "green": (0.05, 0.6, 0.1),
    "cyan": (0.05, 0.85, 0.9),
    "blue": (0.05, 0.1, 0.9),
    "purple": (0.42, 0.05, 0.65),
    "pink": (1.0, 0.35, 0.75),
}
SHAPES = ("cube", "ball", "cylinder", "cone")
SIZES_M = {"small": 0.12, "large": 0.2}  # diameter or edge
DIRECTIONS = ("left", "right", "toward", "away")

MASS_KG = 0.2  # the same for all, so that every hit moves what it hits
FRICTION = (0.12, 0.005, 0.004)  # sliding, torsional (m), rolling (m)
GRAVITY = 9.81  # m/s2
SIM_DT = 0.004  # s
SETTLE_S = 0.2  # simulated before the recording starts
RECORD_EVERY = 5  # simulation steps between two recorded states: 20 ms
CONE_SIDES = 24
CONE_HEIGHT = 1.25  # times the diameter

UNSTABLE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)

Action = Literal["push", "hit", "leave", "enter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectSpec:
    """One object: how it looks and where it stands before anything happens."""

    colour: str
    shape: str
    size: str
    position_m: tuple[float, float, float]
    yaw: float  # rad

    @property
    def radius_m(self) -> float:
        """Radius of the footprint's bounding circle; a cube's corners stick out of it by a fifth."""
        return SIZES_M[self.size] / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One impulse: at `time_s` object `actor` gets a velocity.

    `push`, `leave` and `enter` use `velocity` (m/s, world). `hit` aims at where object `target` is at that moment and
    uses only the speed. An entering object floats out of view, without weight, until its time has come.
    """

    action: Action
    actor: int
    time_s: float
    velocity: tuple[float, float, float]
    target: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraSpec:
    """A pinhole camera that looks at a point of the table."""

    look_at_m: tuple[float, float, float]
    azimuth: float  # rad, world direction of `forward`
    elevation: float  # rad above the table
    distance_m: float
    fov_y_deg: float

    @property
    def right(self) -> np.ndarray:
        """(3,) unit vector on the table, to the right in the picture."""
        return np.array([math.sin(self.azimuth), -math.cos(self.azimuth), 0.0])

    @property
    def forward(self) -> np.ndarray:
        """(3,) unit vector on the table, away from the camera."""
        return np.array([math.cos(self.azimuth), math.sin(self.azimuth), 0.0])

    @property
    def up(self) -> np.ndarray:
        """(3,) unit vector, up in the picture."""
        return math.sin(self.elevation) * self.forward + math.cos(self.elevation) * np.array([0.0, 0.0, 1.0])

    @property
    def view(self) -> np.ndarray:
        """(3,) unit vector along the optical axis."""
        return math.cos(self.elevation) * self.forward - math.sin(self.elevation) * np.array([0.0, 0.0, 1.0])

    @property
    def position_m(self) -> np.ndarray:
        """(3,) centre of projection."""
        return np.array(self.look_at_m) - self.distance_m * self.view

    def project(self, points_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project world points.

        Args:
            points_m: (..., 3).
        Returns:
            (..., 2) picture coordinates in half heights, x right, y down, 0 at the centre, and (...,) depth in metres.
        """
        relative = points_m - self.position_m
        depth = relative @ self.view
        scale = 1 / math.tan(math.radians(self.fov_y_deg) / 2)
        plane = np.stack([relative @ self.right, -(relative @ self.up)], axis=-1)
        return scale * plane / depth[..., None], depth


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneSpec:
    """Everything a clip depends on."""

    objects: tuple[ObjectSpec, ...]
    events: tuple[Event, ...]
    camera: CameraSpec
    table_rgb: tuple[float, float, float]
    light_direction: tuple[float, float, float]
    light_level: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """What the simulation recorded. T states 20 ms apart, F frames, N objects; time 0 is the first frame."""

    times_s: np.ndarray  # (T,)
    positions_m: np.ndarray  # (T, N, 3)
    frame_qpos: np.ndarray  # (F, 7 N)
    frame_times_s: np.ndarray  # (F,)
    contacts: dict[tuple[int, int], float]  # object pair, lower index first -> first contact, s
    drift_m: float  # largest motion while settling
    is_stable: bool = True  # False if MuJoCo met a state that is no number and began anew


def build_model(scene: SceneSpec, *, image_size: int) -> mujoco.MjModel:
    """Compile a scene. Object i is body `object{i}` with one geom; camera 0 is the scene's.

    Args:
        scene: What to build.
        image_size: Edge of the largest picture to be rendered, pixels.
    """
    return build_spec(scene, image_size=image_size).compile()


def build_spec(scene: SceneSpec, *, image_size: int) -> mujoco.MjSpec:
    """The model of a scene before compilation, for tasks that add a robot to it; arguments as of `build_model`."""
    spec = mujoco.MjSpec()
    spec.option.timestep = SIM_DT
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.gravity = (0, 0, -GRAVITY)
    _set_visuals(spec, scene, image_size)
    world = spec.worldbody
    world.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[-3 * x for x in scene.light_direction],
        dir=scene.light_direction,
        diffuse=[0.55 * scene.light_level] * 3,
        specular=[0.15] * 3,
        castshadow=True,
    )
    world.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[6, 6, 0.1],
        rgba=[*scene.table_rgb, 1],
        friction=FRICTION,
        condim=6,
        priority=1,  # its contacts are critically damped; with the objects' bounce a standing cylinder wanders
    )
    _add_camera(world, scene.camera)
    for size, diameter in SIZES_M.items():
        spec.add_mesh(name=f"cone_{size}", uservert=_cone_vertices(diameter).ravel())
    entering = {event.actor for event in scene.events if event.action == "enter"}
    for index, item in enumerate(scene.objects):
        _add_object(world, item, index=index, floats=index in entering)
    return spec


def simulate(scene: SceneSpec, model: mujoco.MjModel, *, num_frames: int, fps: float) -> Trajectory:
    """Let the scene settle, then run it through its events.

    Args:
        scene: The description that `model` was compiled from.
        model: Its model; the weightlessness of entering objects is switched off at their time.
        num_frames: Frames to record; the first shows time 0.
        fps: Frames per second.
    """
    data = mujoco.MjData(model)
    num_objects = len(scene.objects)
    start = _positions(data, num_objects)
    for _ in range(round(SETTLE_S / SIM_DT)):
        mujoco.mj_step(model, data)
    drift = float(np.abs(_positions(data, num_objects) - start).max()) if num_objects else 0.0
    data.qvel[:] = 0
    frame_steps = [round(frame / fps / SIM_DT) for frame in range(num_frames)]
    pending = sorted(scene.events, key=lambda event: event.time_s)
    times: list[float] = []
    positions: list[np.ndarray] = []
    frames: list[np.ndarray] = []
    contacts: dict[tuple[int, int], float] = {}
    first_geom = int(model.geom("object0").id)
    for step in range(frame_steps[-1] + 1):
        time_s = step * SIM_DT
        if step % RECORD_EVERY == 0:
            times.append(time_s)
            positions.append(_positions(data, num_objects))
        if len(frames) < num_frames and step == frame_steps[len(frames)]:
            frames.append(data.qpos.copy())
        while pending and pending[0].time_s <= time_s:
            _apply(pending.pop(0), scene, model, data)
        mujoco.mj_step(model, data)
        if data.ncon > num_objects:  # fewer contacts than objects cannot be more than the table's
            _note_contacts(data, first_geom, time_s, contacts)
    return Trajectory(
        times_s=np.array(times),
        positions_m=np.array(positions),
        frame_qpos=np.array(frames),
        frame_times_s=np.array(frame_steps) * SIM_DT,
        contacts=contacts,
        drift_m=drift,
        is_stable=not any(data.warning[kind].number for kind in UNSTABLE),
    )


def _positions(data: mujoco.MjData, num_objects: int) -> np.ndarray:
    return data.qpos.reshape(num_objects, 7)[:, :3].copy()


def _apply(event: Event, scene: SceneSpec, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    velocity = np.array(event.velocity)
    address = 6 * event.actor
    if event.action == "hit":
        assert event.target is not None
        position = data.qpos.reshape(-1, 7)[:, :3]
        path = (position[event.target] - position[event.actor]) * [1, 1, 0]
        velocity = path / max(float(np.linalg.norm(path)), 1e-6) * np.linalg.norm(velocity)
    elif event.action == "enter":
        model.body_gravcomp[model.body(f"object{event.actor}").id] = 0
    data.qvel[address : address + 3] = velocity


def _note_contacts(data: mujoco.MjData, first_geom: int, time_s: float, contacts: dict[tuple[int, int], float]) -> None:
    pairs = data.contact.geom - first_geom
    for first, second in pairs[(pairs >= 0).all(axis=1)]:
        pair = (int(min(first, second)), int(max(first, second)))
        contacts.setdefault(pair, time_s)


def _set_visuals(spec: mujoco.MjSpec, scene: SceneSpec, image_size: int) -> None:
    visual = spec.visual
    visual.global_.offwidth = visual.global_.offheight = image_size
    visual.quality.offsamples = 4
    visual.quality.shadowsize = 512
    visual.headlight.ambient = [0.35 * scene.light_level] * 3
    visual.headlight.diffuse = [0.25 * scene.light_level] * 3
    visual.headlight.specular = [0.1] * 3
    visual.map.znear, visual.map.zfar = 0.05, 40.0
    spec.stat.extent = 1.0


def _add_camera(world, camera: CameraSpec) -> None:
    axes = np.stack([camera.right, camera.up, -camera.view], axis=1)  # columns; a camera looks along its -z
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(axes).ravel())
    world.add_camera(name="view", pos=camera.position_m, quat=quat, fovy=camera.fov_y_deg)


def _add_object(world, item: ObjectSpec, *, index: int, floats: bool) -> None:
    quat = [math.cos(item.yaw / 2), 0, 0, math.sin(item.yaw / 2)]
    body = world.add_body(name=f"object{index}", pos=item.position_m, quat=quat, gravcomp=float(floats))
    body.add_freejoint()
    edge = SIZES_M[item.size]
    shape = {
        "cube": {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [edge * 0.45] * 3},
        "ball": {"type": mujoco.mjtGeom.mjGEOM_SPHERE, "size": [edge * 0.52, 0, 0]},
        "cylinder": {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "size": [edge * 0.4, edge * 0.52, 0]},
        "cone": {"type": mujoco.mjtGeom.mjGEOM_MESH, "meshname": f"cone_{item.size}"},
    }[item.shape]
    body.add_geom(
        name=f"object{index}",
        mass=MASS_KG,
        rgba=[*COLOURS[item.colour], 1],
        friction=FRICTION,
        condim=6,
        solref=[0.02, 0.5],
        **shape,
    )


def rest_height_m(shape: str, size: str) -> float:
    """Height of an object's body origin when it stands on the table, metres."""
    edge = SIZES_M[size]
    return {"cube": 0.45, "ball": 0.52, "cylinder": 0.52, "cone": CONE_HEIGHT / 4}[shape] * edge


def _cone_vertices(diameter: float) -> np.ndarray:
    """(CONE_SIDES + 1, 3) corners of a cone whose centre of mass, a quarter up, is the origin."""
    angles = 2 * np.pi * np.arange(CONE_SIDES) / CONE_SIDES
    base = np.stack([np.cos(angles), np.sin(angles), np.zeros(CONE_SIDES)], axis=1) * diameter * 0.56
    return np.vstack([base, [0, 0, diameter * CONE_HEIGHT]]) - [0, 0, diameter * CONE_HEIGHT / 4]

"""A small manipulation task over the tabletop scene: push the named object to the disc with a finger."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.simulator import mujoco
from zoo.envs.tabletop_sampling import sample_scene
from zoo.envs.tabletop_scene import SIM_DT, SIZES_M, SceneSpec, build_spec
from zoo.errors import ConfigError

TABLE_FRICTION = (0.6, 0.01, 0.012)  # sliding, torsional (m), rolling (m): what is let go soon lies still
FINGER_RADIUS_M = 0.025
FINGER_HALF_HEIGHT_M = 0.05
FINGER_MASS_KG = 1.0
FINGER_GAIN = 60.0  # N s/m of the velocity servo
FINGER_FORCE_N = 30.0  # friction holds an object with 1.2 N
FINGER_LOW_M = 0.06  # height of its centre when it almost touches the table
FINGER_HIGH_M = 0.36  # clears the tallest object
WORKSPACE_M = 1.0  # the finger moves within +- this, in x and y
TOP_SPEED = np.array([0.5, 0.5, 0.8])  # m/s of action 1 along x, y, z
LIFTED_SHARE = 0.95  # of its way up at which an episode begins
GOAL_DISTANCE_M = (0.2, 0.45)  # from the target to the disc at the start
CLEARANCE_M = 0.04  # beside the finger and the object on their way to the disc
MAX_GOAL_DRAWS = 60


class TabletopPush(gymnasium.Env):
    """Push one of several objects over the table until it lies on a disc. Version 1.

    Observation, all float32, world frame in metres:
        finger_xyz_m (3,): centre of the finger. object_xy_m (num_objects, 2): where the objects are.
        object_radius_m (num_objects,): radii of their bounding circles. goal_xy_m (2,): centre of the disc.
        target (num_objects,): 1 for the named object, else 0.
    Action (3,) float32 in [-1, 1]: the finger's velocity along x, y, z as a share of `TOP_SPEED`, held for `policy_dt`.
    Reward: minus the distance from the target to the disc, metres.

    Args:
        num_objects: Objects on the table, one of them the target.
        success_distance_m: Largest distance between the centres of target and disc that counts as on it.
        success_speed: Largest speed of the target, m/s, that counts as lying.
        hold_steps: Steps in a row that target must lie on the disc.
        horizon_steps: Steps after which an episode is cut off.
        policy_dt: Seconds between two actions.
        image_size: Edge of the picture that `render` draws, pixels.
        render_mode: `rgb_array` for pictures.
    """

    kind: ClassVar[str] = "env"
    version: ClassVar[int] = 1
    example_args: ClassVar[dict[str, Any]] = {}
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        *,
        num_objects: int = 3,
        success_distance_m: float = 0.04,
        success_speed: float = 0.05,
        hold_steps: int = 2,
        horizon_steps: int = 150,
        policy_dt: float = 0.1,
        image_size: int = 144,
        render_mode: str | None = None,
    ) -> None:
        if not 1 <= num_objects <= 4:
            raise ConfigError(f"tabletop_push: num_objects is {num_objects}, expected 1 to 4")
        if min(success_distance_m, success_speed, hold_steps, horizon_steps, policy_dt) <= 0:
            raise ConfigError(
                f"tabletop_push: success_distance_m {success_distance_m}, success_speed {success_speed}, hold_steps "
                f"{hold_steps}, horizon_steps {horizon_steps} and policy_dt {policy_dt} must all be more than 0"
            )
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"tabletop_push: render_mode is {render_mode!r}, expected None or 'rgb_array'")
        self.num_objects = num_objects
        self.success_distance_m, self.success_speed, self.hold_steps = success_distance_m, success_speed, hold_steps
        self.horizon_steps, self.policy_dt, self.image_size = horizon_steps, policy_dt, image_size
        self.render_mode = render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        far = 10.0  # m; nothing gets there
        self.observation_space = spaces.Dict(
            {
                "finger_xyz_m": spaces.Box(-far, far, (3,), np.float32),
                "object_xy_m": spaces.Box(-far, far, (num_objects, 2), np.float32),
                "object_radius_m": spaces.Box(0.0, far, (num_objects,), np.float32),
                "goal_xy_m": spaces.Box(-far, far, (2,), np.float32),
                "target": spaces.Box(0.0, 1.0, (num_objects,), np.float32),
            }
        )
        self._renderer: OffscreenRenderer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Draw a scene, a target and a disc; `info["task"]` describes the task in plain JSON."""
        super().reset(seed=seed)
        self._scene, self._target, self._goal = _draw_task(self.np_random, self.num_objects)
        spec = build_spec(self._scene, image_size=self.image_size)
        _add_finger_and_disc(spec, self._goal, self.success_distance_m)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._joints = [self._model.joint(f"finger_{axis}").id for axis in "xyz"]
        self._finger_qpos = self._model.jnt_qposadr[self._joints]
        self._bodies = [self._model.body(f"object{index}").id for index in range(self.num_objects)]
        self._target_dof = int(self._model.body_dofadr[self._bodies[self._target]])
        self._data.qpos[self._finger_qpos[2]] = LIFTED_SHARE * (FINGER_HIGH_M - FINGER_LOW_M)
        mujoco.mj_forward(self._model, self._data)
        self._steps = self._held = 0
        self._ever = False
        if self._renderer is not None:
            self._renderer.bind(self._model)
        return self._observation(), {"task": self._task(), "success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move the finger for `policy_dt`; `info` has the distance and the success flags."""
        self._data.ctrl[:] = np.clip(np.asarray(action, np.float64), -1, 1) * TOP_SPEED
        for _ in range(round(self.policy_dt / SIM_DT)):
            mujoco.mj_step(self._model, self._data)
        self._steps += 1
        distance = float(np.linalg.norm(self._positions()[self._target] - self._goal))
        speed = float(np.linalg.norm(self._data.qvel[self._target_dof : self._target_dof + 3]))
        is_there = distance <= self.success_distance_m and speed <= self.success_speed
        self._held = self._held + 1 if is_there else 0
        success = self._held >= self.hold_steps
        self._ever = self._ever or success
        terminated, truncated = success, not success and self._steps >= self.horizon_steps
        info: dict[str, Any] = {"distance_m": distance, "speed": speed, "success": success}
        if terminated or truncated:
            info |= {"success_at_end": success, "success_oracle": self._ever}
        return self._observation(), -distance, terminated, truncated, info

    def render(self) -> np.ndarray | None:
        """(image_size, image_size, 3) uint8 picture of the scene's camera, or None without render_mode."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = OffscreenRenderer(width=self.image_size, height=self.image_size)
            self._renderer.bind(self._model)
        self._renderer.update(self._data)
        return self._renderer.rgb()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _task(self) -> dict[str, Any]:
        colour = self._scene.objects[self._target].colour
        return {
            "instruction": f"push the {colour} object to the disc",
            "version": self.version,
            "success_distance_m": self.success_distance_m,
            "success_speed": self.success_speed,
            "hold_steps": self.hold_steps,
            "horizon_steps": self.horizon_steps,
            "policy_dt": self.policy_dt,
        }

    def _positions(self) -> np.ndarray:
        return self._data.xpos[self._bodies, :2]

    def _observation(self) -> dict[str, np.ndarray]:
        finger = self._data.xpos[self._model.body("finger").id]
        target = np.zeros(self.num_objects, np.float32)
        target[self._target] = 1
        return {
            "finger_xyz_m": finger.astype(np.float32),
            "object_xy_m": self._positions().astype(np.float32),
            "object_radius_m": np.array([item.radius_m for item in self._scene.objects], np.float32),
            "goal_xy_m": self._goal.astype(np.float32),
            "target": target,
        }


def _draw_task(rng: np.random.Generator, num_objects: int) -> tuple[SceneSpec, int, np.ndarray]:
    """A scene at rest, the index of the target and a disc that can be reached in a straight line."""
    while True:
        scene = sample_scene(rng, num_objects=num_objects, has_events=False)
        target = int(rng.integers(num_objects))
        start = np.array(scene.objects[target].position_m[:2])
        for _ in range(MAX_GOAL_DRAWS):
            angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*GOAL_DISTANCE_M)
            goal = start + distance * np.array([np.cos(angle), np.sin(angle)])
            if np.linalg.norm(goal) < 0.5 and _is_free(scene, target, goal):
                return scene, target, goal


def _is_free(scene: SceneSpec, target: int, goal: np.ndarray) -> bool:
    """Whether no other object stands on the strip from behind the target to the disc."""
    start = np.array(scene.objects[target].position_m[:2])
    along = (goal - start) / np.linalg.norm(goal - start)
    radius = 1.2 * scene.objects[target].radius_m
    first, last = -(radius + 3 * FINGER_RADIUS_M), float(np.linalg.norm(goal - start)) + radius
    for index, other in enumerate(scene.objects):
        offset = np.array(other.position_m[:2]) - start
        place = np.clip(float(offset @ along), first, last)
        if index != target and np.linalg.norm(offset - place * along) < radius + 1.2 * other.radius_m + CLEARANCE_M:
            return False
    return True


def _add_finger_and_disc(spec: mujoco.MjSpec, goal: np.ndarray, disc_radius_m: float) -> None:
    spec.geom("table").friction = TABLE_FRICTION
    spec.worldbody.add_geom(
        name="disc",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[*goal, 0.001],
        size=[disc_radius_m + min(SIZES_M.values()) / 2, 0.001, 0],
        rgba=[1, 1, 1, 1],
        contype=0,
        conaffinity=0,
    )
    finger = spec.worldbody.add_body(name="finger", pos=[0, 0, FINGER_LOW_M], gravcomp=1)
    reach = {
        "x": (-WORKSPACE_M, WORKSPACE_M),
        "y": (-WORKSPACE_M, WORKSPACE_M),
        "z": (0.0, FINGER_HIGH_M - FINGER_LOW_M),
    }
    for number, (axis, limits) in enumerate(reach.items()):
        finger.add_joint(
            name=f"finger_{axis}",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=np.eye(3)[number],
            range=limits,
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        )
        actuator = spec.add_actuator(name=f"finger_{axis}", target=f"finger_{axis}", trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_velocity(kv=FINGER_GAIN)
        actuator.forcerange = (-FINGER_FORCE_N, FINGER_FORCE_N)
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    finger.add_geom(
        name="finger",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[FINGER_RADIUS_M, FINGER_HALF_HEIGHT_M, 0],
        mass=FINGER_MASS_KG,
        rgba=[0.1, 0.1, 0.1, 1],
        friction=(0.1, 0.005, 0.001),
        condim=3,
    )

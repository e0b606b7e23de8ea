"""Draw random tabletop scenes: what stands where, what is pushed when, and from where it is seen.

Everything that a question asks about is drawn independently of everything that its text names (colours by permutation,
directions and numbers from shuffled decks), so texts carry no hint of answers from here on.
"""

import math

import numpy as np

from zoo.envs.tabletop_scene import (
    COLOURS,
    DIRECTIONS,
    FRICTION,
    GRAVITY,
    SHAPES,
    SIZES_M,
    Action,
    CameraSpec,
    Event,
    ObjectSpec,
    SceneSpec,
    rest_height_m,
)

MAX_OBJECTS = 6
MAX_EVENTS = 3
EVENT_SHARES = (0.13, 0.27, 0.38, 0.22)  # of clips with 0, 1, 2, 3 events
ACTION_SHARES: dict[Action, float] = {"push": 0.34, "hit": 0.36, "leave": 0.14, "enter": 0.16}
DECELERATION = FRICTION[0] * GRAVITY  # of a sliding object, m/s2

EVENT_WINDOW_S = (0.25, 1.75)  # as much rest before as after: else shuffled frames tell by their number what came last
EVENT_GAP_S = (0.6, 0.75)
PUSH_DISTANCE_M = (0.18, 0.4)
LEAVE_SPEED = (1.8, 2.3)  # m/s
ENTER_SPEED = (1.15, 1.4)  # m/s over the table
ENTER_HEIGHT_M = (0.15, 0.3)
ENTER_RISE = 0.5  # m/s upwards
HIT_REACH_M = 0.45  # how far a hit would slide beyond its target
DIRECTION_JITTER = math.radians(16)

VIEW_WIDTH_M = (1.0, 1.22)  # of the table at its centre
ZONE_SHARE = 0.38  # radius of the disc where objects stand, of the view's width
GAP_M = 0.05  # between footprints
PICTURE_MARGIN = 0.06  # half heights kept free at the border at the start
OVERLAP_SHARE = 0.8  # allowed distance in the picture, of the sum of two projected radii
MAX_PLACEMENTS = 400


def sample_scene(rng: np.random.Generator, *, num_objects: int, has_events: bool = True) -> SceneSpec:
    """Draw a scene.

    Args:
        rng: Source of all randomness.
        num_objects: 1 to `MAX_OBJECTS`, entering ones included.
        has_events: Draw pushes and throws; without them everything stands still, as a task for a robot needs it.
    """
    while True:
        camera = _sample_camera(rng)
        looks = _sample_looks(rng, num_objects)
        events = _sample_events(rng, num_objects, camera) if has_events else ()
        objects = _place(rng, looks, events, camera)
        if objects is not None:
            return SceneSpec(
                objects=objects,
                events=events,
                camera=camera,
                table_rgb=_sample_table(rng),
                light_direction=_sample_light(rng),
                light_level=float(rng.uniform(0.85, 1.15)),
            )


def _sample_camera(rng: np.random.Generator) -> CameraSpec:
    fov = float(rng.uniform(30, 48))
    width = float(rng.uniform(*VIEW_WIDTH_M))
    return CameraSpec(
        look_at_m=(float(rng.uniform(-0.03, 0.03)), float(rng.uniform(-0.03, 0.03)), 0.05),
        azimuth=float(rng.uniform(0, 2 * math.pi)),
        elevation=math.radians(float(rng.uniform(40, 62))),
        distance_m=width / (2 * math.tan(math.radians(fov) / 2)),
        fov_y_deg=fov,
    )


def _view_width_m(camera: CameraSpec) -> float:
    return 2 * camera.distance_m * math.tan(math.radians(camera.fov_y_deg) / 2)


def _sample_looks(rng: np.random.Generator, num_objects: int) -> list[tuple[str, str, str]]:
    """Distinct colours; shapes and sizes drawn with one clip's own leanings, so that counts of 0 to 3 all occur."""
    colours = rng.permutation(list(COLOURS))[:num_objects]
    shapes = rng.choice(SHAPES, size=num_objects, p=rng.dirichlet([0.7] * len(SHAPES)))
    sizes = rng.choice(list(SIZES_M), size=num_objects, p=rng.dirichlet([1.0] * len(SIZES_M)))
    return [(str(colour), str(shape), str(size)) for colour, shape, size in zip(colours, shapes, sizes, strict=True)]


def _sample_events(rng: np.random.Generator, num_objects: int, camera: CameraSpec) -> tuple[Event, ...]:
    count = min(int(rng.choice(len(EVENT_SHARES), p=EVENT_SHARES)), num_objects)
    actors = rng.permutation(num_objects)[:count]
    directions = rng.permutation(DIRECTIONS)
    gaps = rng.uniform(*EVENT_GAP_S, size=max(count - 1, 0))
    time_s = float(rng.uniform(EVENT_WINDOW_S[0], EVENT_WINDOW_S[1] - gaps.sum()))
    events = []
    for index, actor in enumerate(int(actor) for actor in actors):
        action: Action = list(ACTION_SHARES)[int(rng.choice(len(ACTION_SHARES), p=list(ACTION_SHARES.values())))]
        others = [other for other in range(num_objects) if other != actor]
        if action == "hit" and not others:
            action = "push"
        target = int(rng.choice(others)) if action == "hit" else None
        velocity = _sample_velocity(rng, action, str(directions[index]), camera)
        events.append(Event(action=action, actor=actor, time_s=time_s, velocity=velocity, target=target))
        time_s += float(gaps[index]) if index < len(gaps) else 0.0
    return tuple(events)


def _sample_velocity(
    rng: np.random.Generator, action: Action, direction: str, camera: CameraSpec
) -> tuple[float, float, float]:
    axis = {
        "left": -camera.right,
        "right": camera.right,
        "toward": -camera.forward,
        "away": camera.forward,
    }[direction]
    turn = float(rng.uniform(-DIRECTION_JITTER, DIRECTION_JITTER))
    cos, sin = math.cos(turn), math.sin(turn)
    heading = np.array([cos * axis[0] - sin * axis[1], sin * axis[0] + cos * axis[1], 0.0])
    distance = float(rng.uniform(*PUSH_DISTANCE_M))
    speed = {
        "push": math.sqrt(2 * DECELERATION * distance),
        "hit": math.sqrt(2 * DECELERATION * (HIT_REACH_M + distance)),
        "leave": float(rng.uniform(*LEAVE_SPEED)),
        "enter": float(rng.uniform(*ENTER_SPEED)),
    }[action]
    x, y, _ = heading * speed
    return float(x), float(y), ENTER_RISE if action == "enter" else 0.0


def _place(
    rng: np.random.Generator, looks: list[tuple[str, str, str]], events: tuple[Event, ...], camera: CameraSpec
) -> tuple[ObjectSpec, ...] | None:
    """Positions without overlap on the table or, much, in the picture; None if the draw does not fit."""
    entering = {event.actor: event for event in events if event.action == "enter"}
    placed: list[ObjectSpec] = []
    for index, (colour, shape, size) in enumerate(looks):
        for _ in range(MAX_PLACEMENTS // len(looks)):
            if index in entering:
                position = _outside(rng, entering[index], camera)
            else:
                radius = ZONE_SHARE * _view_width_m(camera) * math.sqrt(rng.uniform())
                angle = rng.uniform(0, 2 * math.pi)
                x, y = camera.look_at_m[0] + radius * math.cos(angle), camera.look_at_m[1] + radius * math.sin(angle)
                position = (float(x), float(y), rest_height_m(shape, size) + 0.0005)
            item = ObjectSpec(
                colour=colour, shape=shape, size=size, position_m=position, yaw=float(rng.uniform(0, 2 * math.pi))
            )
            if _fits(item, placed, camera, is_entering=index in entering):
                placed.append(item)
                break
        else:
            return None
    return tuple(placed)


def _outside(rng: np.random.Generator, event: Event, camera: CameraSpec) -> tuple[float, float, float]:
    """A point out of view from which the event's velocity leads over the middle of the table."""
    heading = np.array(event.velocity[:2]) / math.hypot(*event.velocity[:2])
    across = np.array([-heading[1], heading[0]])
    reach = _view_width_m(camera) * rng.uniform(0.75, 1.0)
    point = np.array(camera.look_at_m[:2]) - heading * reach + across * rng.uniform(-0.2, 0.2)
    return float(point[0]), float(point[1]), float(rng.uniform(*ENTER_HEIGHT_M))


def _fits(item: ObjectSpec, placed: list[ObjectSpec], camera: CameraSpec, *, is_entering: bool) -> bool:
    radius = 1.2 * item.radius_m
    centre, depth = camera.project(np.array(item.position_m))
    half = radius / (float(depth) * math.tan(math.radians(camera.fov_y_deg) / 2))
    reach = float(np.abs(centre).max())
    if is_entering and (reach < 1 + half or depth < 0.3):
        return False
    if not is_entering and reach > 1 - PICTURE_MARGIN - half:
        return False
    for other in placed:
        between = math.dist(item.position_m[:2], other.position_m[:2])
        if between < radius + 1.2 * other.radius_m + GAP_M:
            return False
        there, other_depth = camera.project(np.array(other.position_m))
        other_half = 1.2 * other.radius_m / (float(other_depth) * math.tan(math.radians(camera.fov_y_deg) / 2))
        if float(np.linalg.norm(centre - there)) < OVERLAP_SHARE * (half + other_half):
            return False
    return True


def _sample_table(rng: np.random.Generator) -> tuple[float, float, float]:
    """A table colour that no object has: grey to brown or bluish, never saturated."""
    level = rng.uniform(0.3, 0.72)
    tint = rng.uniform(-0.06, 0.06, size=3)
    red, green, blue = np.clip(level + tint, 0, 1)
    return float(red), float(green), float(blue)


def _sample_light(rng: np.random.Generator) -> tuple[float, float, float]:
    angle, slant = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.7)
    direction = np.array([slant * math.cos(angle), slant * math.sin(angle), -1.0])
    x, y, z = direction / np.linalg.norm(direction)
    return float(x), float(y), float(z)

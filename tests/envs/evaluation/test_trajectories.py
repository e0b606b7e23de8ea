import io
import math

import numpy as np
import pytest
from PIL import Image
from two_rooms import DEPTH_M, DOOR_OFFSET_M, DOOR_WIDTH_M, WIDTH_M, two_rooms

from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.tasks import new_task
from zoo.envs.evaluation.trajectories import (
    END,
    LONGEST_PX,
    MARGIN_PX,
    OUTSIDE,
    ROOM_COLOURS,
    SOUGHT,
    START,
    THING,
    WALL,
    WAY,
    Trajectory,
    TrajectoryRecorder,
    picture,
    way_colour,
)
from zoo.envs.navigation.raster import ConvexShapes
from zoo.envs.scenes.specification import Leaf
from zoo.envs.simulation import simulation
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.navigation_actions import SpocAction

PX_PER_M = LONGEST_PX / (2 * DEPTH_M)


def squares(*corners_m, side_m=0.4):
    """Upright squares by their lowest corners."""
    corners = [
        (x + dx, y + dy) for x, y in corners_m for dx, dy in ((0, 0), (side_m, 0), (side_m, side_m), (0, side_m))
    ]
    return ConvexShapes(
        corners=np.array(corners, np.float64).reshape(-1, 2),
        counts=np.full(len(corners_m), 4),
        centres=np.zeros((0, 2)),
        spreads=np.zeros((0, 2, 2)),
    )


def trajectory(**changes):
    """Through the west room along x, things in both rooms."""
    poses = np.column_stack([np.linspace(0.5, 3.5, 16), np.full(16, 2.5), np.zeros(16)])
    told = {
        "scene": two_rooms({}).scene,
        "things": squares((6.0, 2.5)),
        "sought": squares((6.0, 0.5)),
        "poses": poses,
        "said": (SpocAction.MOVE_AHEAD,) * 15,
    }
    return Trajectory(**told | changes)


def colour_at(image, x, y):
    """Of a point of the floor; north is up."""
    low = image.height - MARGIN_PX - y * PX_PER_M
    return image.getpixel((int(MARGIN_PX + x * PX_PER_M), int(low)))


def near(colour, wanted, tolerance=12):
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= tolerance


def test_rooms_walls_things_and_targets_lie_where_they_are():
    image = picture(trajectory())
    assert image.size == (LONGEST_PX + 2 * MARGIN_PX, math.ceil(WIDTH_M * PX_PER_M) + 2 * MARGIN_PX)
    assert colour_at(image, 1.0, 0.5) == ROOM_COLOURS[0]
    assert colour_at(image, 6.2, 2.7) == THING
    assert colour_at(image, 6.2, 0.7) == SOUGHT
    assert image.getpixel((0, 0)) == OUTSIDE
    assert colour_at(image, DEPTH_M, 0.4) == WALL
    assert colour_at(image, DEPTH_M, DOOR_OFFSET_M + DOOR_WIDTH_M / 2) == ROOM_COLOURS[0]  # one walks through


def test_the_way_is_coloured_by_time_from_start_to_end():
    image = picture(trajectory())
    assert near(colour_at(image, 0.5, 2.5), START)
    assert near(colour_at(image, 3.5, 2.5), END)
    for x in (1.3, 2.0, 2.7):  # not where a room is labelled
        assert near(colour_at(image, x, 2.5), way_colour((x - 0.5) / 3.0), tolerance=25), x


def test_shares_of_time_have_the_colours_of_the_legend():
    assert [way_colour(share) for share in (0, 0.25, 0.5, 0.75, 1)] == list(WAY)
    assert way_colour(0.125) == (20, 118, 195)


def test_saying_done_draws_a_ring_around_the_end():
    silent, told = trajectory(), trajectory(said=(*(SpocAction.MOVE_AHEAD,) * 14, SpocAction.DONE))
    reach = 8.5 / PX_PER_M  # from the middle to the line of the ring
    assert not near(colour_at(picture(silent), 3.5, 2.5 + reach), END, 60)
    assert near(colour_at(picture(told), 3.5, 2.5 + reach), END, 60)


@pytest.mark.parametrize("action", [SpocAction.SUB_DONE, SpocAction.PICKUP])
def test_other_things_said_are_marked_where_they_were_said(action):
    said = [SpocAction.MOVE_AHEAD] * 15
    said[6] = action
    x, y = trajectory().poses[7, :2]
    image = picture(trajectory(said=tuple(said)))
    beside = y + 3 / PX_PER_M  # the line itself is thinner
    assert near(colour_at(image, x, beside), way_colour(7 / 15), 25)
    assert colour_at(picture(trajectory()), x, beside) == ROOM_COLOURS[0]


@pytest.mark.parametrize(("hinge", "swing", "tip_y", "side"), [("start", "left", 0, -1), ("end", "right", 1, 1)])
def test_an_open_door_stands_in_the_room_it_swings_into(hinge, swing, tip_y, side):
    """The wall runs along +y, so that west is its left."""
    leaf = Leaf(hinge=hinge, swing=swing, angle=math.pi / 2)
    image = picture(trajectory(scene=two_rooms({}, leaf=leaf).scene))
    y = DOOR_OFFSET_M + tip_y * DOOR_WIDTH_M
    assert colour_at(image, DEPTH_M + side * 0.7, y) != ROOM_COLOURS[0]
    assert colour_at(image, DEPTH_M - side * 0.7, y) == ROOM_COLOURS[0]
    assert colour_at(image, DEPTH_M, DOOR_OFFSET_M + DOOR_WIDTH_M / 2) == ROOM_COLOURS[0]


def test_an_episode_that_ends_where_it_began_is_drawn():
    one = trajectory(poses=np.array([[1.0, 1.0, 0.0]]), said=(), sought=squares())
    assert near(colour_at(picture(one), 1.0, 1.0), END)


def pickup_episode():
    """A Stretch in the west room that is to pick a mug up, without cameras."""
    task = new_task(
        "pickup_type",
        robot_base_pose=(1.0, 1.5, 0.0, 1.0, 0.0, 0.0, 0.0),
        synsets=("mug.n.04",),
        broad_synset_to_object_ids={"mug.n.04": ("mug",)},
    )
    content = {
        "house_index": 0,
        "scene_dataset": "two_rooms",
        "data_split": "val",
        "robot": {"robot_name": "stretch", "init_qpos": {}},
        "img_resolution": [96, 54],
        "cameras": [],
        "task": task.to_json(),
        "language": {"task_description": "pick up a mug"},
    }
    return Episode.from_json(content, "episode")


@pytest.fixture
def recorder(monkeypatch):
    """Of an episode of a step ahead, a turn and done."""
    house = two_rooms({"chair": ("chair_0", (2.5, 3.0, 0.0)), "mug": ("mug_0", (6.0, 1.0, 0.0))})
    monkeypatch.setattr(simulation, "house", lambda *_: house)
    env = EpisodeEnv(robot="stretch", image_size=(96, 54))
    env.reset(options={"episode": pickup_episode()})
    recorder = TrajectoryRecorder()
    recorder.add(env)
    for action in (SpocAction.MOVE_AHEAD, SpocAction.ROTATE_LEFT, SpocAction.DONE):
        env.step(np.array([action]))
        recorder.add(env)
    env.close()
    return recorder


def test_an_episode_is_followed_from_its_start(recorder):
    noted = recorder.trajectory()
    expected = [(1.0, 1.5, 0.0), (1.2, 1.5, 0.0), (1.2, 1.5, math.pi / 6), (1.2, 1.5, math.pi / 6)]
    np.testing.assert_allclose(noted.poses, expected, atol=1e-6)
    assert noted.said == (SpocAction.MOVE_AHEAD, SpocAction.ROTATE_LEFT, SpocAction.DONE)
    assert noted.scene.name == "two_rooms"
    low, high = noted.sought.bounds()
    assert np.all(low > (5.9, 0.9)) and np.all(high < (6.1, 1.1))
    low, high = noted.things.bounds()  # the chair, and the mug on the floor
    assert 2.0 < low[0] < 2.5 and 6.0 < high[0] < 6.1


def test_the_file_is_small_and_whole_and_the_same_each_time(recorder, tmp_path):
    file = tmp_path / "trajectories" / "0.png"
    recorder.write(file)
    content = file.read_bytes()
    assert len(content) < 40_000
    assert [one.name for one in file.parent.iterdir()] == ["0.png"]
    image = Image.open(io.BytesIO(content)).convert("RGB")
    red, _, blue = colour_at(image, 6.0, 1.0)  # a mug is a few pixels, of which some are its edge
    assert red - blue > 80
    recorder.write(file)
    assert file.read_bytes() == content


def test_nothing_is_drawn_of_no_episode(tmp_path):
    with pytest.raises(ValueError, match="no pose; call add at the start"):
        TrajectoryRecorder().write(tmp_path / "0.png")
    assert list(tmp_path.iterdir()) == []

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import registry
from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.episodes.records import dump_json
from zoo.envs.episodes.schema import Episode
from zoo.envs.evaluation.perturb import perturb_camera, perturb_joints, perturb_occlusion, perturb_prompt, perturbed
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.robots.cameras import looking_at
from zoo.envs.sampling.cameras import records
from zoo.envs.simulation.occlusion import occlusion_of
from zoo.errors import ConfigError

OBJECT_M = (1.0, 2.0, 0.8)
BASE = tuple(planar_pose7(0.5, 2.0, 0.7).tolist())


def episode(body="franka_droid", **changes):
    """Pick up a mug, with a camera in the world and those of the robot."""
    exo = looking_at("exo", (2.0, 2.5, 1.4), OBJECT_M, fovy_deg=71)
    own = next(iter(registry.build("robot", body).camera_systems.values())).nominal()
    content = {
        "house_index": 3,
        "scene_dataset": "procedural",
        "data_split": "val",
        "seed": 11,
        "robot": {"robot_name": body, "init_qpos": {}},
        "img_resolution": [64, 48],
        "cameras": [camera.to_json() for camera in records([exo, *own])],
        "task": {
            "task_cls": "molmo_spaces.tasks.pick_task.PickTask",
            "robot_base_pose": BASE,
            "pickup_obj_name": "mug_0",
            "pickup_obj_start_pose": [*OBJECT_M, 1, 0, 0, 0],
        },
        "language": {"task_description": "pick up the mug"},
    }
    return Episode.from_json(content | changes, "episode")


def benchmark(*episodes):
    return Benchmark.of("few", episodes, description="-", created_at="2020-01-01T00:00:00Z", asset_digests={})


def unlike(first, second):
    """Names of the fields in which two episodes differ."""
    first, second = first.to_json(), second.to_json()
    return {name for name in first | second if first.get(name) != second.get(name)}


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, math.pi), st.integers(0, 99))
def test_joints_start_within_the_level_and_the_limits(level, seed):
    changed = perturb_joints(episode(), level, np.random.default_rng(seed))
    arm = registry.build("robot", "franka_droid").group("arm")
    found = np.array(changed.robot.init_qpos["arm"])
    lower, upper = np.array(arm.limits).T
    assert (np.abs(found - arm.home) <= level + 1e-12).all()
    assert (lower <= found).all() and (found <= upper).all()
    assert unlike(changed, episode()) == {"robot"}


def test_along_a_sweep_the_same_joints_go_farther():
    moved = [
        np.array(perturb_joints(episode(), level, np.random.default_rng(0)).robot.init_qpos["arm"])
        for level in (0.1, 0.2)
    ]
    home = registry.build("robot", "franka_droid").group("arm").home
    np.testing.assert_allclose(2 * (moved[0] - home), moved[1] - home, atol=1e-9)


def test_joints_that_an_episode_states_count_and_others_stay():
    stated = {"arm": [0.1, -0.7, 0.2, -2.3, 0.0, 1.5, 0.3], "gripper": [0.01, 0.01]}
    given_ = episode(robot={"robot_name": "franka_droid", "init_qpos": stated})
    changed = perturb_joints(given_, 0.05, np.random.default_rng(0))
    np.testing.assert_allclose(changed.robot.init_qpos["arm"], stated["arm"], atol=0.05)
    assert changed.robot.init_qpos["gripper"] == (0.01, 0.01)
    both = perturb_joints(episode("rby1"), 0.1, np.random.default_rng(0)).robot.init_qpos
    assert set(both) == {"left_arm", "right_arm"}
    assert both["left_arm"] != both["right_arm"]


def test_cameras_go_around_the_object_and_wrists_shake():
    before = {camera.name: camera for camera in episode().cameras}
    changed = perturb_camera(episode(), 75, np.random.default_rng(4))
    after = {camera.name: camera for camera in changed.cameras}
    assert unlike(changed, episode()) == {"cameras"}
    exo, wrist, shoulder = after["exo"], after["wrist_camera"], after["exo_camera_1"]
    assert exo.pos[2] == pytest.approx(before["exo"].pos[2])
    assert np.linalg.norm(np.subtract(exo.pos, before["exo"].pos)) > 0.05
    # It still looks at the object, which is the point of its line of sight that was nearest to the centre.
    ahead = np.subtract(OBJECT_M, exo.pos)
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), exo.forward, atol=1e-6)
    shift = np.abs(np.subtract(wrist.camera_offset, before["wrist_camera"].camera_offset))
    assert 0 < shift.max() <= 0.015
    # It stands on the arm's base, in whose frame the object lies somewhere else than in the world.
    assert np.linalg.norm(np.subtract(shoulder.camera_offset, before["exo_camera_1"].camera_offset)) > 0.05
    assert shoulder.camera_offset[2] == pytest.approx(before["exo_camera_1"].camera_offset[2])


def test_a_head_moves_with_a_joint_and_so_is_shaken():
    before, after = (
        {camera.name: camera for camera in found.cameras}
        for found in (episode("rby1"), perturb_camera(episode("rby1"), 100, np.random.default_rng(0)))
    )
    for name in ("head_camera", "wrist_camera_left"):
        shift = np.abs(np.subtract(after[name].camera_offset, before[name].camera_offset))
        assert 0 < shift.max() <= 0.015


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-3, 1), st.floats(1e-3, 1), st.integers(0, 99))
def test_boxes_cover_the_share_and_contain_smaller_ones(first, second, seed):
    levels = sorted((first, second))
    small, large = (perturb_occlusion(episode(), level, np.random.default_rng(seed)) for level in levels)
    assert unlike(small, episode()) == {"cameras"}
    for pair in zip(small.cameras, large.cameras, strict=True):
        inner, outer = (np.array(occlusion_of(camera)) for camera in pair)
        assert np.prod(inner[2:] - inner[:2]) == pytest.approx(levels[0])
        assert (outer[:2] <= inner[:2] + 1e-12).all() and (inner[2:] <= outer[2:] + 1e-12).all()


def test_one_camera_or_all_are_covered_and_the_episode_can_be_written():
    changed = perturb_occlusion(episode(), 1, np.random.default_rng(0), ["wrist_camera"])
    again = Episode.from_json(json.loads(dump_json(changed.to_json())), "again")
    assert again.key == changed.key != episode().key
    covered = {camera.name: occlusion_of(camera) for camera in again.cameras}
    assert covered == {"exo": None, "wrist_camera": (0, 0, 1, 1), "exo_camera_1": None}
    every = perturb_occlusion(episode(), 0.25, np.random.default_rng(0))
    one = perturb_occlusion(episode(), 0.25, np.random.default_rng(0), ["exo"])
    assert None not in {occlusion_of(camera) for camera in every.cameras}
    assert occlusion_of(one.cameras[0]) == occlusion_of(every.cameras[0])


@pytest.mark.parametrize("change", [perturb_joints, perturb_camera, perturb_occlusion])
def test_level_0_leaves_joints_and_cameras_as_they_are(change):
    assert change(episode(), 0, np.random.default_rng(0)).key == episode().key


def test_words_are_drawn_or_chosen():
    drawn = {perturb_prompt(episode(), 0, np.random.default_rng(n)).language.task_description for n in range(40)}
    chosen = {perturb_prompt(episode(), n, np.random.default_rng(0)).language.task_description for n in range(1, 5)}
    assert drawn == chosen
    assert len(drawn) == 4


@pytest.mark.parametrize("kind", ["prompt", "joints", "camera", "occlusion"])
def test_a_changed_benchmark_has_its_own_name_and_digest_and_repeats(kind):
    plain, level = benchmark(episode(), episode(seed=12)), 2 if kind == "prompt" else 0.5
    first, again = perturbed(plain, kind, level), perturbed(plain, kind, level)
    assert first.digest == again.digest != plain.digest
    assert first.name == f"few_{kind}_{level:g}"
    assert perturbed(plain, kind).name in ("few_prompt_0", "few_joints_0.3", "few_camera_40", "few_occlusion_1")


def test_covered_cameras_are_part_of_the_name():
    assert perturbed(benchmark(episode()), "occlusion", cameras=["exo"]).name == "few_occlusion_1_exo"
    with pytest.raises(ConfigError, match="has no camera wrist; it has exo, wrist_camera, exo_camera_1"):
        perturbed(benchmark(episode()), "occlusion", cameras=["wrist"])
    with pytest.raises(ConfigError, match="cameras exo are named to be covered, but joints is what is changed"):
        perturbed(benchmark(episode()), "joints", cameras=["exo"])


@pytest.mark.parametrize("kind", ["joints", "camera"])
def test_episodes_draw_by_their_own_seeds(kind):
    first, second = perturbed(benchmark(episode(), episode(seed=12)), kind).episodes
    assert unlike(first, second) == {"seed", "robot" if kind == "joints" else "cameras"}


@pytest.mark.parametrize(
    ("made", "kind", "level", "match"),
    [
        (episode, "joints", -0.1, "level -0.1 of joints: expected 0 to 3.14159, radians"),
        (episode, "joints", math.nan, "level nan"),
        (episode, "prompt", 1.5, "level 1.5 of prompt: expected 0 to 4, the number of a wording"),
        (episode, "camera", 101, "expected 0 to 100"),
        (lambda: episode("ring_body"), "joints", 0.1, "episode 0 of 'few' .* 'ring_body' has no arm"),
        (lambda: episode(cameras=[]), "camera", 10, "episode 0 .* has no camera"),
        (episode, "occlusion", 1.5, "level 1.5 of occlusion: expected 0 to 1, a share of the picture"),
        (lambda: episode(cameras=[]), "occlusion", 1, "has no camera that could be covered; it has none"),
        (
            lambda: episode(robot={"robot_name": "franka_droid", "init_qpos": {"arm": [0.0]}}),
            "joints",
            0.1,
            "gives 1 joints of 'arm', expected 7",
        ),
        (lambda: episode(robot={"robot_name": "rby1", "init_qpos": {}}), "camera", 10, "which the robot lacks"),
        (lambda: episode(language={"task_description": "eat the mug"}), "prompt", 0, "'eat the mug'"),
    ],
)
def test_what_cannot_be_changed(made, kind, level, match):
    with pytest.raises(ConfigError, match=match):
        perturbed(benchmark(made()), kind, level)

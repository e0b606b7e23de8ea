import subprocess
import sys

import numpy as np
import pytest

from zoo.envs.episodes.schema import Episode
from zoo.envs.simulation.simulation import Simulation, UnstableError
from zoo.errors import DataError, UnknownNameError


def changed(episode, **parts):
    content = episode.to_json()
    for path, value in parts.items():
        *parents, last = path.split("__")
        inner = content
        for name in parents:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return Episode.from_json(content, "episode")


def test_robot_begins_as_the_episode_says(settled):
    simulation = Simulation(settled)
    np.testing.assert_allclose(simulation.view.qpos("arm"), settled.robot.init_qpos["arm"])
    np.testing.assert_allclose(simulation.view.base_pose(), settled.task.robot_base_pose, atol=1e-9)
    assert simulation.data.time == 0
    assert not simulation.data.qvel.any()


def test_listed_poses_are_kept_exactly(settled):
    poses = Simulation(settled).free_poses()
    assert len(poses) > 3
    for name, pose in settled.scene_modifications.object_poses.items():
        np.testing.assert_allclose(poses[name], pose, atol=1e-9)  # quaternions are normalised once more


def test_replay_is_exact_whether_the_model_is_built_or_taken_over(settled):
    first = Simulation(settled)
    for _ in range(5):
        first.step()
    again = Simulation(settled, reuse=first)
    assert again.model is first.model
    fresh = Simulation(settled)
    assert fresh.model is not first.model
    for _ in range(5):
        again.step()
        fresh.step()
    np.testing.assert_array_equal(again.sim_state(), first.sim_state())
    np.testing.assert_array_equal(fresh.sim_state(), first.sim_state())


def test_replay_is_exact_in_another_process(settled, tmp_path):
    file = tmp_path / "episode.json"
    from zoo.envs.episodes.records import dump_json

    file.write_text(dump_json(settled.to_json()))
    code = (
        "import sys, json, hashlib; from zoo.envs.episodes.schema import Episode\n"
        "from zoo.envs.simulation.simulation import Simulation\n"
        "s = Simulation(Episode.from_json(json.load(open(sys.argv[1])), 'x'))\n"
        "[s.step() for _ in range(3)]; print(hashlib.sha256(s.sim_state().tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, file]
    hashes = {subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(hashes) == 1


def test_cameras_stand_where_they_are_told(settled):
    simulation = Simulation(settled)
    exo = simulation.data.camera(simulation.cameras["exo"])
    np.testing.assert_allclose(exo.xpos, settled.cameras[0].pos)
    np.testing.assert_allclose(-exo.xmat.reshape(3, 3)[:, 2], np.array([1, 0, -1]) / np.sqrt(2), atol=1e-9)
    assert exo.xmat.reshape(3, 3)[2, 1] > 0  # up in the picture is up in the world
    wrist = simulation.data.camera(simulation.cameras["wrist"])
    offset = np.array(settled.cameras[1].camera_offset)
    np.testing.assert_allclose(wrist.xpos, simulation.view.base_pose()[:3] + offset, atol=1e-9)


def test_removed_and_added_objects(settled, place):
    gone = settled.task.pickup_obj_name
    poses = {n: p for n, p in settled.to_json()["scene_modifications"]["object_poses"].items() if n != gone}
    spot = [*settled.task.pickup_obj_start_pose[:2], settled.task.pickup_obj_start_pose[2] + 0.02, 1, 0, 0, 0]
    uid = next(o.asset for o in place.scene.objects if o.name == gone)
    other = changed(
        settled,
        scene_modifications__removed_objects=[gone],
        scene_modifications__added_objects={"extra_0": f"primitives:{uid}"},
        scene_modifications__object_poses=poses | {"extra_0": spot},
        task__pickup_obj_name="extra_0",
    )
    simulation = Simulation(other)
    assert gone not in simulation.world.objects
    assert simulation.world.objects["extra_0"].category == place.objects[gone].category
    np.testing.assert_allclose(simulation.world.pose7("extra_0"), spot)


@pytest.mark.parametrize(
    ("parts", "error", "match"),
    [
        ({"scene_dataset": "procedual"}, UnknownNameError, "procedual"),
        ({"robot__robot_name": "frnka_droid"}, UnknownNameError, "franka_droid"),
        ({"scene_modifications__removed_objects": ["sofa_x"]}, DataError, "removes 'sofa_x'"),
        ({"scene_modifications__added_objects": {"a": "mugs/mug.xml"}}, DataError, "public asset sets"),
        ({"scene_modifications__object_poses": {"nothing": [0, 0, 0, 1, 0, 0, 0]}}, DataError, "no body 'nothing'"),
    ],
)
def test_names_that_are_not_there(settled, parts, error, match):
    with pytest.raises(error, match=match):
        Simulation(changed(settled, **parts))


def test_fixed_objects_cannot_be_put_elsewhere(settled, place):
    fixed = next(name for name, facts in place.objects.items() if facts.is_static and facts.category != "door")
    poses = settled.to_json()["scene_modifications"]["object_poses"]
    episode = changed(settled, scene_modifications__object_poses=poses | {fixed: [0, 0, 5, 1, 0, 0, 0]})
    with pytest.raises(DataError, match=f"'{fixed}' is fixed in its house"):
        Simulation(episode)


def test_camera_at_a_body_that_the_robot_lacks(settled):
    cameras = settled.to_json()["cameras"]
    cameras[1]["reference_body_names"] = ["robot_0/tail"]
    with pytest.raises(DataError, match="'wrist' hangs at robot_0/tail"):
        Simulation(changed(settled, cameras=cameras))


def test_physics_that_blows_up_is_noticed(settled):
    simulation = Simulation(settled)
    simulation.data.qvel[:] = 1e12
    with pytest.raises(UnstableError, match="became unstable"):
        simulation.step()

"""Tasks of episodes: names in both directions, defaults where a file is silent, unknown classes."""

import json
import math
import re
import sys
from dataclasses import dataclass

import pytest

from zoo import registry
from zoo.envs.episodes.fields import Positive
from zoo.envs.episodes.records import dump_json, slots_of
from zoo.envs.episodes.schema import Episode, ExocentricCamera
from zoo.envs.episodes.tasks import TASK_KINDS, PickTask, Task, UnknownTask, new_task
from zoo.errors import ConfigError, DataError, MissingLibraryError, UnknownNameError

POSE = (0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0)
PICKED = {"robot_base_pose": POSE, "pickup_obj_name": "mug_1", "pickup_obj_start_pose": POSE}


@dataclass(frozen=True, kw_only=True, slots=True)
class PickHighTask(PickTask):
    height_m: Positive = 0.2


class PickHigh:
    record = PickHighTask


HIGH_CLS = f"{PickHigh.__module__}.PickHigh"


def test_own_episodes_state_every_threshold_and_read_back_equal(own_episode):
    episode = own_episode(cameras=(ExocentricCamera(name="a", fov=71, pos=POSE[:3], up=(0, 0, 1), forward=(1, 0, 0)),))
    content = episode.to_json()
    assert content["task"]["succ_pos_threshold"] == 0.01 and content["seed"] is None
    assert Episode.from_json(json.loads(dump_json(content)), "here") == episode
    for kind in TASK_KINDS:
        fields = {
            "robot_base_pose": POSE,
            "pickup_obj_name": "a",
            "pickup_obj_start_pose": POSE,
            "place_receptacle_name": "b",
            "place_receptacle_start_pose": POSE,
            "joint_name": "j",
            "door_body_name": "d",
        }
        task = new_task(kind.name, **{name: value for name, value in fields.items() if name in slots_of(kind.record)})
        assert set(task.to_json()) == set(slots_of(kind.record))
        assert Task.from_json(task.to_json(), "here") == task and task.name == kind.name


@pytest.mark.parametrize(
    ("task", "field", "default"),
    [
        ("pick", "succ_pos_threshold", 0.01),
        ("pick_and_place", "receptacle_supported_weight_frac", 0.5),
        ("pick_and_place", "max_place_receptacle_pos_displacement", 0.15),
        ("pick_and_place", "max_place_receptacle_rot_displacement", math.radians(60)),
        ("pick_and_place_next_to", "min_surface_to_surface_gap", 0.0),
        ("pick_and_place_next_to", "max_surface_to_surface_gap", 0.05),
        ("open", "task_success_threshold", 0.20),
        ("close", "task_success_threshold", 0.85),
        ("open_door", "door_openness_threshold", 0.67),
        ("navigate_to", "succ_pos_threshold", 1.5),
    ],
)
def test_thresholds_are_the_schemas_where_a_file_is_silent_and_else_the_files(task, field, default, public_episode):
    content = public_episode(task)
    content["task"].pop(field, None)
    episode = Episode.from_json(content, "here")
    assert getattr(episode.task, field) == default
    assert field not in episode.to_json()["task"]
    assert episode.explicit().to_json()["task"][field] == default == episode.task.fields()[field]
    content["task"][field] = 0.123
    assert getattr(Episode.from_json(content, "here").task, field) == 0.123


def test_tasks_have_public_names_in_both_directions(public_episode, public_tasks):
    for name in public_tasks:
        content = public_episode(name)
        assert Episode.from_json(content, "here").task.name == name
        kind = next(kind for kind in TASK_KINDS if kind.name == name)
        assert kind.task_cls == content["task"]["task_cls"]
        old = content["task"]["task_cls"].replace("molmo_spaces", "mujoco_thor")
        content["task"]["task_cls"] = old
        episode = Episode.from_json(content, "here")
        assert episode.task.name == name and episode.to_json()["task"]["task_cls"] == old
    assert len({kind.name for kind in TASK_KINDS}) == len({(k.task_cls, k.task_type) for k in TASK_KINDS})


def test_open_and_close_share_a_class_and_open_is_meant_without_a_type(public_episode):
    content = public_episode("close")
    del content["task"]["task_type"]
    assert Episode.from_json(content, "here").task.name == "open"


@pytest.mark.parametrize(
    ("task_cls", "task_type"),
    [
        ("molmo_spaces.tasks.packing_task.PackingTask", None),
        ("molmo_spaces.tasks.opening_tasks.OpeningTask", "half_open"),
        ("mine.PickTask", "pick"),
    ],
)
def test_unknown_tasks_are_kept_and_refused_only_when_run(task_cls, task_type, public_episode):
    content = public_episode()
    content["task"] = {"task_cls": task_cls, "task_type": task_type, "boxes": [1, 2], "robot_base_pose": None}
    episode = Episode.from_json(content, "here")
    assert isinstance(episode.task, UnknownTask) and episode.task.name is None and episode.category == "none"
    assert dump_json(episode.to_json()) == dump_json(content)
    with pytest.raises(UnknownNameError, match=f"no task for task_cls {re.escape(repr(task_cls))}.*Tasks: pick, "):
        episode.task.fields()


def test_a_misspelt_task_class_names_the_near_one(public_episode):
    content = public_episode()
    content["task"]["task_cls"] += "s"
    with pytest.raises(UnknownNameError, match=r"near: molmo_spaces\.tasks\.pick_task\.PickTask"):
        Episode.from_json(content, "here").task.fields()
    with pytest.raises(UnknownNameError, match="no task 'pik'. Near: pick"):
        new_task("pik")


@pytest.mark.parametrize(("task", "field"), [("open", "joint_start_position"), ("open", "task_success_threshold")])
def test_wrong_task_fields_are_refused(task, field, public_episode):
    content = public_episode(task)
    content["task"][field] = "x"
    with pytest.raises(DataError, match=f"task.{field} is 'x', expected a finite number"):
        Episode.from_json(content, "here")


@pytest.fixture
def pick_high(sandboxed_registry):
    registry.register("task", "pick_high")(PickHigh)


def test_a_registered_task_has_its_name_its_class_and_its_fields(pick_high, public_episode):
    task = new_task("pick_high", height_m=0.3, **PICKED)
    assert isinstance(task, PickHighTask) and (task.name, task.target) == ("pick_high", "mug_1")
    content = json.loads(dump_json(task.to_json()))
    assert (content["task_cls"], content["task_type"], content["height_m"]) == (HIGH_CLS, "pick_high", 0.3)
    assert set(content) == set(slots_of(PickHighTask))
    again = Episode.from_json(public_episode() | {"task": content}, "here").task
    assert again == task and again.name == "pick_high"
    del content["height_m"], content["task_type"]
    silent = Task.from_json(content, "here")
    assert silent.name == "pick_high" and silent.fields()["height_m"] == 0.2
    with pytest.raises(DataError, match=r"height_m is -1"):
        Task.from_json(content | {"height_m": -1}, "here")


def test_without_its_registration_a_task_is_kept_as_unknown(public_episode):
    content = public_episode() | {"task": {"task_cls": HIGH_CLS, "height_m": 0.3, "robot_base_pose": list(POSE)}}
    episode = Episode.from_json(content, "here")
    assert isinstance(episode.task, UnknownTask) and episode.task.name is None
    assert dump_json(episode.to_json()) == dump_json(content)
    with pytest.raises(UnknownNameError, match="or register the class as a `task` where this runs"):
        episode.task.fields()


def test_registered_tasks_are_among_the_near_ones(pick_high):
    with pytest.raises(UnknownNameError, match=r"no task 'pick_hihg'\. Near: pick_high.*Tasks: pick, .*pick_high$"):
        new_task("pick_hihg")
    misspelt = Task.from_json({"task_cls": f"{HIGH_CLS}er", "robot_base_pose": POSE}, "here")
    with pytest.raises(UnknownNameError, match=f"near: {re.escape(HIGH_CLS)}.*Tasks: pick, .*pick_high"):
        misspelt.fields()


def test_every_name_of_the_table_has_a_test_of_success_and_keeps_it(sandboxed_registry):
    assert {kind.name for kind in TASK_KINDS} <= set(registry.names("task"))
    with pytest.raises(ConfigError, match="two components are called task 'room_nav'"):
        registry.register("task", "room_nav")(PickHigh)


@pytest.mark.parametrize("stated", [{}, {"record": None}, {"record": dict}, {"record": PickHigh}])
def test_a_registered_task_without_a_record(stated, sandboxed_registry):
    registry.register("task", "bare")(type("Bare", (), {"__module__": "lab", **stated}))
    expected = r"task 'bare' \(lab\.Bare\) has record .*record = Fields.*subclass of zoo\.envs\.episodes\.tasks\.Task"
    with pytest.raises(ConfigError, match=expected):
        new_task("bare")
    with pytest.raises(ConfigError, match=expected):
        Task.from_json({"task_cls": "lab.Bare", "robot_base_pose": POSE}, "here")


def test_only_the_plugin_that_is_meant_is_imported(install_package):
    install_package("lab-a", {"lab_a": "raise RuntimeError('no licence')"}, {"zoo.task": "a = lab_a:A"})
    own = "from zoo.envs.episodes.tasks import PickTask\nclass B:\n    record = PickTask\n"
    install_package("lab-b", {"lab_b": own}, {"zoo.task": "b = lab_b:B"})
    assert new_task("pick", **PICKED).name == "pick"
    assert isinstance(Task.from_json({"task_cls": "lab_c.C"}, "here"), UnknownTask)
    assert "lab_b" not in sys.modules
    assert new_task("b", **PICKED).task_cls == "lab_b.B"
    del sys.modules["lab_b"]
    with pytest.raises(MissingLibraryError, match="task 'a' of the plug-in lab-a did not load"):
        Task.from_json({"task_cls": "lab_a.A"}, "here")

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.episodes.schema import Episode, Language
from zoo.envs.episodes.tasks import TASK_KINDS, UnknownTask
from zoo.envs.evaluation.wordings import WORDINGS, reworded
from zoo.envs.sampling import words
from zoo.errors import ConfigError

CLASSES = {kind.name: kind for kind in TASK_KINDS}
SECOND = {"pick_and_place": words.place, "pick_and_place_color": words.place}
names = st.lists(st.sampled_from(["red", "mug", "left", "tv stand", "bowl", "up"]), min_size=1, max_size=3).map(
    " ".join
)


def asked(task, prompt):
    """An episode of which only the task's class and the words count."""
    kind = CLASSES[task]
    record = UnknownTask(task_cls=kind.task_cls, task_type=kind.task_type)
    content = {
        "house_index": 0,
        "scene_dataset": "procedural",
        "data_split": "val",
        "robot": {"robot_name": "franka_droid", "init_qpos": {}},
        "img_resolution": [64, 48],
        "task": record,
        "language": Language(task_description=prompt),
    }
    return Episode(**content)


def prompts(task, first, second):
    """As samplers write them, with the words that must be kept."""
    if task == "pick":
        return words.pick(first), [f"the {first}"]
    if task == "pick_and_place_next_to":
        return words.place_next_to(first, second), [f"the {first}", f"the {second}"]
    if task in SECOND:
        return words.place(first, second), [f"the {first}", f"the {second}"]
    if task == "open_door":
        return "pull the door open", ["pull", "the door"]
    if task == "navigate_to":
        return words.go_to(first, 3), [f"any {first} (3 available)"]
    return f"{task} the {first}", [f"the {first}"]


@given(st.sampled_from(sorted(WORDINGS)), names, names)
def test_other_words_name_the_same_things_and_differ(task, first, second):
    prompt, kept = prompts(task, first, second)
    said = [reworded(asked(task, prompt), number) for number in range(1, 5)]
    assert len({prompt, *said}) == 5
    for text in said:
        assert all(part in text for part in kept), text


def test_every_benchmark_task_has_as_many_wordings():
    own = {name for name, kind in CLASSES.items() if not kind.task_cls.startswith("zoo.")}
    assert set(WORDINGS) == own
    assert {len(wordings.others) for wordings in WORDINGS.values()} == {4}


@pytest.mark.parametrize(
    ("task", "prompt", "number", "match"),
    [
        ("pick", "pick up the mug", 5, "wording 5 of task 'pick': expected 1 to 4"),
        ("pick", "eat the mug", 1, "'eat the mug' of task 'pick' does not read like"),
        ("room_visit", "visit all rooms", 1, "'room_visit' has no other wordings; these have: pick,"),
    ],
)
def test_what_cannot_be_said_differently(task, prompt, number, match):
    with pytest.raises(ConfigError, match=match):
        reworded(asked(task, prompt), number)

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.assets.library import AssetFacts
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.sampling import words

MUG = AssetFacts(
    uid="mug_0", category="mug", synset="mug.n.04", description="red mug", size_m=(0.1, 0.1, 0.1), mass_kg=0.3
)
TALL = dataclasses.replace(MUG, uid="mug_1", description="blue tall mug")
BOOK = dataclasses.replace(MUG, uid="book_0", category="book", description="green book")
HERE = planar_pose7(0.0, 0.0, 0.0)


def say(name, rivals, **left):
    positions = {other: np.array([0.5, left.get(other, 0.0), 0.8]) for other in rivals}
    return words.expression(name, rivals, positions, HERE)


def test_the_shortest_words_that_tell_it_apart():
    assert say("a", {"a": MUG, "b": BOOK}) == "mug"
    assert say("a", {"a": MUG, "b": TALL}) == "red mug"
    assert say("a", {"a": MUG, "b": MUG}, a=0.2) == "left red mug"
    assert say("a", {"a": MUG, "b": MUG}, a=-0.2) == "right red mug"
    assert say("a", {"a": MUG, "b": MUG, "c": MUG}, a=0.2, b=-0.2) == "leftmost red mug"
    assert say("c", {"a": MUG, "b": MUG, "c": MUG}, a=0.2, b=-0.2) is None
    assert say("a", {"a": MUG, "b": MUG}, a=0.01) is None


def test_sides_are_those_of_the_robot():
    rivals, positions = {"a": MUG, "b": MUG}, {"a": np.array([0.5, 0.2, 0.8]), "b": np.array([0.5, -0.2, 0.8])}
    from_behind = planar_pose7(1.0, 0.0, np.pi)
    assert words.expression("a", rivals, positions, from_behind) == "right red mug"


@given(
    st.lists(st.tuples(st.sampled_from([MUG, TALL, BOOK]), st.floats(-1, 1)), min_size=1, max_size=5),
    st.floats(-3.2, 3.2),
)
def test_no_two_objects_have_the_same_words(items, yaw):
    rivals = {str(index): facts for index, (facts, _) in enumerate(items)}
    positions = {str(index): np.array([0.5 * left, left, 0.8]) for index, (_, left) in enumerate(items)}
    base = planar_pose7(0.0, 0.0, yaw)
    said = [words.expression(name, rivals, positions, base) for name in rivals]
    known = [text for text in said if text is not None]
    assert len(set(known)) == len(known)


def test_prompts():
    assert words.pick("red mug") == "pick up the red mug"
    assert words.place("mug", "blue plate") == "pick up the mug and place it in or on the blue plate"
    assert words.place_next_to("mug", "bowl") == "pick up the mug and place it next to the bowl"
    assert words.go_to("chair", 1) == "navigate to the chair"
    assert words.go_to("chair", 3) == "navigate to any chair (3 available)"

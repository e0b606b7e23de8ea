"""What a policy of CHORES is told: templates, verbs drawn anew, and everyday words for WordNet's synsets.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.12 (templates, verb pools, fields of a task specification) and 1.9
(a recorded goal is worded anew whenever it is read).
Differs: a synset whose lemma nobody says at home ("ashcan") is called by a plainer word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.registry import near

GO_TO = ("go to", "locate", "find", "search for", "navigate to")
PICK_UP = ("pick up", "take", "grab", "grasp", "clutch", "hold")

PLAIN_WORDS: Mapping[str, str] = {
    "ashcan.n.01": "garbage can",
    "atomizer.n.01": "spray bottle",
    "bar_soap.n.01": "bar of soap",
    "block.n.01": "toy block",
    "cellular_telephone.n.01": "phone",
    "chest.n.02": "storage chest",
    "chest_of_drawers.n.01": "dresser",
    "chopping_board.n.01": "cutting board",
    "file.n.03": "filing cabinet",
    "hamper.n.02": "laundry hamper",
    "kleenex.n.01": "tissue box",
    "pot_plant.n.01": "potted plant",
    "refrigerator.n.01": "fridge",
    "saltshaker.n.01": "salt shaker",
    "television_receiver.n.01": "television",
    "toilet_tissue.n.01": "toilet roll",
    "washer.n.03": "washing machine",
}

Fields = Mapping[str, Any]


def noun(synset: str) -> str:
    """The word for a synset: `dining_table.n.01` is a dining table."""
    return PLAIN_WORDS.get(synset) or synset.split(".", maxsplit=1)[0].replace("_", " ")


def with_article(words: str) -> str:
    """A noun phrase with a or an before it."""
    return f"{'an' if words[:1].lower() in 'aeiou' else 'a'} {words}"


def goal_text(spec: Fields, rng: np.random.Generator) -> str:
    """Word a goal; the verbs are drawn.

    Args:
        spec: The `task` of an episode of CHORES as plain JSON; `task_type` says which of the ten it is.
        rng: Of the verbs.
    Raises:
        DataError: another task, or a field that its template needs is missing or empty.
    """
    task = spec.get("task_type")
    if task not in TEMPLATES:
        close = near(str(task), tuple(TEMPLATES), limit=1)
        hint = f"; near: {close[0]}" if close else ""
        raise DataError(f"a goal of task_type {task!r} cannot be worded{hint}. Tasks: {', '.join(TEMPLATES)}")
    return TEMPLATES[task](spec, rng)


def category_asked(spec: Fields) -> str | None:
    """The synset of which any thing meets a goal; None where a goal asks for more, or for something else.

    Args:
        spec: As in `goal_text`.
    """
    synsets = spec.get("synsets") or ()
    return synsets[0] if spec.get("task_type") == "object_nav_type" and len(synsets) == 1 else None


def _go_to(rng: np.random.Generator) -> str:
    return GO_TO[int(rng.integers(len(GO_TO)))]


def _pick_up(rng: np.random.Generator) -> str:
    return PICK_UP[int(rng.integers(len(PICK_UP)))]


def _object_nav_type(spec: Fields, rng: np.random.Generator) -> str:
    return f"{_go_to(rng)} {with_article(_target(spec))}"


def _object_nav_room(spec: Fields, rng: np.random.Generator) -> str:
    return f"{_go_to(rng)} {with_article(_target(spec))} in the {_room(spec)}"


def _object_nav_rel_attribute(spec: Fields, rng: np.random.Generator) -> str:
    attribute = _needed(spec, "rel_attribute")
    if spec.get("reference_synsets"):
        return f"{_go_to(rng)} the {_target(spec)} {attribute} the {_references(spec)[0]}"
    return f"{_go_to(rng)} the {attribute} {_target(spec)} in the {_room(spec)}"


def _object_nav_affordance(spec: Fields, rng: np.random.Generator) -> str:
    return f"{_go_to(rng)} something that is best used for {_needed(spec, 'affordance')}"


def _object_nav_local_ref(spec: Fields, rng: np.random.Generator) -> str:
    around = " and ".join(with_article(word) for word in _references(spec))
    return f"{_go_to(rng)} {with_article(_target(spec))} {_needed(spec, 'reference_type')} {around}"


def _object_nav_description(spec: Fields, rng: np.random.Generator) -> str:
    return f"{_go_to(rng)} the {_needed(spec, 'description')}"


def _room_nav(spec: Fields, rng: np.random.Generator) -> str:
    return f"{_go_to(rng)} {with_article(_room(spec))}"


def _room_visit(spec: Fields, rng: np.random.Generator) -> str:
    del rng  # the release has one wording
    count = _needed(spec, "num_rooms_in_house")
    return "visit the only room of this house" if count == 1 else f"visit all {count} rooms of this house"


def _pickup_type(spec: Fields, rng: np.random.Generator) -> str:
    return f"{_pick_up(rng)} {with_article(_target(spec))}"


def _fetch_type(spec: Fields, rng: np.random.Generator) -> str:
    going, verb = _go_to(rng), _pick_up(rng)
    picking = "pick it up" if verb == "pick up" else f"{verb} it"
    return f"{going} {with_article(_target(spec))} and {picking}"


TEMPLATES: Mapping[str, Callable[[Fields, np.random.Generator], str]] = {
    "object_nav_type": _object_nav_type,
    "object_nav_room": _object_nav_room,
    "object_nav_rel_attribute": _object_nav_rel_attribute,
    "object_nav_affordance": _object_nav_affordance,
    "object_nav_local_ref": _object_nav_local_ref,
    "object_nav_description": _object_nav_description,
    "room_nav": _room_nav,
    "room_visit": _room_visit,
    "pickup_type": _pickup_type,
    "fetch_type": _fetch_type,
}
"""By registry name of the task."""


def _needed(spec: Fields, name: str) -> Any:
    value = spec.get(name)
    if value in (None, "", (), []):
        raise DataError(f"a goal of {spec.get('task_type')} needs {name}, which is {value!r}")
    return value


def _target(spec: Fields) -> str:
    return noun(_needed(spec, "synsets")[0])


def _references(spec: Fields) -> Sequence[str]:
    return [noun(synset) for synset in _needed(spec, "reference_synsets")]


def _room(spec: Fields) -> str:
    return str(_needed(spec, "room_types")[0]).replace("_", " ")

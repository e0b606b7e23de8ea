"""Task specifications: SPOC's fields and ours, and what ours say beside them.

Source: sheet spoc_ring_holodeck_graspmolmo 1.12 (fields). SPOC's public repository has a relation to another object as
    a pair in `rel_attribute`, one room type as `room_type`, and rooms by their type; our records have lists.
Differs: what the layout has no place for goes into the field `extras`, under a name of ours; others pass over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from zoo.datamodules.readers.spoc.layout import OLD_TASK_TYPES, TASKS
from zoo.errors import DataError
from zoo.goal_texts import goal_text
from zoo.shards.policy_episode import EpisodeFault

OURS = "molmo_zoo"
"""Entry of `extras` that holds a record of ours."""

PREPOSITIONS = {"closest": "to", "furthest": "from", "nearest": "to", "farthest": "from"}
"""What follows a relation to another object."""


def from_public(spec: Any) -> dict[str, Any]:
    """A specification with our names and lists.

    Args:
        spec: Parsed JSON of the layout.
    Raises:
        EpisodeFault: it is no specification, or of a task that nobody knows.
    """
    if not isinstance(spec, Mapping):
        raise EpisodeFault(f"the task specification is {type(spec).__name__}, expected an object", reason="bad_record")
    names = {public: ours for ours, public in TASKS.items()}
    given = spec.get("task_type")
    public = OLD_TASK_TYPES.get(given, given) if isinstance(given, str) else None
    if public not in names:
        raise EpisodeFault(f"task_type {given!r}, expected one of {', '.join(names)}", reason="bad_record")
    fields = dict(spec) | {"task_type": names[public]}
    if isinstance(room := fields.pop("room_type", None), str):
        fields["room_types"] = [room]
    if isinstance(rooms := fields.get("room_ids"), Mapping):
        fields["room_ids"] = [room for ids in rooms.values() for room in ids]
    attribute = fields.get("rel_attribute")
    if isinstance(attribute, list) and len(attribute) == 2:
        relation, other = attribute
        fields["rel_attribute"] = f"{relation} {PREPOSITIONS.get(relation, 'from')}"
        fields["reference_synsets"] = [other]
    return fields


def to_public(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The way back, for other programs; poses and class names of ours are left out.

    Args:
        spec: `goal_spec` of a record.
    """
    fields = {name: value for name, value in spec.items() if name not in ("task_cls", "robot_base_pose")}
    task = fields.get("task_type")
    fields["task_type"] = TASKS.get(task, task)
    types, rooms = fields.get("room_types") or [], fields.get("room_ids")
    if task in ("object_nav_room", "object_nav_rel_attribute") and types:
        fields["room_type"] = types[0]
    if isinstance(rooms, (list, tuple)):
        fields["room_ids"] = {str(types[0]) if types else "": list(rooms)}
    attribute, others = fields.get("rel_attribute"), fields.get("reference_synsets")
    if task == "object_nav_rel_attribute" and isinstance(attribute, str) and others:
        fields["rel_attribute"] = [attribute.split()[0], others[0]]
    return fields


def targets_of(spec: Mapping[str, Any]) -> list[str]:
    """Ids of the objects that count, hyponyms included; none of a task about rooms."""
    objects = spec.get("broad_synset_to_object_ids")
    return sorted({name for ids in objects.values() for name in ids}) if isinstance(objects, Mapping) else []


def worded(spec: Mapping[str, Any], key: str) -> str:
    """What the robot is told: as the specification says, else in a template's words.

    Args:
        spec: With our names.
        key: Of the episode, which draws the verbs.
    Raises:
        EpisodeFault: neither a text nor what a template needs.
    """
    said = spec.get("natural_language_spec")
    if isinstance(said, str) and said.strip():
        return said
    seed = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    try:
        return goal_text(spec, np.random.default_rng(seed))
    except DataError as error:
        raise EpisodeFault(f"no goal: {error}", reason="empty_goal") from error

"""Other words for what an episode asks: the same objects and the same thing to do, said differently.

Source: sheet molmospaces section 7, prompt patterns; 18, "Prompt verb" (frequent wordings score higher).
Differs: upstream does not publish its wordings, of which some change what is meant (pick becomes eat). These do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wordings:
    """How one task is asked for.

    Args:
        pattern: Of the benchmarks' own prompts; its groups are what the wordings name.
        others: Wordings, with the names of groups in braces; numbered from 1.
    """

    pattern: re.Pattern[str]
    others: tuple[str, ...]


def _read(pattern: str, *others: str) -> Wordings:
    return Wordings(re.compile(pattern, re.IGNORECASE), others)


_PLACE = _read(
    r"pick up (?P<target>.+?) and place it in or on (?P<place>.+)",
    "put {target} in or on {place}",
    "place {target} in or on {place}",
    "move {target} into or onto {place}",
    "take {target} and put it in or on {place}",
)

WORDINGS: Mapping[str, Wordings] = {
    "pick": _read(
        r"pick up (?P<target>.+)",
        "pick {target} up",
        "lift {target}",
        "grab {target} and lift it",
        "take {target} into your hand",
    ),
    "pick_and_place": _PLACE,
    "pick_and_place_color": _PLACE,
    "pick_and_place_next_to": _read(
        r"pick up (?P<target>.+?) and place it next to (?P<place>.+)",
        "put {target} next to {place}",
        "place {target} beside {place}",
        "move {target} right beside {place}",
        "take {target} and put it next to {place}",
    ),
    "open": _read(
        r"open (?P<target>.+)",
        "open up {target}",
        "get {target} open",
        "make sure that {target} is open",
        "please open {target} for me",
    ),
    "close": _read(
        r"close (?P<target>.+)",
        "shut {target}",
        "get {target} closed",
        "make sure that {target} is closed",
        "please close {target} for me",
    ),
    "open_door": _read(
        r"(?P<verb>push|pull) the door open",
        "{verb} open the door",
        "open the door: {verb} it",
        "{verb} the door until it is open",
        "{verb} at the door and get it open",
    ),
    "navigate_to": _read(
        r"navigate to (?P<target>.+)",
        "go to {target}",
        "find {target}",
        "drive over to {target}",
        "move until you are at {target}",
    ),
}
"""By our name of the task."""


def reworded(episode: Episode, number: int) -> str:
    """The instruction of an episode in other words.

    Args:
        episode: Whose prompt reads as the benchmarks' do.
        number: Of the wording, from 1.
    Raises:
        ConfigError: the task has no wordings or fewer, or the prompt reads otherwise.
    """
    name, prompt = episode.task.name, episode.language.task_description
    wordings = wordings_of(episode)
    if not 1 <= number <= len(wordings.others):
        raise ConfigError(f"wording {number} of task {name!r}: expected 1 to {len(wordings.others)}")
    found = wordings.pattern.fullmatch(prompt.strip())
    if found is None:
        raise ConfigError(
            f"prompt {prompt!r} of task {name!r} does not read like the benchmarks', {wordings.pattern.pattern!r}, so "
            "nobody knows how to say it differently"
        )
    return wordings.others[number - 1].format(**found.groupdict())


def wordings_of(episode: Episode) -> Wordings:
    """Those of an episode's task.

    Raises:
        ConfigError: it has none.
    """
    name = episode.task.name
    if name not in WORDINGS:
        task = name or episode.task.task_cls
        raise ConfigError(f"task {task!r} has no other wordings; these have: {', '.join(WORDINGS)}")
    return WORDINGS[name]

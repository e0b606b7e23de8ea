"""Mixtures of many data sets: groups with rates, and within a group each data set by the root of its size.

Source: Molmo2 sheet A7.3. A large data set so gets more samples than a small one, and less than its size would give it;
where even that is wrong, a member counts as another size, by a factor, or has a rate of its own.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zoo.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One data set of a group.

    Args:
        size: Samples that it counts as; null takes those that it has.
        factor: Times this.
        rate: How often it is drawn relative to the other members, instead of by size; all members have one or none.
    """

    size: int | None = None
    factor: float = 1.0
    rate: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Data sets that are drawn from at one rate together.

    Args:
        rate: How often, relative to the other groups.
        paths: Folders of data sets, and how each counts; `{}` for one that counts as it is.
    """

    rate: float
    paths: dict[str, Member]


def check_groups(groups: Mapping[str, Group]) -> None:
    """Refuse a mixture that cannot be drawn.

    Raises:
        ConfigError: names groups, paths and what is wrong with them.
    """
    faults = [] if groups else ["no group"]
    seen: dict[str, str] = {}
    for name, group in groups.items():
        if not _is_positive(group.rate):
            faults.append(f"rate of {name} is {group.rate}, expected a number above 0")
        if not group.paths:
            faults.append(f"{name} names no data set")
        if 0 < sum(member.rate is not None for member in group.paths.values()) < len(group.paths):
            faults.append(f"some data sets of {name} have a rate and some have none")
        for path, member in group.paths.items():
            if path in seen:
                faults.append(f"{path} is in {seen[path]} and in {name}")
            seen[path] = name
            values = {"size": member.size, "factor": member.factor, "rate": member.rate}
            faults += [
                f"{knob} of {path} is {value}, expected a number above 0"
                for knob, value in values.items()
                if value is not None and not _is_positive(value)
            ]
    if faults:
        raise ConfigError(f"mixture: {'; '.join(faults)}")


def weights_of(groups: Mapping[str, Group], size_of: Callable[[str], int]) -> dict[str, float]:
    """Share of the training samples that each data set gives.

    Args:
        groups: Checked ones; a data set that is not there is left out of them.
        size_of: Samples of a folder; asked where a member does not say.
    Returns:
        Weights by path, which sum to 1.
    """
    total = sum(group.rate for group in groups.values())
    weights: dict[str, float] = {}
    for group in groups.values():
        counts = {path: _count(path, member, size_of) for path, member in group.paths.items()}
        own = sum(counts.values())
        weights |= {path: group.rate / total * count / own for path, count in counts.items()}
    return weights


def without(groups: Mapping[str, Group], missing: frozenset[str]) -> dict[str, Group]:
    """The groups without some of their data sets; a group of which none is left is left out."""
    kept = {
        name: Group(rate=group.rate, paths={p: m for p, m in group.paths.items() if p not in missing})
        for name, group in groups.items()
    }
    return {name: group for name, group in kept.items() if group.paths}


def _count(path: str, member: Member, size_of: Callable[[str], int]) -> float:
    if member.rate is not None:
        return member.factor * member.rate
    return member.factor * math.sqrt(size_of(path) if member.size is None else member.size)


def _is_positive(value: float) -> bool:
    return 0 < value < math.inf

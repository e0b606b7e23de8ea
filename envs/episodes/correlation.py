"""How well one set of success rates predicts another, as simulation does reality: R, rank correlation, rank violation.

Source: sheet molmospaces section 18, "sim vs real". Mean maximum rank violation: Li et al. 2024 (SIMPLER, arXiv
2405.05941); the indicator is the paper's "below in one, not below in the other", so of two policies that tie in
simulation only the one that is really worse counts as misplaced against the other.
Differs: intervals are ours, since the paper does not say how it made its own. They answer what the limited number of
episodes leaves open: both sides are drawn anew from Beta(1 + s, 1 + n - s). Noise weakens correlation, so that near 1
the interval may lie below the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from scipy.stats import rankdata

from zoo.envs.episodes.fields import FAILED, Fault, Name, Share, Within, sentence
from zoo.envs.episodes.records import Record, load_json
from zoo.errors import DataError

NUM_DRAWS = 10_000
SEED = 0
MIN_PAIRS = 3
"""Two points always lie on a line."""
ALL_TASKS = "OVERALL"

Success = Literal["at_end", "oracle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRate(Record):
    """Success of a policy at a task, one object of a summary's `tasks`.

    Args:
        task: Its name.
        episodes: How many were scored.
        success_at_end: Share of them.
        success_oracle: Share of them; robots in the real world often have just one of the two.
    """

    task: Name
    episodes: Annotated[int, Within(1)]
    success_at_end: Share | None = None
    success_oracle: Share | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyRates(Record):
    """What of a summary counts here.

    Args:
        policy: Its name.
        tasks: At least one.
    """

    policy: Name
    tasks: tuple[TaskRate, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """A success rate and the number of episodes behind it; real scores may give part of the credit."""

    value: float
    episodes: int


Rates = Mapping[tuple[str, str], Rate]
"""By policy and task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Correlation:
    """Agreement of two sets of rates.

    Args:
        task: Whose rates; `OVERALL` for all pairs of policy and task together.
        pairs: How many rates each side has.
        pearson: Of the rates.
        pearson_ci95: Its interval.
        spearman: Of their ranks, ties in the middle.
        spearman_ci95: Its interval.
        rank_violation: Mean over policies of the largest real gap that simulation puts in the wrong order; 0 is best.
    """

    task: str
    pairs: int
    pearson: float
    pearson_ci95: tuple[float, float]
    spearman: float
    spearman_ci95: tuple[float, float]
    rank_violation: float


def read_rates(file: Path, success: Success = "at_end") -> dict[tuple[str, str], Rate]:
    """Success rates of a summary, or of a list of summaries of several policies.

    Args:
        file: JSON as `zoo evaluate --json` writes it; for real trials written by hand: `policy`, and `tasks` with
            `task`, `episodes` and `success_at_end`.
        success: Which of the two rates.
    Raises:
        DataError: the file is no such summary, lacks this rate, or has a policy and task twice.
    """
    content = load_json(file)
    faults: list[Fault | str] = []
    rates: dict[tuple[str, str], Rate] = {}
    for index, item in enumerate(content if isinstance(content, list) else [content]):
        found: list[Fault] = []
        summary = PolicyRates.read(item, f"[{index}]" if isinstance(content, list) else "", found)
        faults += found
        for entry in summary.tasks if summary is not FAILED else ():
            pair = summary.policy, entry.task
            value = entry.success_at_end if success == "at_end" else entry.success_oracle
            if value is None:
                faults.append(f"policy {pair[0]!r}, task {pair[1]!r} has no success_{success}")
            elif pair in rates:
                faults.append(f"policy {pair[0]!r}, task {pair[1]!r} is there twice")
            else:
                rates[pair] = Rate(value, entry.episodes)
    if faults:
        raise DataError(f"{file}: {sentence(faults)}")
    return rates


def correlate(task: str, simulated: Sequence[Rate], real: Sequence[Rate], *, seed: int = SEED) -> Correlation:
    """Agreement of paired rates.

    Args:
        task: Name for the result and for messages.
        simulated: One rate a policy.
        real: Of the same policies in the same order.
        seed: Of the draws for the intervals.
    Raises:
        DataError: fewer than three pairs, or one side is the same everywhere, so that nothing can correlate.
    """
    if len(simulated) != len(real) or len(real) < MIN_PAIRS:
        raise DataError(
            f"{task}: {len(simulated)} simulated and {len(real)} real rates, expected at least {MIN_PAIRS} pairs"
        )
    sides = [np.array([rate.value for rate in side]) for side in (simulated, real)]
    for name, side in zip(("simulated", "real"), sides, strict=True):
        if np.ptp(side) == 0:
            raise DataError(f"{task}: all {name} rates are {side[0]:g}; a correlation needs two that differ")
    generator = np.random.default_rng(seed)
    drawn = [_draws(side, generator) for side in (simulated, real)]
    ranks, drawn_ranks = ([rankdata(side, axis=-1) for side in group] for group in (sides, drawn))
    return Correlation(
        task=task,
        pairs=len(real),
        pearson=float(_pearson(*sides)),
        pearson_ci95=_middle(_pearson(*drawn)),
        spearman=float(_pearson(*ranks)),
        spearman_ci95=_middle(_pearson(*drawn_ranks)),
        rank_violation=mean_maximum_rank_violation(*sides),
    )


def mean_maximum_rank_violation(simulated: np.ndarray, real: np.ndarray) -> float:
    """Mean over policies i of the largest |real_i - real_j| whose order simulation gets wrong.

    Args:
        simulated: (policies,) rates.
        real: (policies,) rates.
    """
    is_wrong = (simulated[:, None] < simulated) != (real[:, None] < real)
    return float((np.abs(real[:, None] - real) * is_wrong).max(axis=1).mean())


def correlation_report(simulated: Rates, real: Rates, *, seed: int = SEED) -> dict[str, Any]:
    """Agreement by task and over everything, for policies and tasks that both sides have.

    Returns:
        `correlations`: for each task with enough policies and for all pairs together, the fields of `Correlation`;
        `skipped`: why a task has none; `only_simulated`, `only_real`: pairs of policy and task without a partner.
    Raises:
        DataError: the two sides share fewer than three pairs, or one side is the same everywhere.
    """
    shared = [pair for pair in simulated if pair in real]
    only = {
        "only_simulated": [list(pair) for pair in simulated if pair not in real],
        "only_real": [list(pair) for pair in real if pair not in simulated],
    }
    if len(shared) < MIN_PAIRS:
        names = {name: ", ".join("/".join(pair) for pair in pairs[:5]) or "none" for name, pairs in only.items()}
        raise DataError(
            f"the two files share {len(shared)} pairs of policy and task, expected at least {MIN_PAIRS}. Only in the "
            f"first: {names['only_simulated']}. Only in the second: {names['only_real']}. Names must be equal"
        )
    found, skipped = [], {}
    for task in dict.fromkeys(task for _, task in shared):
        pairs = [pair for pair in shared if pair[1] == task]
        try:
            found.append(correlate(task, [simulated[one] for one in pairs], [real[one] for one in pairs], seed=seed))
        except DataError as error:
            skipped[task] = str(error)
    found.append(correlate(ALL_TASKS, [simulated[one] for one in shared], [real[one] for one in shared], seed=seed))
    return {"correlations": [_plain(one) for one in found], "skipped": skipped, **only}


def _draws(rates: Sequence[Rate], generator: np.random.Generator) -> np.ndarray:
    """(draws, rates) success rates that the episodes behind the given ones allow."""
    values, episodes = np.array([(rate.value, rate.episodes) for rate in rates]).T
    return generator.beta(1 + values * episodes, 1 + (1 - values) * episodes, (NUM_DRAWS, len(rates)))


def _pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation along the last axis."""
    first, second = (side - side.mean(axis=-1, keepdims=True) for side in (first, second))
    norms = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return np.clip((first * second).sum(axis=-1) / norms, -1, 1)


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _plain(one: Correlation) -> dict[str, Any]:
    return {
        "task": one.task,
        "pairs": one.pairs,
        "pearson": one.pearson,
        "pearson_ci95": list(one.pearson_ci95),
        "spearman": one.spearman,
        "spearman_ci95": list(one.spearman_ci95),
        "mean_maximum_rank_violation": one.rank_violation,
    }

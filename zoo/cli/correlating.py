"""`zoo report correlate`: does simulation tell the truth about policies?"""

import json as json_format
from pathlib import Path
from typing import Literal


def correlate(
    simulated: Path,
    real: Path,
    *,
    success: Literal["at_end", "oracle"] = "at_end",
    seed: int = 0,
    json: Path | None = None,
    out: Path | None = None,
) -> str:
    """Compare success rates of policies in simulation with those in the real world, or in another simulation.

    Prints by task, and over all tasks, the correlation R, the correlation of ranks, both with intervals, and the mean
    largest gap between two policies that simulation puts in the wrong order.

    Args:
        simulated: JSON of `zoo evaluate --json`, or a list of such objects, one a policy.
        real: The same; of trials by hand: `policy`, and `tasks` with `task`, `episodes` and `success_at_end`.
        success: Success at the end of an episode, or at any time within it.
        seed: Of the draws for the intervals.
        json: File for the numbers.
        out: PNG of one rate over the other.

    Raises:
        DataError: a file is no such summary, or the two share too little.
    """
    from zoo.envs.episodes.correlation import correlation_report, read_rates
    from zoo.report.agreement import as_table, save_scatter

    first, second = read_rates(simulated, success), read_rates(real, success)
    report = correlation_report(first, second, seed=seed)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_format.dumps(report, indent=2) + "\n", encoding="utf-8")
    if out is not None:
        save_scatter(first, second, out)
    return as_table(report)

"""What became of a grasp library: numbers by category as plain JSON, and a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from zoo.envs.assets.library import AssetFacts
from zoo.envs.grasps.library import NO_CANDIDATE, GraspReport, GraspSettings


def summary(reports: Sequence[GraspReport], facts: Mapping[str, AssetFacts], settings: GraspSettings) -> dict[str, Any]:
    """Plain JSON values.

    Args:
        reports: Of one library, each of an object or of a part that opens.
        facts: Of its assets, by uid.
        settings: With which the grasps were made.
    Returns:
        `settings`; `total` and, by category, `categories`, each with `assets`, `objects` (that are grasped as a whole),
        `parts` (that open), `full` (objects and parts that reached the wanted number), `grasps`, `failures` (candidates
        by reason, most frequent first), `no_place` (objects and parts without any candidate), `errors` (those that
        could not be tried) and `seconds` of one core; and `reports`, one by one.
    """
    groups: dict[str, list[GraspReport]] = {}
    for report in reports:
        groups.setdefault(facts[report.uid].category, []).append(report)
    return {
        "settings": asdict(settings),
        "total": _numbers(reports, settings.wanted),
        "categories": {name: _numbers(group, settings.wanted) for name, group in groups.items()},
        "reports": [asdict(report) for report in reports],
    }


def as_table(told: Mapping[str, Any]) -> str:
    """A summary as text: a line a category, the sum, why candidates failed, and what could not be tried at all."""
    total, wanted = told["total"], told["settings"]["wanted"]
    rows = [("category", "assets", "objects", "parts", f"with {wanted}", "grasps", "core s")]
    rows += [_cells(name, numbers) for name, numbers in (*told["categories"].items(), ("all", total))]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for name, *numbers in rows:
        right = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        lines.append("  ".join((name.ljust(widths[0]), *right)))
    tried = total["grasps"] + sum(total["failures"].values())
    lines.append(f"of {tried} candidates that were tried {total['grasps']} hold")
    lines += [f"{count:8d} {reason}" for reason, count in total["failures"].items()]
    if total["no_place"]:
        lines.append(f"objects and parts with {NO_CANDIDATE}: {', '.join(_named(told, NO_CANDIDATE))}")
    for report in told["reports"]:
        if report["error"] is not None:
            lines.append(f"not tried: {_name(report)}: {report['error']}")
    return "\n".join(lines)


def _numbers(reports: Sequence[GraspReport], wanted: int) -> dict[str, Any]:
    failures: Counter[str] = Counter()
    for report in reports:
        failures.update(report.failures)
    no_place = failures.pop(NO_CANDIDATE, 0)
    return {
        "assets": len({report.uid for report in reports}),
        "objects": sum(report.joint is None for report in reports),
        "parts": sum(report.joint is not None for report in reports),
        "full": sum(report.num_grasps >= wanted for report in reports),
        "grasps": sum(report.num_grasps for report in reports),
        "failures": dict(sorted(failures.items(), key=lambda item: (-item[1], item[0]))),
        "no_place": no_place,
        "errors": sum(report.error is not None for report in reports),
        "seconds": round(sum(report.seconds for report in reports), 2),
    }


def _cells(name: str, numbers: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (str(numbers[key]) for key in ("assets", "objects", "parts"))
    full = f"{numbers['full']} of {numbers['objects'] + numbers['parts']}"
    return (name, *counts, full, str(numbers["grasps"]), f"{numbers['seconds']:.1f}")


def _named(told: Mapping[str, Any], reason: str) -> list[str]:
    return [_name(report) for report in told["reports"] if reason in report["failures"]]


def _name(report: Mapping[str, Any]) -> str:
    return report["uid"] if report["joint"] is None else f"{report['uid']} {report['joint']}"

"""The page: sections of HTML from the files of a run folder. Every text that a run produced is escaped here."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from zoo.errors import DataError
from zoo.report.curves import draw, panels
from zoo.report.document import NO_NUMBER, document, percent
from zoo.report.files import REPORT, RunFiles, read_run
from zoo.report.media import file_html, media_html, sampling_of, shown_clip
from zoo.report.places import has_places, strip_of_places
from zoo.report.pruning import curves_of, summary
from zoo.report.rollouts import latest_rollouts

SHOWN_ANSWERS = 6  # of a clip; the others are folded
DRAWN_ANSWERS = 3  # of a clip: those with points
SHOWN_KEPT = 3  # clips of which it is seen at once what pruners left; the others are folded


def write_report(run_folder: str | os.PathLike[str]) -> Path:
    """Make `report.html` of a run folder, over an older one.

    Args:
        run_folder: Written by a training or evaluation run; any of its files may be missing.
    Returns:
        Path of the report.
    Raises:
        FileNotFoundError: no such folder.
    """
    run = read_run(Path(run_folder))
    path = run.folder / REPORT
    unfinished = path.with_suffix(".part")
    unfinished.write_text(page_html(run), encoding="utf-8")
    unfinished.replace(path)
    return path


def page_html(run: RunFiles) -> str:
    """The whole page."""
    title = escape(title_of(run.folder))
    sections = [
        f"<h1>{title}</h1>",
        _meta(run),
        _facts(run),
        _table(run.results),
        _scored(run.results),
        _curves(run),
        latest_rollouts(run.folder),
        _kept(run),
        _samples(run),
        _config(run.config),
        _missing(run.missing),
    ]
    return document(title_of(run.folder), sections)


def title_of(folder: Path) -> str:
    """`molmo2/tiny, version_3` of `runs/molmo2/tiny/version_3`; elsewhere the last two folders."""
    parts = folder.resolve().parts
    named = parts[parts.index("runs") + 1 :] if "runs" in parts[:-2] else parts[-2:]
    return f"{'/'.join(named[:-1])}, {named[-1]}" if len(named) > 1 else named[-1]


def _meta(run: RunFiles) -> str:
    speed, results = run.throughput or {}, run.results or {}
    facts = [results.get("checkpoint") and f"checkpoint {results['checkpoint']}", speed.get("device")]
    facts += (
        [f"{speed['steps']:,} steps in {_duration(speed['seconds'])}"] if {"steps", "seconds"} <= speed.keys() else []
    )
    facts += [f"stopped early: {speed['stopped_by']}"] if speed.get("stopped_by") else []
    return f'<p class="meta">{escape(" · ".join(str(fact) for fact in facts if fact))}</p>' if any(facts) else ""


def _facts(run: RunFiles) -> str:
    results, speed = run.results or {}, run.throughput or {}
    facts: list[tuple[str, str]] = []
    if isinstance(results.get("accuracy"), int | float):
        split = results.get("split", "test")
        facts.append((percent(results["accuracy"]), f"{split} accuracy, {results.get('questions', 0):,} questions"))
    if isinstance(results.get("blind"), int | float):
        facts.append((percent(results["blind"]), "blind baseline: question text only"))
    for name, scores in _controls(results).items():
        temporal = (
            f"; temporal families {percent(scores.get('temporal'))}, were {percent(results.get('temporal_accuracy'))}"
        )
        text = _words(name) + (temporal if isinstance(scores.get("temporal"), int | float) else "")
        facts.append((percent(scores.get("accuracy")), text))
    for key, text in (("samples_per_s", "clips a second in training"), ("tokens_per_s", "tokens a second in training")):
        if isinstance(speed.get(key), int | float):
            facts.append((f"{speed[key]:,.0f}" if speed[key] >= 100 else f"{speed[key]:.1f}", text))
    shown = [
        f'<div class="fact"><b>{escape(value)}</b><span>{escape(text)}</span></div>'
        for value, text in facts
        if value != NO_NUMBER
    ]
    return f'<div class="facts">{"".join(shown)}</div>' if shown else ""


def _controls(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Controls of the results by name, those of another shape left out."""
    controls = results.get("controls")
    return {k: v for k, v in controls.items() if isinstance(v, dict)} if isinstance(controls, dict) else {}


def _table(results: Mapping[str, Any] | None) -> str:
    families = (results or {}).get("families")
    if not isinstance(families, dict) or not families:
        return ""
    controls = list(_controls(results))
    head = ["family", "questions", "accuracy", "", "blind", *map(_words, controls)]
    rows = [
        _row(f"{name} (temporal)" if scores.get("temporal") else name, scores, controls)
        for name, scores in families.items()
        if isinstance(scores, dict)
    ]
    whole = {**results, "controls": {name: scores.get("accuracy") for name, scores in _controls(results).items()}}
    rows.append(_row("all", whole, controls, css="total"))
    return (
        "<h2>Accuracy</h2>"
        '<p class="note">The bar is the accuracy, the mark on it the blind baseline: the most frequent answer to each '
        "question text in the training split. Controls ask the same questions about altered pixels.</p>"
        f'<div class="scroll"><table><tr>{"".join(f"<th>{escape(text)}</th>" for text in head)}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def _scored(results: Mapping[str, Any] | None) -> str:
    """Answers that are neither right nor wrong as a whole: their mean scores, and those under controls."""
    families = (results or {}).get("scored")
    if not isinstance(families, dict) or not families:
        return ""
    tables = []
    for family, entry in families.items():
        if not isinstance(entry, dict):
            continue
        scores, under = entry.get("scores", {}), entry.get("controls", {})
        answers = f"{family}, {entry.get('answers', 0):,} answers"
        rows = [(answers, scores), *((_words(name), shares) for name, shares in under.items())]
        head = "".join(f"<th>{escape(text)}</th>" for text in ("", *map(_words, scores)))
        body = "".join(
            f"<tr><td>{escape(name)}</td>{''.join(f'<td>{percent(shares.get(score))}</td>' for score in scores)}</tr>"
            for name, shares in rows
        )
        tables.append(f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>')
        tables += [_binned(name, bins) for name, bins in entry.get("tables", {}).items()]
    return (
        "<h2>Scored answers</h2>"
        '<p class="note">Each answer is judged piece by piece; scores are means over answers, those in bins are shares '
        f"of all cases in the bin. Controls ask for the same about altered pixels.</p>{''.join(tables)}"
    )


def _binned(name: str, bins: Mapping[str, Mapping[str, float]]) -> str:
    """One score in the bins of a group, `<score>/<group>`."""
    score, _, group = name.partition("/")
    head = "".join(f"<th>{escape(text)}</th>" for text in (f"{_words(score)} by {_words(group)}", *bins))
    rows = (
        ("share", [percent(cell.get("share")) for cell in bins.values()]),
        ("cases", [f"{cell.get('cases', 0):,.0f}" for cell in bins.values()]),
    )
    body = "".join(f"<tr><td>{text}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for text, cells in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _row(name: str, scores: Mapping[str, Any], controls: Sequence[str], css: str = "") -> str:
    accuracy, blind = scores.get("accuracy"), scores.get("blind")
    bar = f'<i style="width:{100 * accuracy:.1f}%"></i>' if isinstance(accuracy, int | float) else ""
    bar += f'<u style="left:{100 * blind:.1f}%"></u>' if isinstance(blind, int | float) else ""
    under = scores.get("controls") if isinstance(scores.get("controls"), dict) else {}
    cells = [percent(accuracy), None, percent(blind), *(percent(under.get(control)) for control in controls)]
    shown = [
        f"<td>{cell}</td>" if cell is not None else f'<td class="bar"><div class="track">{bar}</div></td>'
        for cell in cells
    ]
    return f'<tr class="{css}"><td>{escape(name)}</td><td>{scores.get("questions", 0):,}</td>{"".join(shown)}</tr>'


def _curves(run: RunFiles) -> str:
    drawn = panels(run.metrics)
    cards = [f'<div class="card"><h3>{escape(title)}</h3>{svg}</div>' for title, svg in drawn]
    return f'<h2>Curves</h2><div class="grid">{"".join(cards)}</div>' if cards else ""


def _kept(run: RunFiles) -> str:
    """What token pruners left of the clips."""
    samples = (run.samples or {}).get("samples")
    samples = [entry for entry in samples if isinstance(entry, dict)] if isinstance(samples, list) else []
    cards = [card for sample in samples if (card := _kept_card(run.folder, sample))]
    if not cards:
        return ""
    more = "".join(cards[SHOWN_KEPT:])
    folded = f"<details><summary>{len(cards) - SHOWN_KEPT} more clips</summary>{more}</details>" if more else ""
    return (
        '<h2>What was kept</h2><p class="note">Windows are the squares of pixels that the language model sees as one '
        "token each. What has its colours, inside a yellow line, was kept; what is dark and grey was dropped; what is "
        "hatched in blue was merged into a kept window. The curve counts the windows of each frame. Scores, where a "
        "pruner gives them, are as it saw them, higher is more important; a white line runs round what was kept in the "
        f"end.</p>{''.join(cards[:SHOWN_KEPT])}{folded}"
    )


def _kept_card(folder: Path, sample: Mapping[str, Any]) -> str:
    kept = sample.get("kept")
    curves = curves_of(kept)
    if not curves:
        return ""
    key = str(sample.get("key", ""))
    curve = draw(f"Windows of each frame of {key}", curves, x_label="seconds", from_zero=True)
    video, sheet = (file_html(folder / str(kept.get(name, "no file"))) for name in ("video", "sheet"))
    return (
        f'<div class="card kept"><h3>{escape(key)}</h3>'
        f'<p class="note">{escape(str(kept.get("pruners", "")))}: {escape(summary(kept))}</p>'
        f'<div class="pair">{video}<div><h3>Windows of each frame</h3>{curve}</div></div>'
        f'<div class="scroll">{sheet}</div></div>'
    )


def _samples(run: RunFiles) -> str:
    samples = (run.samples or {}).get("samples")
    if not isinstance(samples, list) or not samples:
        return ""
    sampling = sampling_of(run.samples)
    cards = [_card(run.folder, sample, sampling) for sample in samples if isinstance(sample, dict)]
    split = escape(str(run.samples.get("split", "test")))
    return (
        f'<h2>Clips of the {split} split</h2><p class="note">Evenly spaced over the split, not chosen by result. '
        f'Below each clip the frames that the model saw.</p><div class="grid">{"".join(cards)}</div>'
    )


def _card(folder: Path, sample: Mapping[str, Any], sampling: Any) -> str:
    predictions = [entry for entry in sample.get("predictions", []) if isinstance(entry, dict)]
    judged = [bool(entry.get("correct")) for entry in predictions if entry.get("correct") is not None]
    items = [_answer(entry) for entry in predictions]
    answers = f'<ul class="answers">{"".join(items[:SHOWN_ANSWERS])}</ul>'
    if items[SHOWN_ANSWERS:]:
        more = "".join(items[SHOWN_ANSWERS:])
        answers += (
            f'<details><summary>{len(items) - SHOWN_ANSWERS} more</summary><ul class="answers">{more}</ul></details>'
        )
    images = sample.get("images")
    names = images if isinstance(images, list) and images else [sample.get("media", "no file")]
    paths = [folder / str(name) for name in names]
    media = "".join(media_html(path, sampling) for path in paths) + _places(paths, predictions, sampling)
    heading = f'{escape(str(sample.get("key", "")))} <span class="family">{sum(judged)} of {len(judged)} right</span>'
    return f'<div class="card"><h3>{heading}</h3>{media}{answers}</div>'


def _places(paths: Sequence[Path], predictions: Sequence[Mapping[str, Any]], sampling: Any) -> str:
    """Some answers with points, drawn."""
    drawn = [entry for entry in predictions if has_places(f"{entry.get('answer', '')} {entry.get('truth', '')}")]
    if not drawn or not all(path.is_file() for path in paths):
        return ""
    try:
        clip = shown_clip(paths, sampling)
    except DataError:  # what stands beside the clip says so
        return ""
    strips = [
        f"<p>{escape(str(entry.get('prompt', '')))}</p>"
        + strip_of_places(clip, str(entry.get("answer", "")), str(entry.get("truth", "")))
        for entry in drawn[:DRAWN_ANSWERS]
    ]
    return f'<p class="note">Dots are predictions, rings the truth.</p>{"".join(strips)}'


def _answer(entry: Mapping[str, Any]) -> str:
    prompt = escape(str(entry.get("prompt", "")))
    family = f'<span class="family">{escape(str(entry.get("family", "")))}</span>'
    if entry.get("correct") is None and isinstance(entry.get("scores"), dict):
        shares = ", ".join(f"{_words(name)} {percent(share)}" for name, share in entry["scores"].items())
        return f"<li>{prompt} {escape(shares)}{family}{_parts(entry.get('parts'))}</li>"
    right = bool(entry.get("correct"))
    said = escape(str(entry.get("answer", ""))) or "<em>nothing</em>"
    truth = "" if right else f" · truth: {escape(str(entry.get('truth', '')))}"
    return f'<li class="{"right" if right else "wrong"}">{prompt} <b>{said}</b>{truth}{family}</li>'


def _parts(parts: Any) -> str:
    """Pieces of an answer as a list of their own, each marked right or wrong."""
    pieces = [part for part in parts or [] if isinstance(part, list | tuple) and len(part) == 2]
    items = [f'<li class="{"right" if right else "wrong"}">{escape(str(text))}</li>' for text, right in pieces]
    return f'<ul class="answers">{"".join(items) or "<li><em>nothing</em></li>"}</ul>'


def _config(text: str | None) -> str:
    return (
        f"<h2>Configuration</h2><details><summary>config.yaml</summary><pre>{escape(text)}</pre></details>"
        if text
        else ""
    )


def _missing(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<h2>Not in this folder</h2><ul class="note">{items}</ul>' if items else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""Grasps for a whole asset library: sampled, verified and written, an asset at a time, in parallel processes.

Source: sheet of MolmoSpaces section 14 (two attempts, stop at enough keepers).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from zoo.envs.assets.library import Articulation, Asset, AssetFacts, AssetLibrary
from zoo.envs.grasps.files import ROBOT, as_stored, grasps_path, write_grasps, write_index
from zoo.envs.grasps.sampling import THIN_M, Candidates, order_candidates, sample_candidates
from zoo.envs.grasps.shake import TIMINGS, ArticulatedCheck, GraspCheck, Mode, RigidCheck
from zoo.envs.grasps.surface import collision_geoms, pieces_of
from zoo.envs.simulator import mujoco
from zoo.envs.spawned import spread
from zoo.errors import ConfigError, DataError, UnknownNameError
from zoo.executor import WorkerLostError
from zoo.registry import near

logger = logging.getLogger(__name__)

VERSION = 1
"""Of the procedure; another one makes other grasps of the same settings."""
SETTINGS_NAME = "settings.json"
REPORT_NAME = "report.json"
ATTEMPTS = 2
CANDIDATES_PER_GRASP = 10
NO_CANDIDATE = "no place for the hand"
MOST_DEATHS = 3
"""Worker processes that may die, each at another asset, before a run ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GraspSettings:
    """How grasps are made.

    Args:
        mode: How they are verified, see `zoo.envs.grasps.shake`.
        wanted: Grasps of each object, and of each articulated part, at which to stop.
        checks_per_grasp: Simulations at most, for each of those that are wanted.
        seed: Of everything that is drawn.
    Raises:
        ConfigError: a number is below 1, or the mode unknown.
    """

    mode: Mode = "quick"
    wanted: int = 40
    checks_per_grasp: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in TIMINGS:
            raise ConfigError(f"grasps: mode is {self.mode!r}, expected one of {', '.join(TIMINGS)}")
        if min(self.wanted, self.checks_per_grasp) < 1 or self.seed < 0:
            raise ConfigError(
                f"grasps: wanted {self.wanted} and checks_per_grasp {self.checks_per_grasp} must be at least 1, "
                f"seed {self.seed} at least 0"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class GraspReport:
    """What became of one object, or of one of its articulated parts.

    Args:
        uid: Of the asset.
        joint: Of the part; None for the whole object.
        num_grasps: Verified.
        num_candidates: That geometry allowed, as far as they were drawn.
        failures: How many candidates failed, by reason.
        error: Why nothing could be tried.
        seconds: Of one core's time.
    """

    uid: str
    joint: str | None
    num_grasps: int
    num_candidates: int
    failures: Mapping[str, int]
    error: str | None = None
    seconds: float = 0.0


def generate_grasps(
    library: AssetLibrary,
    folder: Path,
    settings: GraspSettings | None = None,
    *,
    uids: Collection[str] | None = None,
    workers: int = 2,
) -> tuple[GraspReport, ...]:
    """Write the grasps of everything that can be picked up or opened; what is there already is kept.

    Args:
        library: Of the assets, which are pickled into the workers.
        folder: Of the grasp library, in the user layout of `zoo.envs.grasps.files`.
        settings: How; the defaults if None.
        uids: Only these assets.
        workers: Spawned processes; 0 works in this one.
    Returns:
        Reports in the order of the library.
    Raises:
        ConfigError: the folder holds grasps of other settings or other assets, or workers is negative.
        UnknownNameError: the library lacks one of the uids.
        DataError: worker processes died; the assets that they were at are named.
    """
    if workers < 0:
        raise ConfigError(f"workers is {workers}, expected 0 (this process) or more")
    folder, settings = Path(folder), settings or GraspSettings()
    facts = library.facts()
    missing = sorted(set(uids or ()) - set(facts))
    if missing:
        raise UnknownNameError(
            f"the asset library has no {', '.join(missing)}; it has {len(facts)} assets: {_some(facts)}"
        )
    _claim(folder, library, settings)
    asked = [uid for uid, known in facts.items() if (uids is None or uid in uids) and _has_work(known)]
    todo = [uid for uid in asked if not _report_path(folder, uid).is_file()]
    with tqdm(total=len(asked), initial=len(asked) - len(todo), unit="asset", desc="grasps", file=sys.stderr) as bar:
        try:
            for reports in _work_off(library, folder, settings, todo, workers):
                bar.update()
                counts = " + ".join(str(report.num_grasps) for report in reports)
                bar.set_postfix_str(f"{reports[0].uid}: {counts} grasps")
        finally:
            write_index(folder)  # after an interruption as well: what is there can be used
    return tuple(report for uid in asked for report in _read_reports(folder, uid))


def graspable(library: AssetLibrary, names: Collection[str] | None = None) -> tuple[str, ...]:
    """Assets that can be picked up, or opened; how many of those named cannot is logged.

    Args:
        library: Of the assets.
        names: Of assets and of categories, with spaces or underscores; None is the whole library.
    Returns:
        uids in the order of the library.
    Raises:
        UnknownNameError: the library has no such asset and no such category.
        ConfigError: nothing of what is named can be grasped.
    """
    facts = library.facts()
    category_of = {uid: known.category.replace(" ", "_") for uid, known in facts.items()}
    offered = tuple(dict.fromkeys((*facts, *category_of.values())))
    wanted = [name if name in facts else name.replace(" ", "_") for name in names or ()]
    for name in wanted:
        if name not in offered:
            close = near(name, offered)
            raise UnknownNameError(
                f"the asset library has no asset and no category {name!r}. Near: {', '.join(close) or 'none'}. It has "
                f"{len(facts)} assets: {_some(facts)}"
            )
    named = [uid for uid in facts if names is None or uid in wanted or category_of[uid] in wanted]
    found = tuple(uid for uid in named if _has_work(facts[uid]))
    if not found:
        what = "the asset library" if names is None else _some(wanted) or "an empty list of assets"
        raise ConfigError(f"nothing of {what} can be picked up or opened: there are no grasps to make")
    if names is not None and len(found) < len(named):
        others = [uid for uid in named if uid not in found]
        logger.info("%d of the assets named can neither be picked up nor opened: %s", len(others), _some(others))
    return found


def grasps_of(
    asset: Asset, part: Articulation | None = None, settings: GraspSettings | None = None
) -> tuple[np.ndarray, GraspReport]:
    """Sample and verify grasps of one object, or of one of its articulated parts.

    Args:
        asset: To grasp.
        part: One of its articulations; None for the whole object.
        settings: How; the defaults if None.
    Returns:
        (grasps, 4, 4) poses of the tool frame in the frame of the object's body, or of the part's, as coarse as
        float16 makes them; and what happened.
    """
    settings = settings or GraspSettings()
    start = time.process_time()
    joint = None if part is None else part.joint
    names = (asset.facts.uid, joint or "")
    rng = np.random.default_rng([settings.seed, *(zlib.crc32(name.encode()) for name in names)])
    check = RigidCheck(asset, settings.mode) if part is None else ArticulatedCheck(asset, part, settings.mode)
    is_thin = min(asset.facts.size_m) < THIN_M or part is not None  # handles are bars
    failures: Counter[str] = Counter()
    held: list[np.ndarray] = []
    num_candidates, checks_left = 0, settings.checks_per_grasp * settings.wanted
    for _ in range(ATTEMPTS):
        candidates = _candidates(check, rng, limit=CANDIDATES_PER_GRASP * settings.wanted)
        num_candidates += len(candidates)
        poses = as_stored(candidates.poses[order_candidates(candidates, rng, is_thin=is_thin)])[:checks_left]
        more, lost = _verified(check, poses, settings.wanted - len(held))
        held += more
        failures += lost
        checks_left -= len(more) + lost.total()
        if len(held) == settings.wanted or not (checks_left and len(candidates)):
            break
    if not num_candidates:
        failures[NO_CANDIDATE] += 1
    return np.array(held).reshape(-1, 4, 4), GraspReport(
        uid=asset.facts.uid,
        joint=joint,
        num_grasps=len(held),
        num_candidates=num_candidates,
        failures=dict(sorted(failures.items())),
        seconds=round(time.process_time() - start, 2),
    )


def _verified(check: GraspCheck, poses: np.ndarray, wanted: int) -> tuple[list[np.ndarray], Counter[str]]:
    """Poses that hold, until there are enough, and how many others failed for which reason."""
    held: list[np.ndarray] = []
    lost: Counter[str] = Counter()
    for pose in poses:
        if len(held) == wanted:
            break
        verdict = check.verdict(pose)
        if verdict == "held":
            held.append(pose)
        else:
            lost[verdict] += 1
    return held, lost


def _candidates(check: RigidCheck | ArticulatedCheck, rng: np.random.Generator, *, limit: int) -> Candidates:
    model, data = check.model, check.data
    mujoco.mj_resetData(model, data)
    mujoco.mj_kinematics(model, data)
    if isinstance(check, RigidCheck):
        grasped = pieces_of(model, data, collision_geoms(model, check.asset_bodies), check.body)
        if not grasped:
            raise DataError("it has no geom that can touch anything")
        return sample_candidates(grasped, rng, limit=limit)
    on_part = collision_geoms(model, check.part_bodies)
    around = [geom for geom in collision_geoms(model, check.asset_bodies) if geom not in on_part]
    return sample_candidates(
        pieces_of(model, data, [check.handle], check.body),
        rng,
        limit=limit,
        held=pieces_of(model, data, [geom for geom in on_part if geom != check.handle], check.body),
        obstacles=pieces_of(model, data, around, check.body),
    )


def _has_work(facts: AssetFacts) -> bool:
    return facts.is_pickupable or bool(facts.articulations)


def _make(asset: Asset, folder: Path, settings: GraspSettings) -> list[GraspReport]:
    """Write the grasps of one asset, and last the report, which marks it as done."""
    uid = asset.facts.uid
    parts: list[Articulation | None] = [None] if asset.facts.is_pickupable else []
    reports = []
    for part in (*parts, *asset.facts.articulations):
        joint = None if part is None else part.joint
        try:
            grasps, report = grasps_of(asset, part, settings)
        except DataError as error:  # an asset that cannot be tried; the others go on
            grasps = np.zeros((0, 4, 4))
            report = GraspReport(uid=uid, joint=joint, num_grasps=0, num_candidates=0, failures={}, error=str(error))
        write_grasps(folder / grasps_path(uid, joint), grasps)
        reports.append(report)
    _write_json(_report_path(folder, uid), [asdict(report) for report in reports])
    return reports


def _work_off(
    library: AssetLibrary, folder: Path, settings: GraspSettings, uids: list[str], workers: int
) -> Iterator[list[GraspReport]]:
    if workers == 0:
        for uid in uids:
            yield _make(library.asset(uid), folder, settings)
        return
    died: list[str] = []
    assets = (library.asset(uid) for uid in uids)
    for number, result in spread(partial(_make, folder=folder, settings=settings), assets, num_workers=workers):
        try:
            outcome = result()
        except WorkerLostError:
            died.append(uids[number])
            if len(died) == MOST_DEATHS:
                break
        else:
            yield outcome
    if died:
        raise DataError(
            f"a worker process ended without an answer (killed, or out of memory) at {', at '.join(died)}. What is "
            "finished stays; the same command again does the rest"
        )


def _claim(folder: Path, library: AssetLibrary, settings: GraspSettings) -> None:
    """Note what the folder's grasps are of, or refuse it because they are of something else."""
    path = folder / SETTINGS_NAME
    ours = {"version": VERSION, "robot": ROBOT, "library": library.digest, **asdict(settings)}
    if path.is_file():
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is no JSON ({error}); choose another folder, or delete this one") from error
        if theirs != ours:
            names = ours if not isinstance(theirs, dict) else [key for key in ours if theirs.get(key) != ours[key]]
            raise ConfigError(
                f"{folder} holds grasps of other {', '.join(names)}; choose another folder, or delete this one"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no grasps made here; choose another folder")
    _write_json(path, ours)


def _report_path(folder: Path, uid: str) -> Path:
    return folder / uid / ROBOT / REPORT_NAME


def _read_reports(folder: Path, uid: str) -> list[GraspReport]:
    return [GraspReport(**entry) for entry in json.loads(_report_path(folder, uid).read_text(encoding="utf-8"))]


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _some(names: Collection[str]) -> str:
    shown = list(names)[:5]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")

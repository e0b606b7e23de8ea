"""The policy that a module is, scored in the simulator while it trains."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoo.envs.episodes.benchmark import Benchmark, find_benchmark
from zoo.envs.episodes.statistics import as_table, summary
from zoo.envs.evaluation.pool import EpisodePool, WorkerSettings, with_wishes
from zoo.envs.evaluation.rollout import RolloutSettings
from zoo.envs.evaluation.runs import VIDEOS, evaluate_in, first_of_each_task
from zoo.errors import ConfigError
from zoo.policy_in_training import acting, check_can_act
from zoo.report.files import SIMULATOR_FOLDER
from zoo.report.rollouts import write_rollout_report

logger = logging.getLogger(__name__)

UNLIMITED = float("inf")


class SimulatorEvaluation(Callback):
    """Scores the module's policy on episodes every so many steps; training waits meanwhile, for `max_seconds` at most.

    Workers simulate, this process acts for all of them at once. Logged are `sim/<task>/success_at_end` and
    `success_oracle` with the ends of their 95 % intervals, `spl`, `sel` and `collisions` where there are any; the run
    folder gets `simulator/step_<n>/` with every result, videos and a page of its own, which the run's report shows as
    well. Pictures are of the size that the policy states, if it does.

    Args:
        benchmark: Bundled name or folder.
        every_n_steps: Optimiser steps between two evaluations.
        episodes: Of each task; None: all.
        workers: Processes that simulate; they stay for the whole training.
        cameras: Whose pictures the policy gets; empty: those that it states, if it does.
        horizon_steps: Policy steps after which an episode is cut off; None: by task, in seconds.
        videos: Episodes of each task that are shown.
        max_seconds: Time of one evaluation after which no episode is begun; tasks take turns, so each has its share.

    Raises:
        ConfigError: a number out of its range; at the start of training: a module that offers no `policy()`, or a
            strategy under which one process does not hold all weights.
        UnknownNameError: no such benchmark.
    """

    kind = "callback"

    def __init__(
        self,
        *,
        benchmark: str,
        every_n_steps: int = 1000,
        episodes: int | None = None,
        workers: int = 1,
        cameras: Sequence[str] = (),
        horizon_steps: int | None = None,
        videos: int = 1,
        max_seconds: float = UNLIMITED,
    ) -> None:
        least = {"every_n_steps": every_n_steps, "workers": workers, "episodes": 1 if episodes is None else episodes}
        low = {name: value for name, value in least.items() if value < 1}
        if low or videos < 0 or max_seconds <= 0:
            raise ConfigError(
                f"simulator_evaluation: {low | {'videos': videos, 'max_seconds': max_seconds}}; expected steps, "
                "workers and episodes of 1 or more, videos of 0 or more and seconds above 0"
            )
        whole = Benchmark.load(find_benchmark(benchmark))
        self.benchmark = whole if episodes is None else first_of_each_task(whole, episodes)
        self.every_n_steps, self.workers = every_n_steps, workers
        self.videos, self.max_seconds = videos, max_seconds
        self.settings = WorkerSettings(
            policy="module", rollout=RolloutSettings(horizon_steps=horizon_steps), cameras=tuple(cameras)
        )
        self._pool: EpisodePool | None = None
        self._last_step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        check_can_act(
            trainer, pl_module, who="simulator_evaluation", instead="leave the callback out and run zoo evaluate"
        )
        self._last_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._last_step or step % self.every_n_steps:
            return  # the second: of batches whose gradients are accumulated only the last makes a step
        self._last_step = step
        root = Path(trainer.log_dir or trainer.default_root_dir)  # all ranks ask: the answer is the first one's
        if trainer.is_global_zero:  # other ranks wait at their next exchange of gradients
            self._evaluate(trainer, pl_module, root / SIMULATOR_FOLDER / f"step_{step:07d}", step)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _evaluate(self, trainer: Trainer, pl_module: LightningModule, folder: Path, step: int) -> None:
        with acting(trainer, pl_module) as policy:
            if self._pool is None:
                settings = with_wishes(self.settings, policy)
                self._pool = EpisodePool(settings, num_workers=self.workers, policy=policy)
            self._pool.policy = policy
            scored = evaluate_in(
                self._pool,
                self.benchmark,
                folder,
                videos_per_task=self.videos,
                max_seconds=self.max_seconds,
                is_quiet=True,
            )
        told = summary(scored.run)
        videos = {int(file.stem): file for file in (folder / VIDEOS).glob("*.mp4")}
        write_rollout_report(folder, told, [one.to_json() for one in scored.run.results.values()], videos)
        logger.info("step %d: %s", step, as_table(told))
        metrics = _metrics(told)
        pl_module.log_dict(metrics, logger=False, rank_zero_only=True)  # for checkpoints that watch one of them
        for own in trainer.loggers:  # by ourselves: Lightning would write the values of this step at later steps too
            own.log_metrics(metrics, step=step)


def _metrics(told: dict[str, Any]) -> dict[str, float]:
    metrics = {}
    for task in told["tasks"]:
        place = f"sim/{task['task']}"
        metrics |= {f"{place}/{name}": float(task[name]) for name in ("success_at_end", "success_oracle")}
        metrics |= {f"{place}/ci95_low": task["ci95"][0], f"{place}/ci95_high": task["ci95"][1]}
        metrics |= {f"{place}/{name}": float(task[name]) for name in ("spl", "sel", "collisions") if name in task}
    return metrics

"""What a run leaves behind beside checkpoints: predictions, results, example clips, speed and the report of them."""

import json
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from zoo.batch import Batch
from zoo.callbacks.blind_baseline import BlindBaseline
from zoo.callbacks.evaluation import SPLIT_NAMES, SampleSource, gather, results_of, results_text
from zoo.callbacks.pruning_pictures import draw_kept, pruned_trunk, what_was_kept
from zoo.callbacks.throughput import Throughput
from zoo.errors import ConfigError
from zoo.head import Prediction
from zoo.report import files, write_report
from zoo.report.pruning import KeptPatches
from zoo.shards.decode import media_files, media_kind
from zoo.shards.reader import Sample
from zoo.shards.writer import write_json

Stage = Literal["validate", "test", "predict"]

CHECKPOINT_FOLDER = "checkpoints"  # of a run folder, where Lightning's ModelCheckpoint writes


class RunReport(Callback):
    """Writes the run folder's report at the end of fit, validate, test and predict, and when a run is interrupted.

    Needs no more of a module than steps that return `{"predictions": [...]}`, in tests with `"controls"` beside it, and
    of a datamodule that it offers samples by key; without them the report has fewer parts and says so. Where a module
    has token pruners, its trunk is run once more over the example clips of each evaluation, to draw what was kept.

    Args:
        clips: Example clips in the report, evenly spaced over the split.
    """

    def __init__(self, *, clips: int = 12) -> None:
        if clips < 0:
            raise ConfigError(f"run_report: clips is {clips}, expected 0 or more")
        self.clips = clips
        self.folder: Path | None = None
        self._throughput = Throughput()
        self._started: float | None = None  # when training began
        self._continued: dict[str, Any] | None = None  # state of the run that this one goes on with
        self._validated = False  # since the last training batch
        self._running: list[Prediction] = []  # this rank's, of the evaluation in progress
        self._running_controls: dict[str, list[Prediction]] = defaultdict(list)
        self._predictions: list[Prediction] = []  # all ranks', of the last evaluation that was finished
        self._controls: dict[str, list[Prediction]] = {}
        self._examples: tuple[tuple[str, list[str]], dict[str, Sample]] | None = None  # the last, and what was asked
        self._kept: dict[str, KeptPatches] = {}  # of the example clips, by key, in that evaluation
        self._said: list[str] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # On every rank, because Lightning broadcasts the folder. A quick trial (fast_dev_run) leaves nothing behind.
        folder = trainer.log_dir if trainer.loggers and not trainer.fast_dev_run else None
        self.folder = Path(folder) if folder else None

    # -- training -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._seconds(), "counted": self._throughput.counted()}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        flush(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._continued = checkpoint.get("callbacks", {}).get(self.state_key)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state, self._continued = self._continued, None
        self._throughput = Throughput(**state["counted"]) if state else Throughput()
        self._started = time.perf_counter() - (state["seconds"] if state else 0.0)
        run = self._earlier_run(trainer)
        if run is not None and trainer.is_global_zero:
            assert self.folder is not None
            self.folder.mkdir(parents=True, exist_ok=True)
            files.copy_metrics(run, self.folder / files.EARLIER_METRICS, before_step=trainer.global_step)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._throughput.batch_starts()
        if trainer.global_step % trainer.log_every_n_steps == 0 or self._validated:
            flush(trainer)
            self._validated = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(batch, Batch):
            return
        ranks = trainer.world_size
        self._throughput.batch_ends(samples=ranks * len(batch), tokens=ranks * len(batch.input_ids))
        recent = self._throughput.recent()
        if recent is not None:
            rates = {"train/samples_per_s": recent[0], "train/tokens_per_s": recent[1]}
            pl_module.log_dict(rates, batch_size=len(batch), rank_zero_only=True)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, "validate")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.state.fn == TrainerFn.FITTING and self._started is not None:
            self._write(trainer, pl_module, "validate", stopped_by=type(exception).__name__)
            self._say(trainer, pl_module)

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._collect(outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._throughput.pause()
        self._validated = True
        if trainer.sanity_checking:
            return
        self._finish(trainer, pl_module, "validate")
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._write(trainer, pl_module, "validate")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._collect(outputs)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module, "test")
        self._write(trainer, pl_module, "test")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._collect({"predictions": outputs})

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module, "predict")
        self._write(trainer, pl_module, "predict")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._say(
            trainer, pl_module
        )  # as late as this, because Lightning prints its own table after the last hook of a test

    # -- writing ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._running, self._running_controls = [], defaultdict(list)

    def _collect(self, outputs: Any) -> None:
        if not isinstance(outputs, dict):
            return
        predictions = outputs.get("predictions")
        if isinstance(predictions, list) and all(isinstance(entry, Prediction) for entry in predictions):
            self._running += predictions
        for name, answers in outputs.get("controls", {}).items():
            self._running_controls[name] += answers

    def _finish(self, trainer: Trainer, pl_module: LightningModule, stage: Stage) -> None:
        self._predictions = gather(trainer, self._running)
        controls = gather(trainer, list(self._running_controls.items()))  # at once: a rank may have met none of them
        self._controls = {
            name: [answer for its_name, answers in controls if its_name == name for answer in answers]
            for name in sorted({name for name, _ in controls})
        }
        self._begin()
        # Now and not when the report is written: then weights may have gone on, or lie in slices on several ranks.
        if trainer.is_global_zero and self.folder is not None and pruned_trunk(pl_module) is not None:
            self._kept = what_was_kept(trainer, pl_module, self._samples(trainer, stage))

    def _samples(self, trainer: Trainer, stage: Stage) -> dict[str, Sample]:
        """What the report shows, by key; remembered, because a fit asks for the same after every validation."""
        keys = evenly_spaced(list(dict.fromkeys(prediction.key for prediction in self._predictions)), self.clips)
        if not keys or not isinstance(trainer.datamodule, SampleSource):
            return {}
        if self._examples is None or self._examples[0] != (stage, keys):
            found = trainer.datamodule.samples(stage, keys)
            self._examples = (stage, keys), {key: found[key] for key in keys if key in found}
        return self._examples[1]

    def _write(
        self, trainer: Trainer, pl_module: LightningModule, stage: Stage, *, stopped_by: str | None = None
    ) -> None:
        """Write whatever is known, and the report; on the first rank."""
        if not trainer.is_global_zero:
            return
        results = self._results(trainer, stage) if self._predictions and stage != "predict" else None
        if results is not None:
            self._said.append(results_text(results))
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if trainer.state.fn == TrainerFn.FITTING:
            write_json(self.folder / files.THROUGHPUT, self._speed(trainer, pl_module, stopped_by))
        else:
            self._adopt_training(trainer)
        if results is not None:
            write_json(self.folder / files.RESULTS, results)
        if self._predictions:
            self._write_predictions()
            self._write_samples(trainer, pl_module, stage)
        flush(trainer)
        self._said.append(f"report: {write_report(self.folder)}")

    def _results(self, trainer: Trainer, stage: Stage) -> dict[str, Any]:
        baseline = next((callback for callback in trainer.callbacks if isinstance(callback, BlindBaseline)), None)
        blind = None
        if baseline is not None:
            blind = baseline.result if stage == "test" else baseline.measure(trainer.datamodule, self._predictions)
        checkpoint = trainer.ckpt_path
        return results_of(
            self._predictions,
            stage=stage,
            controls=self._controls,
            blind=blind,
            checkpoint=None if checkpoint is None else str(checkpoint),
        )

    def _speed(self, trainer: Trainer, pl_module: LightningModule, stopped_by: str | None) -> dict[str, Any]:
        device = pl_module.device
        where = (
            torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
        )
        processes = f"{trainer.world_size} processes, " if trainer.world_size > 1 else ""
        return {
            "steps": trainer.global_step,
            "epochs": trainer.current_epoch,
            "seconds": self._seconds(),
            "device": f"{processes}{where}, {trainer.precision}",
            "stopped_by": stopped_by,
            **self._throughput.as_dict(),
        }

    def _seconds(self) -> float:
        """Since training began; 0 before."""
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def _adopt_training(self, trainer: Trainer) -> None:
        """Copy the curves and the speed of the run that made the checkpoint, so that the folder explains itself."""
        assert self.folder is not None
        run = self._earlier_run(trainer)
        if run is None:
            return
        files.copy_metrics(run, self.folder / files.TRAINING_METRICS)
        if (run / files.THROUGHPUT).is_file():
            shutil.copyfile(run / files.THROUGHPUT, self.folder / files.THROUGHPUT)

    def _earlier_run(self, trainer: Trainer) -> Path | None:
        """Folder of the run that made the checkpoint, where it is another than this run's."""
        if self.folder is None or trainer.ckpt_path is None:
            return None
        folder = Path(trainer.ckpt_path).parent
        is_other = folder.name == CHECKPOINT_FOLDER and folder.parent.resolve() != self.folder.resolve()
        return folder.parent if is_other else None

    def _write_predictions(self) -> None:
        assert self.folder is not None
        rows = [{"control": None, **asdict(answer)} for answer in self._predictions]
        rows += [{"control": name, **asdict(answer)} for name, answers in self._controls.items() for answer in answers]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.folder / files.PREDICTIONS).write_text(text, encoding="utf-8")

    def _write_samples(self, trainer: Trainer, pl_module: LightningModule, stage: Stage) -> None:
        """Save the media of some clips, and what was answered about them."""
        assert self.folder is not None
        if not self.clips or not isinstance(trainer.datamodule, SampleSource):
            return
        answers: dict[str, list[Prediction]] = defaultdict(list)
        for prediction in self._predictions:
            answers[prediction.key].append(prediction)
        media = self.folder / files.MEDIA_FOLDER
        if media.is_dir():
            shutil.rmtree(media)
        media.mkdir()
        entries = []
        for number, (key, sample) in enumerate(self._samples(trainer, stage).items()):
            if media_kind(sample) == "text":
                continue
            # Keys may hold slashes, so files are numbered; several images are 00.0.jpg, 00.1.jpg.
            names = {suffix: f"{files.MEDIA_FOLDER}/{number:02d}.{suffix}" for suffix in media_files(sample)}
            for suffix, name in names.items():
                (self.folder / name).write_bytes(sample.files[suffix])
            shown = {"media": next(iter(names.values()))} | ({"images": list(names.values())} if len(names) > 1 else {})
            if key in self._kept:
                stem = f"{files.MEDIA_FOLDER}/{number:02d}"
                shown["kept"] = draw_kept(self.folder, stem, sample, self._kept[key], pl_module.processor)
            entries.append({"key": key, **shown, "predictions": [asdict(answer) for answer in answers[key]]})
        sampling = asdict(pl_module.processor.asked_sampling) if hasattr(pl_module, "processor") else None
        write_json(self.folder / files.SAMPLES, {"split": SPLIT_NAMES[stage], "sampling": sampling, "samples": entries})

    def _say(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._said and trainer.is_global_zero:
            if trainer.progress_bar_callback is not None:  # draws its last state now, so that ours are the last lines
                trainer.progress_bar_callback.teardown(trainer, pl_module, stage=str(trainer.state.stage))
            sys.stdout.write("\n".join(["", *self._said, ""]))
            sys.stdout.flush()
        self._said = []


def flush(trainer: Trainer) -> None:
    """Bring the curves to disk, so that a run that is killed leaves those that lead up to its last checkpoint."""
    for logger in trainer.loggers:
        logger.save()


def evenly_spaced(items: Sequence[str], count: int) -> list[str]:
    """At most `count` of the items, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(place * (len(items) - 1) / max(1, count - 1))] for place in range(count)]

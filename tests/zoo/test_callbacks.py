"""Callbacks in real runs of a Trainer: what they write, print and measure, and what survives an interruption."""

import csv
import io
import json
import random
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger

from zoo.backbones.tokenizers import words
from zoo.callbacks import BatchLog, BlindBaseline, LastStepCheckpoint, RandomStates, RunReport
from zoo.callbacks.evaluation import results_of, results_text
from zoo.callbacks.random_states import random_states, set_random_states
from zoo.callbacks.run_report import evenly_spaced
from zoo.callbacks.throughput import Throughput
from zoo.datamodules.shards import ShardDataModule
from zoo.errors import ConfigError
from zoo.head import Prediction
from zoo.heads.qa import RenderQuestions
from zoo.processor import Processor
from zoo.report.files import read_run
from zoo.shards.blind import BlindAccuracy
from zoo.shards.encode import encode_mp4
from zoo.shards.sampling import FrameSampling
from zoo.shards.writer import ShardWriter, shard_name, write_index

NUM_FRAMES = 6


def record(key, color):
    notes = [
        {"family": "color", "question": "What color?", "answer": color, "temporal": False},
        {"family": "order", "question": "Which first?", "answer": "left", "temporal": True},
    ]
    return {
        "schema": "video_qa",
        "version": 1,
        "key": key,
        "media": "mp4",
        "width": 16,
        "height": 16,
        "num_frames": NUM_FRAMES,
        "fps": 8.0,
        "annotations": notes,
        "statements": [],
        "meta": {},
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Train: red is the most frequent color; test: 3 of 8 clips are red, and every order is left."""
    root = tmp_path_factory.mktemp("data")
    clip = encode_mp4(np.full((NUM_FRAMES, 16, 16, 3), 99, np.uint8), fps=8)
    colors = {"train": ["red"] * 5 + ["blue"] * 3, "val": ["blue"] * 4, "test": ["red"] * 3 + ["blue"] * 5}
    splits = {}
    for split, answers in colors.items():
        with ShardWriter(root / split / shard_name(0)) as writer:
            for place, color in enumerate(answers):
                writer.write(record(f"{split}/{place}", color), clip)
        splits[split] = [(shard_name(0), len(answers))]
    write_index(root, splits=splits, generator={"name": "test"})
    return root


class Oracle(LightningModule):
    """Right about every color and wrong about every order; blind when the pixels are altered."""

    def __init__(self, interrupt_at=None):
        super().__init__()
        tokenizer = words()
        self.processor = Processor(
            tokenizer=tokenizer,
            renderers=(RenderQuestions(8, 0),),
            labellers=(),
            vocab_size=tokenizer.vocab_size,
            image_size=(16, 16),
            grid=(2, 2),
            image_window=(1, 1),
            video_window=(1, 1),
            sampling=FrameSampling(max_frames=3, frame_rate=4.0),
        )
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.interrupt_at = interrupt_at

    def answers(self, batch, sees=True):
        return [
            Prediction(
                key=batch.keys[turn.example],
                head="qa",
                family=turn.message.family,
                prompt=turn.message.prompt,
                truth=turn.message.answer,
                answer=turn.message.answer if sees and turn.message.family == "color" else "<none>",
                correct=sees and turn.message.family == "color",
                temporal=turn.message.temporal,
            )
            for turn in batch.turns
        ]

    def training_step(self, batch, batch_idx):
        if batch_idx == self.interrupt_at:
            raise KeyboardInterrupt
        self.log("train/loss", 1.0 / (1 + batch_idx))
        return self.weight * 1.0

    def validation_step(self, batch, batch_idx):
        return {"predictions": self.answers(batch)}

    def test_step(self, batch, batch_idx):
        return {"predictions": self.answers(batch), "controls": {"blank_video": self.answers(batch, sees=False)}}

    def predict_step(self, batch, batch_idx):
        return self.answers(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def runner(tmp_path, *callbacks, version=0, **arguments):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    logger = CSVLogger(tmp_path / "runs", name="oracle", version=version)
    return Trainer(
        accelerator="cpu",
        devices=1,
        logger=logger,
        callbacks=list(callbacks),
        log_every_n_steps=1,
        **(quiet | arguments),
    )


def data(dataset):
    return ShardDataModule(path=str(dataset), batch_size=2)


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_test_run_writes_prints_and_compares(dataset, tmp_path, capsys):
    run = runner(tmp_path, RunReport(clips=3), BlindBaseline())
    run.test(Oracle(), datamodule=data(dataset), verbose=True)
    folder = tmp_path / "runs/oracle/version_0"
    results = read(folder, "results.json")
    assert (results["accuracy"], results["questions"]) == (0.5, 16)
    assert results["blind"] == pytest.approx((3 + 8) / 16)  # red for every color, left for every order
    assert results["families"]["color"] == {
        "questions": 8,
        "accuracy": 1.0,
        "temporal": False,
        "blind": 3 / 8,
        "controls": {"blank_video": 0.0},
    }
    assert results["controls"]["blank_video"] == {"accuracy": 0.0, "temporal": 0.0}
    assert len((folder / "predictions.jsonl").read_text().splitlines()) == 32
    samples = read(folder, "samples.json")
    assert [entry["key"] for entry in samples["samples"]] == ["test/0", "test/4", "test/7"]
    assert samples["sampling"] == {"max_frames": 3, "frame_rate": 4.0, "mode": "last_frame"}
    assert len(list((folder / "media").iterdir())) == 3
    last = capsys.readouterr().out.strip().splitlines()[-3:]
    assert last[:2] == ["held-out accuracy: 50.0 % (16 questions)", "blind baseline: 68.8 %"]
    assert last[2] == f"report: {folder / 'report.html'}"
    page = (folder / "report.html").read_text()
    assert "What color?" in page
    assert "&lt;none&gt;" in page
    with (folder / "metrics.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["test/blind"]) == pytest.approx(11 / 16)


def test_fit_leaves_speed_validation_results_and_a_report(dataset, tmp_path, capsys):
    run = runner(tmp_path, RunReport(), BlindBaseline(), max_epochs=2, enable_checkpointing=False)
    run.fit(Oracle(), datamodule=data(dataset))
    folder = tmp_path / "runs/oracle/version_0"
    speed = read(folder, "throughput.json")
    assert speed["steps"] == 8
    assert speed["samples_per_s"] > 0
    assert speed["tokens_per_s"] > speed["samples_per_s"]
    assert 0 <= speed["loader_wait_share"] <= 1
    assert speed["stopped_by"] is None
    results = read(folder, "results.json")
    assert (results["split"], results["questions"]) == ("validation", 8)
    assert results["blind"] == pytest.approx(0.5)
    assert "<svg" in (folder / "report.html").read_text()
    assert "validation accuracy: 50.0 % (8 questions)" in capsys.readouterr().out


def test_an_interrupted_fit_keeps_what_it_had(dataset, tmp_path):
    run = runner(tmp_path, RunReport(), max_epochs=3, val_check_interval=2, enable_checkpointing=False)
    with pytest.raises(SystemExit):
        run.fit(Oracle(interrupt_at=3), datamodule=data(dataset))
    folder = tmp_path / "runs/oracle/version_0"
    assert read(folder, "throughput.json")["stopped_by"] == "KeyboardInterrupt"
    assert read(folder, "results.json")["questions"] == 8
    assert "KeyboardInterrupt" in (folder / "report.html").read_text()


def test_a_fit_that_is_refused_reports_nothing(dataset, tmp_path, capsys):
    run = runner(tmp_path, RunReport(), max_epochs=1)
    refused = data(dataset)
    refused.num_workers = 99
    with pytest.raises(ConfigError, match="shards for 99 readers"):
        run.fit(Oracle(), datamodule=refused)
    assert not list(tmp_path.rglob("report.html"))
    assert "report:" not in capsys.readouterr().out


@pytest.mark.parametrize(("interrupt_at", "steps"), [(None, [2, 3]), (1, [1])])
def test_the_last_step_is_saved(dataset, tmp_path, interrupt_at, steps):
    """Validations come after two steps, the end after three, the interruption within the second."""
    run = runner(tmp_path, LastStepCheckpoint(), max_steps=3, val_check_interval=2)
    with nullcontext() if interrupt_at is None else pytest.raises(SystemExit):
        run.fit(Oracle(interrupt_at=interrupt_at), datamodule=data(dataset))
    saved = sorted((tmp_path / "runs/oracle/version_0/checkpoints").glob("*.ckpt"))
    assert [torch.load(path, weights_only=True)["global_step"] for path in saved] == steps


@pytest.mark.parametrize(
    ("arguments", "files"), [({}, 1), ({"fast_dev_run": True}, 0), ({"enable_checkpointing": False}, 0)]
)
def test_the_last_step_is_saved_once_and_only_where_checkpoints_are_wanted(dataset, tmp_path, arguments, files):
    run = runner(tmp_path, LastStepCheckpoint(), val_check_interval=2, max_steps=2, **arguments)
    run.fit(Oracle(), datamodule=data(dataset))
    assert len(list(tmp_path.rglob("*.ckpt"))) == files


def test_a_last_step_that_was_saved_in_passing_stays(dataset, tmp_path):
    """The end of a run has another epoch number than its last batch."""
    run = runner(tmp_path, LastStepCheckpoint(every_minutes=0), max_steps=3, val_check_interval=2)
    run.fit(Oracle(), datamodule=data(dataset))
    saved = (tmp_path / "runs/oracle/version_0/checkpoints").glob("*.ckpt")
    assert sorted(torch.load(path, weights_only=True)["global_step"] for path in saved) == [2, 3]


class Newest(LastStepCheckpoint):
    """Remembers which steps were on disk after every batch."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.held = []

    def on_train_batch_end(self, trainer, *arguments):
        super().on_train_batch_end(trainer, *arguments)
        folder = trainer.checkpoint_callback.dirpath
        self.held.append(sorted(int(path.stem.partition("step=")[2]) for path in Path(folder).glob("*.ckpt")))


@pytest.mark.parametrize(
    ("arguments", "held"),
    [
        ({"max_steps": 3}, [[1], [2], [3]]),
        # Lightning saves after the validation behind step 2; nothing is saved right before it.
        ({"max_steps": 3, "val_check_interval": 2, "limit_val_batches": 1}, [[1], [1], [2, 3]]),
        ({"max_steps": 2, "accumulate_grad_batches": 2}, [[], [1], [1], [1]]),
    ],
)
def test_a_running_fit_is_saved_where_it_can_go_on(dataset, tmp_path, arguments, held):
    """Epochs have four batches; at the last of an epoch, Lightning saves by itself."""
    callback = Newest(every_minutes=0)
    runner(tmp_path, callback, **({"limit_val_batches": 0} | arguments)).fit(Oracle(), datamodule=data(dataset))
    assert callback.held == held


def test_saving_takes_a_small_share_of_the_time(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    callback = LastStepCheckpoint(every_minutes=2.0)
    callback._plan(took_s=1.0)
    assert callback._due_s == 220.0
    callback._plan(took_s=60.0)
    assert callback._due_s == 100.0 + 60.0 / 0.05
    with pytest.raises(ConfigError, match="every_minutes is -1"):
        LastStepCheckpoint(every_minutes=-1)


def test_random_states_go_through_a_checkpoint():
    def draws():
        return random.random(), np.random.rand(), np.random.randn(), torch.rand(3).tolist()  # noqa: NPY002

    np.random.randn()  # noqa: NPY002 - leaves the second of a pair behind, which belongs to the state
    file = io.BytesIO()
    torch.save(random_states(torch.device("cpu")), file)
    expected = draws()
    file.seek(0)
    set_random_states(torch.load(file, weights_only=True), torch.device("cpu"))
    assert draws() == expected


class Dice(Oracle):
    """Its loss is drawn from every global generator."""

    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)
        return self.weight * 0 + random.random() + np.random.rand() + torch.rand(())  # noqa: NPY002


def test_a_run_that_goes_on_draws_logs_and_counts_as_one_that_never_stopped(dataset, tmp_path):
    def fit(version, max_steps, ckpt_path=None):
        callbacks = (BatchLog(), RunReport(clips=0), RandomStates(), LastStepCheckpoint())
        run = runner(tmp_path, *callbacks, version=version, max_steps=max_steps, limit_val_batches=0)
        seed = 0 if ckpt_path is None else version
        torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)  # noqa: NPY002
        run.fit(Dice(), datamodule=data(dataset), ckpt_path=ckpt_path)
        return tmp_path / f"runs/oracle/version_{version}"

    def lines(folder):
        return [json.loads(line) for line in (folder / "batches.jsonl").read_text().splitlines()]

    part = fit(0, 3)
    rest = fit(1, 6, first := part / "checkpoints/epoch=0-step=3.ckpt")
    again = fit(2, 7, second := rest / "checkpoints/epoch=1-step=6.ckpt")
    whole = fit(3, 7)
    assert [line["step"] for line in lines(rest)] == [4, 5, 6]
    assert lines(part) + lines(rest) + lines(again) == lines(whole)
    curves = [read_run(folder).metrics["train/loss"] for folder in (again, whole)]
    assert curves[0] == curves[1]
    speed = read(again, "throughput.json")
    assert speed["steps"] == 7
    earlier = [torch.load(path, weights_only=True)["callbacks"]["RunReport"] for path in (first, second)]
    assert 0 < earlier[0]["seconds"] < earlier[1]["seconds"] < speed["seconds"]
    assert [state["counted"]["batches"] for state in earlier] == [2, 4]  # the first of each run is not timed


def test_a_test_of_a_checkpoint_takes_the_training_curves_along(dataset, tmp_path):
    run = runner(tmp_path, RunReport(), max_epochs=1)
    run.fit(Oracle(), datamodule=data(dataset))
    checkpoint = run.checkpoint_callback.best_model_path
    runner(tmp_path, RunReport(), version=1).test(
        Oracle(), datamodule=data(dataset), ckpt_path=checkpoint, verbose=False
    )
    folder = tmp_path / "runs/oracle/version_1"
    assert (folder / "training_metrics.csv").read_text() == (tmp_path / "runs/oracle/version_0/metrics.csv").read_text()
    assert read(folder, "results.json")["checkpoint"] == checkpoint
    assert "<svg" in (folder / "report.html").read_text()


def test_predict_leaves_its_answers(dataset, tmp_path):
    runner(tmp_path, RunReport()).predict(Oracle(), datamodule=data(dataset), return_predictions=False)
    folder = tmp_path / "runs/oracle/version_0"
    assert len((folder / "predictions.jsonl").read_text().splitlines()) == 16
    assert not (folder / "results.json").exists()


def test_a_quick_trial_writes_nothing_but_still_prints(dataset, tmp_path, capsys):
    callbacks = [RunReport(), BlindBaseline()]
    Trainer(accelerator="cpu", devices=1, fast_dev_run=True, callbacks=callbacks, default_root_dir=tmp_path).test(
        Oracle(), datamodule=data(dataset), verbose=False
    )
    assert list(tmp_path.iterdir()) == []
    assert "held-out accuracy: 50.0 % (4 questions)" in capsys.readouterr().out


def test_a_module_without_predictions_and_data_without_records(tmp_path, caplog):
    class Plain(LightningModule):
        def test_step(self, batch, batch_idx):
            self.log("x", 1.0)

    runner(tmp_path, RunReport(), BlindBaseline()).test(Plain(), torch.utils.data.DataLoader([1, 2]), verbose=False)
    page = (tmp_path / "runs/oracle/version_0/report.html").read_text()
    assert "results.json: no evaluation was finished" in page
    assert "no blind baseline: no question was asked" in caplog.text


def test_no_negative_number_of_clips():
    with pytest.raises(ConfigError, match="clips is -1"):
        RunReport(clips=-1)


def test_results_without_baseline_or_controls():
    answer = Prediction(
        key="k", head="qa", family="count", prompt="q", truth="1", answer="1", correct=True, temporal=False
    )
    text = results_text(results_of([answer], stage="validate"))
    assert text.splitlines()[-1] == "validation accuracy: 100.0 % (1 questions)"
    blind = BlindAccuracy(overall=0.0, families={"count": 0.0}, num_questions=1)
    assert "blind baseline: 0.0 %" in results_text(results_of([answer], stage="test", blind=blind))


def caption(precision, f1):
    return Prediction(
        key="k",
        head="caption",
        family="caption",
        prompt="q",
        truth="t",
        answer="a",
        correct=None,
        temporal=False,
        scores={"precision": precision, "f1": f1},
    )


def test_answers_with_scores_are_averaged_apart_from_accuracy():
    right = Prediction(
        key="k", head="qa", family="count", prompt="q", truth="1", answer="1", correct=True, temporal=False
    )
    results = results_of(
        [right, caption(1.0, 0.5), caption(0.0, 0.0)],
        stage="test",
        controls={"blank_video": [caption(0.1, 0.2)], "shuffled_frames": [right]},
    )
    assert (results["questions"], results["accuracy"]) == (1, 1.0)
    assert results["scored"] == {
        "caption": {
            "answers": 2,
            "scores": {"precision": 0.5, "f1": 0.25},
            "controls": {"blank_video": {"precision": 0.1, "f1": 0.2}},
            "tables": {},
        }
    }
    assert results_text(results).splitlines()[-2:] == [
        "held-out caption: precision 50.0 %, f1 25.0 % (2 answers)",
        "  blank video: precision 10.0 %, f1 20.0 %",
    ]


def test_a_family_may_mix_scores():
    answers = [replace(caption(1.0, 0.5), scores={"anls": 0.5}), replace(caption(1.0, 0.5), scores={"vqa_score": 1.0})]
    assert results_of(answers, stage="test")["scored"]["caption"]["scores"] == {"anls": 0.5, "vqa_score": 1.0}


def test_tallies_become_tables_in_the_order_of_their_bins():
    answers = [
        replace(caption(1.0, 0.5), tallies={"recall/mask_size/16-32 px": (2, 3), "f1/count/5-10": (0.5, 1)}),
        replace(caption(1.0, 0.5), tallies={"recall/mask_size/8-16 px": (1, 4), "recall/mask_size/16-32 px": (1, 1)}),
    ]
    results = results_of(answers, stage="test")
    assert results["scored"]["caption"]["tables"] == {
        "f1/count": {"5-10": {"share": 0.5, "cases": 1}},
        "recall/mask_size": {"8-16 px": {"share": 0.25, "cases": 4}, "16-32 px": {"share": 0.75, "cases": 4}},
    }
    assert results_text(results).splitlines()[-2:] == [
        "  f1 by count: 5-10 50.0 % (1)",
        "  recall by mask size: 8-16 px 25.0 % (4), 16-32 px 75.0 % (4)",
    ]


def test_a_run_of_captions_alone_has_no_accuracy(caplog):
    text = results_text(results_of([caption(1.0, 0.5)], stage="validate"))
    assert text == "validation caption: precision 100.0 %, f1 50.0 % (1 answers)"
    assert BlindBaseline().measure(None, [caption(1.0, 0.5)]) is None
    assert "no question was asked" in caplog.text


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, ["a"]), (2, ["a", "e"]), (3, ["a", "c", "e"]), (9, list("abcde"))]
)
def test_evenly_spaced(count, expected):
    assert evenly_spaced(list("abcde"), count) == expected


def test_throughput_leaves_out_the_first_batch_and_pauses(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 10.0, 11.0, 12.0])
    monkeypatch.setattr("zoo.callbacks.throughput.time.perf_counter", lambda: next(now))
    speed = Throughput()
    speed.batch_starts()
    speed.batch_ends(samples=8, tokens=80)  # at 0 s, not counted
    assert speed.as_dict() == {}
    speed.batch_starts()  # 1 s
    speed.batch_ends(samples=8, tokens=80)  # 3 s
    speed.pause()
    speed.batch_starts()
    speed.batch_ends(samples=8, tokens=80)  # 10 s, not counted
    speed.batch_starts()  # 11 s
    speed.batch_ends(samples=4, tokens=40)  # 12 s: two batches in 3 + 2 s, of which 1 + 1 s waiting
    assert speed.as_dict() == {"samples_per_s": 2.4, "tokens_per_s": 24.0, "loader_wait_share": 0.4}

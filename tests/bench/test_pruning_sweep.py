"""A sweep: which runs it makes, how it goes on, what its cells hold, and what the report makes of them."""

import fcntl
import json
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from zoo import registry
from zoo.bench.methods import parse_methods
from zoo.bench.pruning_sweep import Folder, Sweep, Watch, cells, packed_questions, sweep
from zoo.bench.sweep_report import report_of
from zoo.errors import ConfigError
from zoo.head import Prediction
from zoo.pruning.random import RandomPruner

RECIPE = {
    "model": {"class_path": "vlm", "init_args": {"pruner": "none", "controls": ["blank_video"], "max_frames": 4}},
    "data": {"class_path": "shards", "init_args": {"path": "clips", "seed": 11}},
    "trainer": {"max_steps": 7, "callbacks": ["run_report"], "precision": "32-true"},
}


def plan_of(methods="none,random", **settings):
    return Sweep(**({"recipe": RECIPE, "weights": "dense", "methods": parse_methods(methods)} | settings))


def answer(clip, number, correct, *, temporal=False):
    return Prediction(
        key=clip, head="qa", family="order" if temporal else "colour", prompt=f"question {number}", truth="red",
        answer="red", correct=correct, temporal=temporal,
    )  # fmt: skip


class LearntPruner(RandomPruner):
    """Has a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(1, 1)


class Loop:
    """Takes the place of Lightning's Trainer: two steps, and answers to a batch of two clips."""

    def __init__(self, spec, module, batch_of):
        self.spec, self.module, self.batch_of = spec, module, batch_of
        self.callbacks, self.did = [], []
        self.limit_test_batches = 1.0

    def fit(self, module, *, datamodule):
        assert datamodule.seed == self.spec["data"]["init_args"]["seed"]
        self.did.append("fit")
        for callback in self.callbacks:
            callback.on_train_start(self, module)
            for number in range(self.spec["trainer"]["max_steps"]):
                callback.on_train_batch_end(
                    self, module, {"loss": module.model.extra_embedding.weight.sum()}, None, number
                )
            callback.on_train_end(self, module)

    def test(self, module, *, datamodule, verbose):
        assert datamodule.seed == 11  # of the recipe, whatever the run's
        self.did.append("test")
        batch = self.batch_of(module)
        for callback in self.callbacks:
            callback.on_test_start(self, module)
            module.model(batch)
            right = self.spec["model"]["init_args"]["pruner"]["class_path"] == "none"
            answers = [answer(clip, number, right or number == 0) for clip in ("a", "b") for number in range(3)]
            callback.on_test_batch_end(self, module, {"predictions": answers}, batch, 0)
            callback.on_test_end(self, module)


@pytest.fixture
def build(module_of, batch_of):
    """Builds small modules, and remembers what for; `build.stop_at` is the number of the run that is interrupted."""

    def make(spec):
        name = spec["model"]["init_args"]["pruner"]["class_path"]
        pruner = {"none": lambda: None, "random": RandomPruner, "tome": LearntPruner}[name]()
        make.made.append(spec)
        module = module_of(pruner)
        data = SimpleNamespace(
            test_dataloader=lambda: range(3), eval_batch_size=2, processor=None, seed=spec["data"]["init_args"]["seed"]
        )
        loop = Loop(spec, module, batch_of)
        if make.stop_at == len(make.made):
            loop.test = interrupted
        return SimpleNamespace(model=module, datamodule=data, trainer=loop)

    def interrupted(*_, **__):
        raise SystemExit(1)  # as Lightning ends at Ctrl-C

    make.made, make.stop_at = [], None
    return make


# -- runs --------------------------------------------------------------------------------------------------------------


def test_the_runs_of_a_plan_seed_by_seed():
    plan = plan_of("none,random,stride", remove=(0.3, 0.5), seeds=(0, 1))
    runs = [(run.method.label, run.remove, run.seed, run.trained) for run in plan.runs()]
    shared = [("none", 0.0), *((name, share) for name in ("random", "stride") for share in (0.3, 0.5))]
    assert runs[:10] == [(*one, 0, trained) for trained in (False, True) for one in shared]
    # As they are, only those that draw know the seed.
    assert runs[10:12] == [("random", 0.3, 1, False), ("random", 0.5, 1, False)]
    assert runs[12:] == [(*one, 1, True) for one in shared]


def test_a_share_that_was_typed_is_the_only_one():
    plan = plan_of("random(remove=0.2)", remove=(0.3, 0.5), trained="only")
    assert [run.remove for run in plan.runs()] == [0.2]


def test_what_a_run_changes_in_the_recipe():
    plan = plan_of("random(site=vit.output)+random(remove=0.1)", steps=5, trained="only", seeds=(3,))
    spec = plan.config(plan.runs()[0])
    first, second = spec["model"]["init_args"]["pruner"]
    assert first["init_args"] == {"site": "vit.output", "remove": 0.5, "seed": 3}
    assert second["init_args"] == {"remove": 0.1, "seed": 3}
    assert (spec["seed_everything"], spec["data"]["init_args"]["seed"]) == (3, 3)
    assert (spec["trainer"]["max_steps"], spec["trainer"]["callbacks"], spec["trainer"]["devices"]) == (5, [], 1)
    assert spec["model"]["init_args"]["controls"] == [] and spec["model"]["init_args"]["max_frames"] == 4
    assert RECIPE["model"]["init_args"]["controls"] == ["blank_video"]  # left as it was


# -- pruners of the recipe ---------------------------------------------------------------------------------------------

STTS = {"class_path": "stts", "init_args": {"remove": 0.3, "block": 0, "norm_input": True, "initial_score": 0.02}}


def with_pruner(pruner):
    model = RECIPE["model"]
    return RECIPE | {"model": model | {"init_args": model["init_args"] | {"pruner": pruner}}}


def pruner_of(methods, pruner):
    plan = plan_of(methods, recipe=with_pruner(pruner), remove=(0.5,), seeds=(4,), trained="only")
    (run,) = plan.runs()
    return run.method.label, plan.config(run)["model"]["init_args"]["pruner"]


def test_a_method_of_the_recipe_is_the_one_of_the_recipe():
    label, spec = pruner_of("stts", STTS)
    assert label == "stts"
    assert spec["init_args"] == {"remove": 0.5, "block": 0, "norm_input": True, "initial_score": 0.02}
    by_path = STTS | {"class_path": registry.find("pruner", "stts").class_path}
    assert pruner_of("stts", by_path) == (label, spec)
    assert pruner_of("stts", [{"class_path": "random"}, STTS]) == (label, spec)


def test_what_was_typed_beats_the_recipe():
    label, spec = pruner_of("stts(norm_input=false, remove=0.1)", STTS)
    assert label == "stts(norm_input=false, remove=0.1)"
    assert spec["init_args"] == {"remove": 0.1, "block": 0, "norm_input": False, "initial_score": 0.02}


def test_parts_of_a_method_take_the_arguments_of_their_own_name():
    label, (stts, fastv) = pruner_of("stts+fastv", STTS)
    assert label == "stts+fastv"
    assert stts["init_args"] == {"remove": 0.5, "block": 0, "norm_input": True, "initial_score": 0.02}
    assert fastv["init_args"] == {}
    assert pruner_of("random", STTS)[1]["init_args"] == {"remove": 0.5, "seed": 4}


def test_a_name_that_stands_twice_takes_the_arguments_in_turn():
    sites = [
        {"class_path": "random", "init_args": {"site": site, "seed": 9}} for site in ("vit.output", "vit.block[0]")
    ]
    _, given = pruner_of("random+random+random", sites)
    assert [one["init_args"] for one in given] == [
        {"site": "vit.output", "remove": 0.5, "seed": 4}, {"site": "vit.block[0]", "seed": 4}, {"seed": 4},
    ]  # fmt: skip


@pytest.mark.parametrize("pruner", [3, {"init_args": {}}, ["random", {"class_path": None}]])
def test_what_is_no_pruner(pruner):
    with pytest.raises(ConfigError, match="the recipe's model.pruner holds"):
        pruner_of("random", pruner)


def trained_with(**trainer):
    return RECIPE | {"trainer": RECIPE["trainer"] | trainer}


@pytest.mark.parametrize(
    ("recipe", "is_other"),
    [
        (trained_with(accumulate_grad_batches=2), True),
        (trained_with(gradient_clip_val=1.0), True),
        (trained_with(precision="bf16-mixed"), True),
        (with_pruner(STTS), True),
        # A run overwrites these, and a cell says them.
        (trained_with(max_steps=9, callbacks=[], devices=4, strategy="ddp", limit_val_batches=2), False),
        (with_pruner({"class_path": "none", "init_args": {"remove": 0.3, "seed": 1}}), False),
    ],
)
def test_what_cells_of_a_folder_share(recipe, is_other):
    assert (plan_of(recipe=recipe).fingerprint != plan_of().fingerprint) == is_other


def test_the_share_of_the_recipe_is_not_shared():
    other = STTS | {"init_args": STTS["init_args"] | {"remove": 0.9}}
    changed = STTS | {"init_args": STTS["init_args"] | {"block": 1}}
    one, same, another = (plan_of(recipe=with_pruner(pruner)).fingerprint for pruner in (STTS, other, changed))
    assert one == same != another


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"remove": ()}, "remove must be given"),
        ({"seeds": (1, 1)}, "seeds must be given and differ"),
        ({"remove": (0.5, 1.0)}, "expected shares in \\[0, 1\\)"),
        ({"steps": 0}, "steps is 0"),
        ({"test_clips": 0}, "test_clips is 0"),
        ({"seeds": (-1,)}, "seeds 0 or more"),
        ({"frames_scales": (0.0,)}, "test_frames_scale must be above 0"),
        ({"weights": None}, "--ckpt_path molmo2-tiny"),
        ({"recipe": RECIPE | {"trainer": {}}}, "type --steps"),
    ],
)
def test_a_plan_that_cannot_be_run(settings, text):
    with pytest.raises(ConfigError, match=text):
        plan_of(**settings)


# -- cells -------------------------------------------------------------------------------------------------------------


def test_every_cell_is_made_once(tmp_path, build):
    plan = plan_of(steps=2)
    assert sweep(plan, build, tmp_path) == []
    found = {(cell["method"], cell["trained"]): cell for cell in cells(tmp_path)}
    assert set(found) == {(name, trained) for name in ("none", "random") for trained in (False, True)}
    dense, pruned = found["none", True], found["random", True]
    assert dense["questions"]["correct"] == "111111" and pruned["questions"]["correct"] == "100100"
    assert dense["windows_entering"] == 2 * pruned["windows_entering"] == pruned["windows_left"] * 2
    assert (dense["clips"], dense["steps"], found["none", False]["steps"]) == (2, 2, 0)
    assert found["none", False]["train_loss"] is None and pruned["train_loss"] is not None
    built = len(build.made)
    assert sweep(plan, build, tmp_path) == []
    assert len(build.made) == built + 2  # looked at once more, and nothing run


def test_a_stopped_sweep_goes_on(tmp_path, build):
    plan = plan_of(steps=2)
    build.stop_at = 4  # two that are looked at, then the second run
    with pytest.raises(KeyboardInterrupt):
        sweep(plan, build, tmp_path)
    assert [cell["method"] for cell in cells(tmp_path)] == ["none"]
    build.stop_at = None
    sweep(plan, build, tmp_path)
    assert len(cells(tmp_path)) == 4
    assert not [file for file in tmp_path.iterdir() if file.suffix != ".json"]


def test_what_another_process_is_at_is_left_to_it(tmp_path, build):
    plan = plan_of("none", trained="never")
    folder = Folder(tmp_path, plan.fingerprint)
    claim = folder.file(plan.facts(plan.runs()[0], 1.0)).with_suffix(".claim")
    with claim.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert sweep(plan, build, tmp_path) == ["none 0 seed 0 as it is"]
        assert cells(tmp_path) == []
    assert sweep(plan, build, tmp_path) == []  # it ended without finishing
    assert len(cells(tmp_path)) == 1


def test_one_training_is_tested_with_several_numbers_of_frames(tmp_path, build):
    sweep(plan_of("none", trained="only", steps=1, frames_scales=(1.0, 2.0)), build, tmp_path)
    assert [cell["frames_scale"] for cell in cells(tmp_path)] == [1.0, 2.0]
    assert len(build.made) == 2


def test_longer_clips_are_sampled_more_often(tmp_path, build):
    seen = []

    def noting(spec):
        built = build(spec)
        test = built.trainer.test

        def noted(module, **named):
            seen.append((module.processor.sampling.max_frames, module.processor.sampling.frame_rate))
            test(module, **named)

        built.trainer.test = noted
        return built

    sweep(plan_of("none", trained="never", frames_scales=(1.0, 2.0)), noting, tmp_path)
    (frames, rate), (more, quicker) = seen
    assert (more, quicker) == (2 * frames, 2 * rate)


def test_learnt_pruners_are_only_trained(tmp_path, build):
    sweep(plan_of("tome", steps=1), build, tmp_path)
    assert [cell["trained"] for cell in cells(tmp_path)] == [True]
    with pytest.raises(ConfigError, match="tome has weights of its own"):
        sweep(plan_of("tome", trained="never"), build, tmp_path)


def test_every_share_is_looked_at_before_anything_is_trained(tmp_path, build):
    def checking(spec):
        pruner = spec["model"]["init_args"]["pruner"]
        registry.build("pruner", pruner["class_path"], **pruner["init_args"])
        tried.append(pruner["init_args"]["remove"])
        return build(spec | {"model": {"init_args": {"pruner": {"class_path": "random"}}}})

    tried = []
    with pytest.raises(ConfigError, match="dycoke: remove is 0.8"):
        sweep(plan_of("dycoke", remove=(0.5, 0.8), steps=1), checking, tmp_path)
    assert tried == [0.5] and cells(tmp_path) == []


def test_cells_of_another_recipe_are_not_mixed_in(tmp_path, build):
    sweep(plan_of("none", trained="never"), build, tmp_path)
    other = RECIPE | {"data": {"class_path": "shards", "init_args": {"path": "others", "seed": 11}}}
    with pytest.raises(ConfigError, match="holds cells of another recipe, data set or dense weights"):
        sweep(plan_of("none", trained="never", recipe=other), build, tmp_path)


def test_fewer_clips(tmp_path, build):
    limits = []

    def noting(spec):
        built = build(spec)
        limits.append(built.trainer)
        return built

    sweep(plan_of("none", trained="never", test_clips=3), noting, tmp_path)
    assert limits[-1].limit_test_batches == 2  # of two clips each
    assert isinstance(limits[-1].callbacks[0], Watch)


def test_texts_are_written_once():
    packed = packed_questions(
        [answer("a", 0, True), answer("a", 1, False), answer("b", 0, None), answer("b", 1, True, temporal=True)]
    )
    assert packed["key"] == {"texts": ["a", "b"], "place": [0, 0, 1]}
    assert packed["prompt"] == {"texts": ["question 0", "question 1"], "place": [0, 1, 1]}
    assert (packed["correct"], packed["temporal"]) == ("101", "001")


# -- report ------------------------------------------------------------------------------------------------------------


def write_cell(folder, answers, *, method="none", remove=0.0, trained=False, seed=0, scale=1.0, windows=8.0):
    facts = {"method": method, "remove": remove, "seed": seed, "trained": trained, "steps": 4 if trained else 0,
             "frames_scale": scale, "test_clips": None}  # fmt: skip
    content = {"windows_entering": windows, "windows_left": windows, "questions": packed_questions(answers)}
    Folder(folder, "recipe").write(facts, content)


def answers_of(rights, clips=10, temporal_from=3):
    return [
        answer(f"clip{clip}", number, bool(rights(clip, number)), temporal=number >= temporal_from)
        for clip in range(clips)
        for number in range(4)
    ]


def test_a_report_compares_with_the_dense_model_and_with_random_dropping(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: True))
    write_cell(tmp_path, answers_of(lambda c, n: n < 2), method="random", remove=0.5, windows=4.0)
    write_cell(tmp_path, answers_of(lambda c, n: n < 3), method="stride", remove=0.5, windows=4.0)
    report = report_of(tmp_path, order=["stride", "none"])
    stride, none, random = report.rows  # as asked for, then the others
    assert [row["method"] for row in report.rows] == ["stride", "none", "random"]
    assert (none["accuracy"], random["accuracy"], stride["accuracy"]) == (1.0, 0.5, 0.75)
    assert stride["families"] == {"colour": 1.0, "order": 0.0} and stride["temporal_accuracy"] == 0.0
    assert stride["vs_random"]["all"] == {"mean": 0.25, "low": 0.25, "high": 0.25, "questions": 40, "clips": 10}
    assert stride["vs_none"]["temporal"]["mean"] == -1.0
    assert none["vs_none"] is None and random["vs_random"] is None
    assert none["vs_random"] is None  # none was dropped at random
    assert (report.setting["clips"], report.setting["questions"]) == (10, 40)


def test_seeds_are_averaged_within_each_question(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: True), trained=True)
    for seed in range(2):
        answers = answers_of(lambda c, n, seed=seed: n != seed)
        write_cell(tmp_path, answers, method="random", remove=0.5, trained=True, seed=seed)
    random = next(row for row in report_of(tmp_path).rows if row["method"] == "random")
    assert random["seeds"] == [0, 1] and random["accuracy_of_seeds"] == [0.75, 0.75]
    assert random["vs_none"]["all"]["mean"] == -0.25


def test_trained_models_are_compared_with_trained_ones(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: n > 0))
    write_cell(tmp_path, answers_of(lambda c, n: True), trained=True)
    write_cell(tmp_path, answers_of(lambda c, n: n > 1), method="stride", remove=0.5, trained=True)
    rows = report_of(tmp_path).rows
    assert [row["trained"] for row in rows] == [False, True, True]
    assert rows[2]["vs_none"]["all"]["mean"] == -0.5


def test_more_frames_are_compared_with_the_dense_model_as_it_was_trained(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: True))
    write_cell(tmp_path, answers_of(lambda c, n: False), scale=2.0)
    write_cell(tmp_path, answers_of(lambda c, n: n > 0), method="stride", remove=0.5, scale=2.0)
    stride = next(row for row in report_of(tmp_path).rows if row["method"] == "stride")
    assert stride["vs_none"]["all"]["mean"] == -0.25
    assert "2x" in report_of(tmp_path).as_text()


def test_only_questions_that_both_were_asked_count(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: True, clips=4))
    write_cell(tmp_path, answers_of(lambda c, n: c < 4 and n < 2), method="random", remove=0.5)
    random = next(row for row in report_of(tmp_path).rows if row["method"] == "random")
    assert random["vs_none"]["all"]["questions"] == 16 and random["vs_none"]["all"]["mean"] == -0.5


def test_the_tables(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: True), trained=True)
    for seed in range(2):
        answers = answers_of(lambda c, n, seed=seed: n < 2 + seed)
        write_cell(tmp_path, answers, method="random", remove=0.5, trained=True, seed=seed, windows=4.0)
    report = report_of(tmp_path)
    text, markdown = report.as_text(), report.as_markdown()
    assert "order*" in text and "colour " in text
    assert "50.0-75.0 (2)" in text and "-37.5 [-37.5, -37.5]" in text
    assert "| random | 0.5 | yes | 4.0 | 62.5 | 50.0-75.0 (2) | 0.0 | -37.5 [-37.5, -37.5] | - |" in markdown
    assert json.loads(json.dumps(report.as_dict()))["rows"][1]["accuracy"] == 0.625
    assert "steps" not in text  # all trained rows have as many


def test_intervals_are_those_of_clips(tmp_path):
    generator = np.random.default_rng(0)
    lucky = generator.random(50) < 0.5
    write_cell(tmp_path, answers_of(lambda c, n: True, clips=50))
    write_cell(tmp_path, answers_of(lambda c, n: lucky[c], clips=50), method="random", remove=0.5)
    versus = next(row for row in report_of(tmp_path).rows if row["method"] == "random")["vs_none"]["all"]
    half_width = 1.96 * np.sqrt(0.25 / 50)  # of 50 clips that stand or fall as a whole
    assert versus["high"] - versus["low"] == pytest.approx(2 * half_width, rel=0.15)


def test_a_folder_without_cells(tmp_path):
    with pytest.raises(ConfigError, match="holds no finished cell"):
        report_of(tmp_path)


def test_a_cell_of_another_version(tmp_path):
    write_cell(tmp_path, answers_of(lambda c, n: True))
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(ConfigError, match="is of format 99"):
        report_of(tmp_path)


def test_a_question_that_is_asked_twice_counts_twice(tmp_path):
    twice = [answer("a", 0, True), answer("a", 0, False)]
    write_cell(tmp_path, twice)
    (row,) = report_of(tmp_path).rows
    assert (row["questions"], row["accuracy"]) == (2, 0.5)

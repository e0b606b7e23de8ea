"""Mistakes of a user of the training commands, each answered by one sentence that holds what is needed to mend it."""

import pytest

from zoo import argument_faults as faults

FLAGS = [
    (["--model=regresion"], ["model: no module 'regresion'. Near: regression.", "List: zoo list module"]),
    (["--model.encoder=wid"], ["model.encoder: no test_encoder 'wid'. Near: wide.", "Looked in: register()"]),
    (["--model.slop=3"], ["no option 'model.slop'. Near: slope.", "Regression takes encoder, extra, several"]),
    (
        ["--model.encoder=wide", "--model.encoder.hiddn_size=3"],
        ["no option 'model.encoder.hiddn_size'. Near: hidden_size."],
    ),
    (["--model.slope=steep"], ["model.slope: expected float, got 'steep'"]),
    (
        ["--model.encoder=wide", "--model.encoder.hidden_size=2"],
        ["model.encoder: hidden_size must be 4 or more, got 2"],
    ),
    (["--model.several=[{class_path: wide, init_args: {hidden_size: 2}}]"], ["model.several: hidden_size must be"]),
    (["--trainer.max_step=3"], ["no option 'trainer.max_step'. Near: trainer.max_steps"]),
    (["--trainr.max_steps=3"], ["no option 'trainr.max_steps'. Near: trainer.max_steps"]),
    (["--trainer.limit_val_batches=few"], ["trainer.limit_val_batches: expected int or float or null, got 'few'"]),
    (["--trainer.precision=bf17"], ["trainer.precision: expected 64 or 32", "'bf16-mixed'", "got 'bf17'"]),
    (["--trainer.accelerator=quantum"], ["trainer: ", "quantum"]),
    (["--trainer.logger=CSVLoger"], ["trainer.logger: no Logger called 'CSVLoger'. Near: CSVLogger"]),
    (["--trainer.callbacks+=EarlyStoping"], ["trainer.callbacks: no callback 'EarlyStoping'"]),
    (["--seed_everything=x"], ["seed_everything: expected bool or int, got 'x'"]),
    (["--foo", "bar"], ["no option 'foo'"]),
    (["foo"], ["unexpected 'foo'"]),
    (["--ckpt_path=gone.ckpt"], ["ckpt_path: no file gone.ckpt"]),
    (["--data=pandas.nothing.X"], ["data: pandas.nothing.X cannot be used: No module named"]),
]

NESTED = [
    (
        ["--model.optimiser.visoin.learning_rate=1"],
        "no option 'model.optimiser.visoin.learning_rate'. Near: vision. OptimiserSettings takes method, betas",
    ),
    (
        ["--model.optimiser.vision.learning_rat=1"],  # the beginning of a name is not the name
        "no option 'model.optimiser.vision.learning_rat'. Near: learning_rate. Group takes",
    ),
    (["--model.lora.language.ranc=2"], "no option 'model.lora.language.ranc'. Near: rank. LowRank takes rank, alpha"),
    (["--data.packing.max_token=3"], "no option 'data.packing.max_token'. Near: max_tokens. PackLimits takes"),
    (
        ["--data.generator=tabletop", "--data.generator.train_clps=3"],
        "no option 'data.generator.train_clps'. Near: train_clips",
    ),
    (
        ["--data.generator={a: tabletop}", "--data.generator.train_clps=3"],
        "data.generator: expected ShardGenerator or dict[str, ShardGenerator] or null, got 'train_clps=3'",
    ),
]

IN_YAML = [
    ("model: {init_args: {optimiser: {visoin: {learning_rate: 1}}}}", NESTED[0][1]),
    (
        "model: {init_args: {optimiser: {vision: {lerning_rate: 1}}}}",
        "no option 'model.optimiser.vision.lerning_rate'. Near: learning_rate. Group takes",
    ),
    ("model: {init_args: {lora: {langage: {rank: 1}}}}", "no option 'model.lora.langage.rank'. Near: language. Lora"),
    ("data: {init_args: {packing: {max_token: 1}}}", NESTED[3][1]),
]

RECIPES = [
    ("model: {class_path: regresion}", ["model: no module 'regresion'. Near: regression."]),
    (
        "model: {class_path: regression, init_args: {encoder: wid}}",
        ["model.encoder: no test_encoder 'wid'. Near: wide."],
    ),
    (
        "model: {class_path: regression, init_args: {encoder: {class_path: wide, init_args: {hiden_size: 4}}}}",
        ["no option 'model.encoder.hiden_size'. Near: hidden_size. WideEncoder takes hidden_size"],
    ),
    ("trainer: {max_step: 3}", ["no option 'trainer.max_step'. Near: trainer.max_steps"]),
    ("dta: numbers", ["no option 'dta'. Near: data"]),
    ("modl: {slope: 3}", ["no option 'modl.slope'. Near: model"]),
    (
        "trainer: {callbacks: [{class_path: ModelCheckpoint, init_args: {monito: x}}]}",
        ["trainer.callbacks.monito", "monitor"],
    ),
    ("[1, 2]", ["wrong.yaml holds no mapping"]),
    ("model: [", ["wrong.yaml, line 1: while parsing a flow"]),
    ("model:\n\tx: 1", ["wrong.yaml, line 2: while scanning for the next token found character"]),
    ("model: \x07", ["wrong.yaml is no YAML"]),
    ("model: {class_path: regression, init_args: {slope: '${nowhere}'}}", ["nowhere"]),
]


@pytest.mark.parametrize(
    ("flags", "texts"), FLAGS, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_mistake_in_a_flag(mistake, recipe, flags, texts):
    sentence = mistake("fit", "--config", recipe, *flags)
    for text in texts:
        assert text in sentence


@pytest.mark.parametrize(("text", "expected"), RECIPES)
def test_mistake_in_a_recipe(mistake, tmp_path, text, expected):
    (tmp_path / "wrong.yaml").write_text(text)
    sentence = mistake("fit", "--config", "wrong.yaml", "--data=numbers")
    for part in expected:
        assert part in sentence


@pytest.mark.parametrize(("flags", "sentence"), NESTED)
def test_mistake_below_the_first_level(mistake, flags, sentence):
    assert mistake("fit", "--config=molmo2/tiny", *flags).startswith(sentence)


@pytest.mark.parametrize(("text", "sentence"), IN_YAML)
def test_mistake_below_the_first_level_of_a_recipe(mistake, tmp_path, text, sentence):
    (tmp_path / "wrong.yaml").write_text(text)
    assert mistake("fit", "--config=molmo2/tiny", "--config=wrong.yaml").startswith(sentence)


def test_a_recipe_that_is_no_text(mistake, tmp_path):
    (tmp_path / "wrong.yaml").write_bytes(b"\xff\xfe\x00x")
    assert mistake("fit", "--config=wrong.yaml") == "wrong.yaml is no text in UTF-8; --config takes a YAML file"


def test_nothing_given(mistake):
    assert mistake("fit") == (
        "data, model: missing. Give --config=RECIPE (zoo list recipe) or --model=NAME (zoo list module)"
    )


def test_required_part_is_missing(mistake):
    assert mistake("fit", "--model=regression", "--data=numbers").startswith("model.encoder: missing")


@pytest.mark.parametrize("flag", ["--model.slope=3", "--model.encoder.help=wide"])
def test_flag_of_a_model_that_was_not_chosen(mistake, flag):
    assert "of which model? Say --model=NAME or --config=RECIPE before it" in mistake("fit", flag)


def test_unknown_recipe(mistake):
    assert mistake("fit", "--config", "molmo3/tiny").startswith("no recipe 'molmo3/tiny'. Near: molmo2/tiny")


def test_debug_keeps_the_sentence_last(zoo, recipe):
    answer = zoo("fit", "--debug", "--config", recipe, "--model.slop=3")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert answer.last.startswith("zoo: no option 'model.slop'")


def test_sentence_without_a_cause_is_the_message():
    assert faults.sentence("something\n  is wrong", None, ()) == "something is wrong"


def test_long_message_is_cut():
    assert len(faults.sentence("x" * 5000, None, ())) == 400

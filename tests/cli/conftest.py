"""Commands run in this process, in an empty folder, with the parts of `tests/fakes` registered."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from zoo import registry
from zoo.cli import main


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stderr: the sentence about a mistake."""
        return self.err.strip().rpartition("\n")[2]


@pytest.fixture
def zoo(
    sandboxed_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Run a command as it would be typed."""
    from fake_parts import PARTS

    for (kind, name), part in PARTS.items():
        registry.register(kind, name)(part)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capfd.readouterr())

    return run


@pytest.fixture
def mistake(zoo: Callable[..., Answer]) -> Callable[..., str]:
    """The one sentence that a mistaken command ends with."""

    def run(*arguments: object) -> str:
        answer = zoo(*arguments)
        assert answer.code == 2, answer.err
        assert "Traceback" not in answer.err
        assert answer.last.startswith("zoo: "), answer.err
        return answer.last.removeprefix("zoo: ")

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A small configuration, `small.yaml` in the folder that commands run in."""
    path = tmp_path / "small.yaml"
    path.write_text(
        "# Fits a number.\n"
        "seed_everything: 3\n"
        "model: {class_path: regression, init_args: {encoder: small, slope: 2.0}}\n"
        "data: {class_path: numbers, init_args: {batch_size: 4}}\n"
        "trainer: {max_steps: 3, accelerator: cpu, log_every_n_steps: 1,"
        " enable_progress_bar: false, enable_model_summary: false}\n"
    )
    return path


@pytest.fixture
def video_recipe(zoo: Callable[..., Answer], recipe: Path) -> Path:
    """A recipe of a video-language model that reads a handful of clips, rendered for it."""
    pytest.importorskip("mujoco")
    flags = ("--train_clips=8", "--val_clips=2", "--test_clips=2", "--samples_per_shard=4", "--workers=0")
    answer = zoo("generate", "tabletop", "--out=clips", *flags)
    assert answer.code == 0, answer.err
    recipe.write_text(
        "model:\n  class_path: vlm\n  init_args:\n"
        "    vision: vit-tiny\n    language: qwen3-tiny\n    tokenizer: words\n"
        "    connector: {class_path: attention_pool, init_args: {head_dim: 32}}\n    heads: [qa]\n    max_frames: 4\n"
        "data: {class_path: shards, init_args: {path: clips}}\n"
    )
    return recipe

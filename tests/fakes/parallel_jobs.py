"""What two processes are asked to do together, and the same work for one; see `processes`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.utils.data import DataLoader
from trunk_fixtures import QUESTIONS, build_module
from weighted_head import WeightedHead

from zoo.batch import Batch
from zoo.errors import ConfigError
from zoo.head import Message, PatchText
from zoo.heads.grounding import WordGrounding
from zoo.heads.qa import QuestionAnswering
from zoo.lora import LoraSettings, LowRank
from zoo.module import ZooModule
from zoo.optimisation import Group, OptimiserSettings
from zoo.processor import Example
from zoo.sharding import FullySharded

GROUP = Group(learning_rate=1e-3, warmup_steps=0)
SETTINGS = OptimiserSettings(vision=GROUP, connector=GROUP, language=GROUP, heads=GROUP)

CLIPS = ((3, 3), (2, 1), (1, 2), (0, 2), (4, 3))
"""Frames and questions of the clips; one is text only, and stands last in a batch."""

STEPS = 5


def module_of(**arguments: object) -> ZooModule:
    """A module with heads that count windows and that have weights, the same in every process."""
    torch.manual_seed(3)
    heads = [QuestionAnswering(max_new_tokens=3), WordGrounding(weight=0.5), WeightedHead()]
    return build_module(heads=heads, **{"optimiser": SETTINGS, **arguments}).train()


def batch_of(module: ZooModule, clips: list[int]) -> Batch:
    """Clips by their number in CLIPS, random pixels; every second one with a named patch."""
    return module.processor.collate([example_of(module, number, *CLIPS[number]) for number in clips])


def example_of(module: ZooModule, number: int, frames: int, questions: int) -> Example:
    messages = [
        Message(head="qa", prompt=prompt, answer=answer, family=f"family{i}")
        for i, (prompt, answer) in enumerate(QUESTIONS[:questions])
    ]
    shown = max(frames, 1)
    patches = np.zeros((shown, *module.model.vision.grid), bool)
    patches[:, 1, 1:3] = True
    example = module.processor.example(
        key=f"clip{number}",
        frames=np.random.default_rng(number).integers(0, 256, (shown, 40, 56, 3), dtype=np.uint8),
        times_s=np.arange(shown) / 2,
        messages=messages,
        labels=[PatchText(text="red cube", patches=patches)] if number % 2 == 0 else [],
        is_video=shown > 1,
    )
    if frames:
        return example
    return replace(
        example, pixels=example.pixels[:0], times_s=(), prefix=example.prefix[:1], patch_words=example.patch_words[:0]
    )


def loader(batches: list[Batch]) -> DataLoader:
    return DataLoader(batches, batch_size=None)


def trainer_of(folder: Path, **arguments: object) -> Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler"), False)
    return Trainer(
        **{**quiet, "accelerator": "cpu", "enable_checkpointing": False, "default_root_dir": folder, **arguments}
    )


class Gradients(Callback):
    """Keeps the gradients of the first step, before they are clipped, and the logged losses."""

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}
        self.losses: list[float] = []

    def on_after_backward(self, trainer: Trainer, pl_module: ZooModule) -> None:
        if not self.found:
            self.found = {n: p.grad.clone() for n, p in pl_module.named_parameters() if p.grad is not None}

    def on_train_batch_end(self, trainer: Trainer, pl_module: ZooModule, *_: object) -> None:
        self.losses.append(float(trainer.callback_metrics["train/loss"]))


def gradients_of(folder: Path, clips: list[int], **arguments: object) -> dict[str, object]:
    module = module_of()
    seen = Gradients()
    run = trainer_of(folder, max_steps=1, callbacks=[seen], **arguments)
    run.fit(module, loader([batch_of(module, clips)]))
    return {"gradients": seen.found, "losses": seen.losses}


def ddp_gradients(rank: int, folder: Path) -> dict[str, object]:
    """Unlike numbers of frames, questions and named windows in the two processes."""
    return gradients_of(folder, ([0, 1], [2])[rank], strategy="ddp", devices=2)


def ddp_text_only(rank: int, folder: Path) -> dict[str, object]:
    """One process has text only, so that half of its model has nothing to do."""
    return gradients_of(folder, ([0], [3])[rank], strategy="ddp", devices=2)


def scores_of(folder: Path, batches: list[list[int]], **arguments: object) -> dict[str, dict[str, float]]:
    """Scores of a validation inside `fit`, and of a test."""
    module = module_of(controls=["blank_video"])
    run = trainer_of(folder, max_steps=1, num_sanity_val_steps=0, val_check_interval=1, **arguments)
    shown = [batch_of(module, clips) for clips in batches]
    run.fit(module, loader([batch_of(module, [0])]), loader(shown))
    fitted = {name: float(value) for name, value in run.callback_metrics.items()}
    tested = run.test(module, loader(shown), verbose=False)[0]
    return {"fit": fitted, "test": {name: float(value) for name, value in tested.items()}}


def ddp_scores(rank: int, folder: Path) -> dict[str, dict[str, float]]:
    """Two batches in one process, one in the other."""
    return scores_of(folder, ([[0, 1], [2]], [[4, 3]])[rank], strategy="ddp", devices=2)


class SaveAfterTwo(Callback):
    """Saves in the midst of a run, a folder under `fsdp2`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.path)


def five_steps(
    rank: int,
    folder: Path,
    module: ZooModule,
    *,
    save: str | None = None,
    resume: str | None = None,
    **arguments: object,
) -> dict[str, Tensor]:
    """Train on clips that differ between the processes, with evaluations between; returns whole weights."""
    maker = module_of()  # makes batches, also where the trained module has no weights
    shown = [batch_of(maker, ([0, 1], [2, 4])[rank]), batch_of(maker, ([4], [3])[rank])] * STEPS
    validation = [batch_of(maker, clips) for clips in ([[0], [1]], [[2]])[rank]]
    run = trainer_of(
        folder,
        devices=2,
        max_steps=STEPS,
        num_sanity_val_steps=0,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        callbacks=[SaveAfterTwo(folder / save)] if save else [],
        **arguments,
    )
    path = folder / resume if resume else None
    run.fit(module, loader(shown), loader(validation), ckpt_path=path, weights_only=True)
    return whole(module)


def whole(module: ZooModule) -> dict[str, Tensor]:
    from torch.distributed.tensor import DTensor

    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().clone()
        for name, value in [*module.named_parameters(), *module.named_buffers()]
    }


def shapes_in_the_second(rank: int, build: Callable[[], ZooModule]) -> ZooModule:
    with torch.device("meta" if rank else "cpu"):
        return build()


def ddp_steps(rank: int, folder: Path) -> dict[str, Tensor]:
    return five_steps(rank, folder, module_of(), strategy="ddp")


def fsdp_steps(rank: int, folder: Path) -> dict[str, Tensor]:
    module = shapes_in_the_second(rank, module_of)
    return five_steps(rank, folder, module, strategy="fsdp2", save="two.ckpt")


def fsdp_resume(rank: int, folder: Path) -> dict[str, Tensor]:
    module = shapes_in_the_second(rank, module_of)
    return five_steps(rank, folder, module, strategy="fsdp2", resume="two.ckpt")


def fsdp_plain_file(rank: int, folder: Path) -> dict[str, Tensor]:
    """One plain file, gathered in the first process, with other weights than the second one builds."""
    return five_steps(
        rank, folder, module_of(), strategy=FullySharded(save_distributed_checkpoint=False), save="one.ckpt"
    )


def adapted() -> ZooModule:
    """As if its language model came from files, and its vision encoder from nowhere."""
    module = module_of(lora=LoraSettings(language=LowRank(rank=2, alpha=4), vision=LowRank(rank=2, alpha=4)))
    module.fetched = frozenset({"language"})
    return module


def ddp_lora(rank: int, folder: Path) -> dict[str, Tensor]:
    return five_steps(rank, folder, adapted(), strategy="ddp")


def fsdp_lora(rank: int, folder: Path) -> dict[str, Tensor]:
    return five_steps(rank, folder, shapes_in_the_second(rank, adapted), strategy="fsdp2", save="adapted.ckpt")


def fsdp_lora_resume(rank: int, folder: Path) -> dict[str, Tensor]:
    return five_steps(rank, folder, shapes_in_the_second(rank, adapted), strategy="fsdp2", resume="adapted.ckpt")


def told(folder: Path, module: ZooModule, **arguments: object) -> list[str]:
    """The sentence that a run of one step ends with."""
    maker = module_of()
    try:
        trainer_of(folder, devices=2, max_steps=1, **arguments).fit(module, loader([batch_of(maker, [0])]))
    except ConfigError as error:
        return [str(error)]
    return []


def fsdp_muon(rank: int, folder: Path) -> list[str]:
    return told(folder, module_of(optimiser=replace(SETTINGS, method="muon")), strategy="fsdp2")


def fsdp_without_weights(rank: int, folder: Path) -> list[str]:
    with torch.device("meta"):
        module = module_of()
    return told(folder, module, strategy="fsdp2")


def tensor_parallel(rank: int, folder: Path) -> list[str]:
    return told(folder, module_of(), strategy=ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=2))

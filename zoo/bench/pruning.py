"""What pruners save: every method against the dense model, on the same weights and clips, in turns within one run.

Each round runs the dense model and every method once, beginning with another one each time, and a speed-up is the
median over rounds of dense seconds over own seconds of the same round, so that what slows a machine for a while slows
both sides. Beside it stands the bound: how many times more floating-point operations the dense model was seen to
execute. A training step is forward and backward, activations recomputed where the module says so; the optimiser is not
counted, nor is making the tensors.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from zoo.batch import Batch
from zoo.bench.meters import Meter, StageClock, synchronised
from zoo.bench.methods import Method, parse_method
from zoo.bench.pruning_cost import DENSE, FORWARD, STAGES, TRAIN, ArmCost, Pass, PruningCost, Row
from zoo.bench.trunks import clips_batch
from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.model import TrunkPass
from zoo.module import ZooModule
from zoo.packing import first_fit_decreasing
from zoo.pruner import Pruner

WITHIN_VISION = ("pixels", "vit.stem", "vit.attention", "vit.block")
"""Places behind which blocks run on what was left."""


@dataclass(kw_only=True)
class Arm:
    """One method at one share, and its weights.

    Args:
        method: As it would be typed.
        remove: Share of a clip's windows; 0 where the method is told none.
        pruners: That it is made of.
        weights: Those that they had when they were first put into the trunk.
    """

    method: str
    remove: float
    pruners: Sequence[Pruner]
    weights: dict[str, Tensor] | None = None

    @classmethod
    def of(cls, method: Method, share: float) -> Arm:
        """A method that is told a share, where it takes one from outside."""
        remove = share if method.removes else method.remove
        return cls(method=method.label, remove=remove, pruners=method.build(remove=share))

    def enter(self, module: ZooModule) -> None:
        """Put them into the trunk, with the weights that they had there before."""
        module.model.set_pruners(self.pruners)
        like = module.model.extra_embedding.weight
        pruners = module.model.pruners.to(device=like.device, dtype=like.dtype)
        if self.weights is None:
            self.weights = {name: value.clone() for name, value in pruners.state_dict().items()}
        else:
            pruners.load_state_dict(self.weights)

    def __str__(self) -> str:
        return f"{self.method} {self.remove:g}"


def measure_pruning(
    module: ZooModule,
    *,
    methods: Sequence[Method],
    remove: Sequence[float] = (0.5,),
    frames: Sequence[int] = (16, 32, 64),
    clips: int = 1,
    text_tokens: int = 120,
    rounds: int = 3,
    backward_frames: int = 64,
    warm_up: bool = False,
) -> PruningCost:
    """Time and count methods in a trunk.

    Args:
        module: The dense model; other pruners take turns in it, and it ends without any.
        methods: What is compared; `none` beside itself tells how far the noise goes.
        remove: Shares of a clip's windows, each in [0, 1).
        frames: Of each clip, one batch each.
        clips: Of a batch.
        text_tokens: Of each clip's question and answer together.
        rounds: Turns of all sides, after the passes in which operations and bytes are counted.
        backward_frames: More frames than this are run forward only.
        warm_up: Begin with a round that is not counted, for compiled code and GPUs.
    Raises:
        ConfigError: there is nothing to measure, or a method does not fit the trunk.
    """
    _check(methods, remove, frames, clips=clips, text_tokens=text_tokens, rounds=rounds)
    arms = [Arm.of(parse_method(DENSE), 0.0)]
    for method in methods:
        arms += [Arm.of(method, share) for share in (remove if method.removes else (0.0,))]
    for arm in arms:
        arm.enter(module)  # refuses what does not fit before anything is timed
    costs: dict[int, list[ArmCost]] = {}
    was_training = module.training
    passes = sum(2 if count <= backward_frames else 1 for count in frames) * len(arms) * (rounds + warm_up + 1)
    try:
        with tqdm(total=passes, desc="passes", unit="pass", leave=False, file=sys.stderr, disable=None) as bar:
            for count in frames:
                batch = clips_batch(module, frames=count, clips=clips, text_tokens=text_tokens)
                trained = (FORWARD, TRAIN) if count <= backward_frames else (FORWARD,)
                costs[count] = _measured(module, batch, arms, count, trained, range(-warm_up, rounds), bar)
    finally:
        module.zero_grad()
        module.train(was_training)
        module.model.set_pruners([])
    rows = [Row(own=own, dense=costs[count][0]) for count in frames for own in costs[count][1:]]
    order = {str(arm): place for place, arm in enumerate(arms[1:])}
    rows.sort(key=lambda row: order[f"{row.own.method} {row.own.remove:g}"])
    return PruningCost(
        rows=tuple(rows),
        dense=tuple(costs[count][0] for count in frames),
        setting=_setting(module, clips=clips, text_tokens=text_tokens, rounds=rounds),
    )


def _check(methods: Sequence[Method], remove: Sequence[float], frames: Sequence[int], **least: int) -> None:
    labels = [method.label for method in methods]
    for name, given in {"methods": labels, "remove": remove, "frames": frames}.items():
        if not given or len(set(given)) != len(given):
            raise ConfigError(f"{name} are {list(given)}; give one or more that differ, with commas between them")
    numbers = {"frames": min(frames), **least}
    low = {name: value for name, value in numbers.items() if value < (2 if name == "text_tokens" else 1)}
    if low:
        told = ", ".join(f"{value} {name}" for name, value in low.items())
        raise ConfigError(f"{told}: nothing can be measured; 1 of each at least, and 2 text_tokens")


def _measured(
    module: ZooModule, batch: Batch, arms: Sequence[Arm], frames: int, passes: Sequence[Pass], rounds: range, bar: tqdm
) -> list[ArmCost]:
    costs = [ArmCost(method=arm.method, remove=arm.remove, frames=frames) for arm in arms]
    for arm, cost in zip(arms, costs, strict=True):
        arm.enter(module)
        _count(module, batch, cost, passes)
        bar.update(len(passes))
    for turn in rounds:
        for place in range(len(arms)):
            number = (place + turn) % len(arms)
            arms[number].enter(module)
            for name in passes:
                bar.set_postfix_str(f"{arms[number]}, {frames} frames, {name}")
                _time(module, batch, costs[number] if turn >= 0 else replace(costs[number], seconds={}), name)
                bar.update()
    return costs


def _run(module: ZooModule, batch: Batch, name: Pass) -> TrunkPass:
    """One pass over a batch, logits and losses included."""
    done = module.model.run(batch)
    outputs = module.model.outputs(batch, done)
    if name == TRAIN:
        loss = sum(head.loss(outputs, batch)["loss"] for head in module.heads.values())
        sum(outputs.auxiliary_losses, loss).backward()
    return done


def _ready(module: ZooModule, name: Pass) -> None:
    module.zero_grad()
    module.train(name == TRAIN)


def _count(module: ZooModule, batch: Batch, cost: ArmCost, passes: Sequence[Pass]) -> None:
    """Operations, bytes and tokens, in passes that also warm up."""
    for name in passes:
        _ready(module, name)
        with torch.set_grad_enabled(name == TRAIN), Meter(_held(module, batch)) as meter:
            done = _run(module, batch, name)
        cost.flops[name] = meter.flops
        if name == FORWARD:
            _note_tokens(done, cost)
        del done
        on_gpu = module.device.type == "cuda"
        cost.peak_bytes[name] = _allocated_bytes(module, batch, name) if on_gpu else meter.peak_bytes


def _allocated_bytes(module: ZooModule, batch: Batch, name: Pass) -> int:
    """Most bytes of a GPU's allocator at a time, in a pass that runs as it is timed."""
    _ready(module, name)
    torch.cuda.reset_peak_memory_stats(module.device)
    with torch.set_grad_enabled(name == TRAIN):
        _run(module, batch, name)
    return torch.cuda.max_memory_allocated(module.device)


def _held(module: ZooModule, batch: Batch) -> Iterable[Tensor]:
    yield from module.parameters()
    yield from module.buffers()
    yield from (value for name in Batch.__slots__ if isinstance(value := getattr(batch, name), Tensor))


def _time(module: ZooModule, batch: Batch, cost: ArmCost, name: Pass) -> None:
    _ready(module, name)
    if name == TRAIN:
        begin = synchronised(module.device)
        _run(module, batch, name)
        cost.add(name, synchronised(module.device) - begin)
        return
    stages = {stage: getattr(module.model, stage) for stage in STAGES}
    with StageClock(stages, module.device) as clock, torch.inference_mode():
        begin = synchronised(module.device)
        _run(module, batch, name)
        cost.add(name, synchronised(module.device) - begin)
    for stage, seconds in clock.seconds.items():
        cost.add(stage, seconds)


def _note_tokens(done: TrunkPass, cost: ArmCost) -> None:
    pruning = done.pruning
    cost.tokens = {str(site): sum(counts) for site, counts in pruning.tokens_per_clip.items()}
    cost.windows = done.window_layout.num_tokens
    cost.sequence = len(done.position_ids) - done.window_layout.num_windows + cost.windows
    cuts = [layout for site, layout in pruning.layouts.items() if site.stage in WITHIN_VISION]
    cost.bin_fill = bin_fill(cuts[-1]) if cuts else None


def bin_fill(layout: TokenLayout) -> float:
    """Share of the slots that living patches take, frames lying whole in as few bins of a frame's patches as first fit
    needs (molmo2_stts sheet B7).
    """
    sizes = layout.tokens_per_frame
    bins = first_fit_decreasing(sizes, layout.patches_per_frame)
    return sum(sizes) / (len(bins) * layout.patches_per_frame)


def _setting(module: ZooModule, **typed: int) -> dict[str, Any]:
    model = module.model
    device = module.device
    shape = {
        "vision": {"hidden_size": model.vision.hidden_size, "blocks": model.vision.last_block() + 1},
        "language": {"hidden_size": model.language.hidden_size, "layers": model.language.num_layers},
    }
    return {
        "shape": shape,
        "image_size": list(model.vision.image_size),
        "weights": sum(parameter.numel() for parameter in module.parameters()),
        "recomputes": {name: getattr(model, name).activation_checkpointing for name in ("vision", "language")},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "dtype": str(model.extra_embedding.weight.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        **typed,
    }

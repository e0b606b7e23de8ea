"""What a policy's step costs with a cache, early and late in an episode, and without one.

The n-th step of an episode is timed with a cache that holds the n - 1 before it; without a cache, the trunk reads all n
steps again, as a policy would that keeps nothing. All sides take turns, so that other programs hit each of them alike,
and of each side the quickest turn counts: they can only slow it down. Weights and features are random, and what the
cache holds is whatever lies in it: numbers do not change how long they take.

The frozen encoders are timed apart. Pictures are encoded at every step, with a cache and without, the instruction once
an episode; what a policy's step costs is its trunk's and that of its pictures.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from tqdm import tqdm

from zoo import registry
from zoo.bench.policy_cost import PICTURES, EncoderCost, PolicyCost, StepCost, TrunkCost
from zoo.bench.trunks import Device, Dtype, device_of
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.policy_trunk import PolicyCache, PolicySteps, PolicyTrunk, TrunkInputs
from zoo.text_encoder import TextFeatures

TRUNKS = ("spoc-siglip-3", "ring", "spoc-tiny", "ring-tiny")
ENCODERS: Mapping[tuple[int, int], tuple[str, str]] = {
    (768, 768): ("timm:vit_base_patch16_siglip_256", "siglip-text-base"),
    (384, 512): ("dinov2-small", "t5-small"),
    (768, 512): ("dinov2-base", "t5-small"),
    (2048, 512): ("clip-resnet-50", "t5-small"),
    (128, 64): ("vit-tiny", "siglip-text-tiny"),
}
"""Vision and text encoder by the channels that a trunk reads of each (sheet spoc_ring_holodeck_graspmolmo 1.5)."""
GRID = (7, 12)
"""Rows and columns that a camera's patches are pooled to before a trunk sees them (sheet 1.5)."""
TEXT_TOKENS = 64
INSTRUCTION = "find a mug and pick it up"


def measure_policy(
    trunks: Sequence[str] = TRUNKS,
    *,
    steps: Sequence[int] = (10, 100, 1000),
    rows: Sequence[int] = (1, 8),
    rounds: int = 30,
    recomputed_rounds: int = 1,
    max_recomputed: int = 1000,
    device: Device = "auto",
    dtype: Dtype = "float32",
) -> PolicyCost:
    """Time steps of policy trunks with a cache and without, and the encoders in front of them.

    Args:
        trunks: Registry names.
        steps: Numbers of the steps in their episode, counted from 1.
        rows: Episodes that go on side by side.
        rounds: Turns of all sides, after one that is not counted.
        recomputed_rounds: Of these, in how many the steps are also recomputed.
        max_recomputed: Steps, all episodes together, beyond which nothing is recomputed.
        device: Where it runs; auto takes a GPU where there is one.
        dtype: Of weights and numbers.
    Raises:
        ConfigError: a number out of range, nothing to measure, or a device that this machine lacks.
        UnknownNameError: nothing has one of the names.
    """
    if not trunks or not steps or not rows or min(*steps, *rows, rounds, recomputed_rounds + 1) < 1:
        raise ConfigError(
            f"bench: trunks {list(trunks)}, steps {list(steps)}, rows {list(rows)}, {rounds} rounds, "
            f"{recomputed_rounds} of them recomputed; expected one trunk or more, and 1 or more of each"
        )
    place, numbers = device_of(device), getattr(torch, dtype)
    built = {name: built_trunk(name).to(place, numbers).eval() for name in trunks}
    bar = tqdm(total=len(built) * len(rows) * rounds, desc="rounds", leave=False, file=sys.stderr, disable=None)
    costs, encoders = [], {}
    with torch.inference_mode(), bar:
        for trunk in built.values():
            read = trunk.inputs.patch_channels, trunk.inputs.text_channels
            if read in ENCODERS and read not in encoders:
                encoders[read] = encoder_cost(*ENCODERS[read], rounds=rounds, device=place, dtype=numbers)
        for name, trunk in built.items():
            for count in rows:
                cached, recomputed = _sides(trunk, count, steps, rounds, recomputed_rounds, max_recomputed, bar)
                costs.append(
                    TrunkCost(
                        trunk=name,
                        rows=count,
                        pictures=count * len(trunk.inputs.cameras),
                        encoders=encoders.get((trunk.inputs.patch_channels, trunk.inputs.text_channels)),
                        cached=cached,
                        recomputed=recomputed,
                    )
                )
    setting = {
        "rounds": rounds,
        "recomputed_rounds": recomputed_rounds,
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu",
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "load": list(os.getloadavg()),
    }
    return PolicyCost(trunks=tuple(costs), encoders=tuple(encoders.values()), setting=setting)


def built_trunk(name: str) -> PolicyTrunk:
    """A trunk of published size, with random weights.

    Raises:
        ConfigError: its sizes have to be told.
        UnknownNameError: nothing has that name.
    """
    parameters = inspect.signature(registry.load("policy_trunk", name)).parameters.values()
    asked = [one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    if asked:
        raise ConfigError(
            f"policy trunk {name!r} must be told {', '.join(asked)}; name one that has a size: "
            f"{', '.join(other for other in registry.names('policy_trunk') if other != name)}"
        )
    return registry.build("policy_trunk", name)


def random_steps(inputs: TrunkInputs, *, rows: int, time_ids: Sequence[int], like: torch.Tensor) -> PolicySteps:
    """Steps of the sizes that a trunk wants.

    Args:
        inputs: Of the trunk.
        rows: Episodes.
        time_ids: Of the steps, the same in every episode.
        like: A tensor whose device and dtype the features take.
    """
    shape, cameras = (rows, len(time_ids)), len(inputs.cameras)
    text = TextFeatures(
        states=torch.randn(rows, TEXT_TOKENS, inputs.text_channels).to(like),
        attention_mask=torch.ones(rows, TEXT_TOKENS, dtype=torch.bool, device=like.device),
        pooled=torch.randn(rows, inputs.text_channels).to(like),
    )
    ids = torch.zeros(shape, dtype=torch.int64, device=like.device)
    boxes = None
    if inputs.boxes_per_camera:
        boxes = torch.rand(*shape, cameras, inputs.boxes_per_camera, 5).to(like)
    return PolicySteps(
        patches=torch.randn(*shape, cameras, inputs.patch_channels, *GRID).to(like),
        text=text,
        previous_actions=ids,
        time_ids=torch.tensor(time_ids, device=like.device).expand(shape),
        in_hand=ids if inputs.has_in_hand else None,
        boxes=boxes,
    )


def _sides(
    trunk: PolicyTrunk,
    rows: int,
    steps: Sequence[int],
    rounds: int,
    recomputed_rounds: int,
    max_recomputed: int,
    bar: tqdm,
) -> tuple[dict[int, StepCost], dict[int, StepCost]]:
    """Costs of cached and of recomputed steps, by number of the step."""
    like = next(trunk.parameters())
    cache = trunk.new_cache(num_slots=rows, max_steps=max(steps))
    one = random_steps(trunk.inputs, rows=rows, time_ids=[0], like=like)
    cached = {step: partial(_step, trunk, one, cache, step) for step in steps}
    recomputed = {
        step: partial(trunk, random_steps(trunk.inputs, rows=rows, time_ids=range(step), like=like))
        for step in steps
        if step * rows <= max_recomputed
    }
    costs = {step: StepCost() for step in steps}, {step: StepCost() for step in steps}
    for run in (*cached.values(), *list(recomputed.values())[:1]):  # the longest would warm up for a minute
        StepCost().add(run, like.device)
    for turn in range(rounds):
        for step, run in cached.items():
            costs[0][step].add(run, like.device)
        if turn < recomputed_rounds:
            for step, run in recomputed.items():
                costs[1][step].add(run, like.device)
        bar.update()
    return costs


def _step(trunk: PolicyTrunk, steps: PolicySteps, cache: PolicyCache, number: int) -> None:
    """The step of that number, of all slots; the cache counts as holding those before."""
    cache.lengths[:] = [number - 1] * len(cache.lengths)
    trunk.step(steps, cache, range(len(cache.lengths)))


def encoder_cost(vision: str, text: str, *, rounds: int, device: torch.device, dtype: torch.dtype) -> EncoderCost:
    """Time a vision encoder on `PICTURES` and a text encoder on an instruction, after a round that is not counted.

    Args:
        vision: Registry name.
        text: Registry name.
        rounds: Turns of both.
        device: Where they run.
        dtype: Of weights and numbers.
    """
    encoder, reader = (
        registry.build(kind, name).to(device, dtype).eval()
        for kind, name in (("vision_encoder", vision), ("text_encoder", text))
    )
    height, width = encoder.image_size
    pixels = torch.randint(256, (PICTURES, 3, height, width), dtype=torch.uint8, device=device)
    frames = Frames(
        clip=tuple(range(PICTURES)),
        time_s=(0.0,) * PICTURES,
        size_px=((width, height),) * PICTURES,
        window=((1, 1),) * PICTURES,
    )
    layout = TokenLayout.of_frames(frames, encoder.grid, device)
    cost = EncoderCost(vision=vision, text=text)
    for turn in range(rounds + 1):
        (cost.pictures if turn else StepCost()).add(partial(encoder, pixels, layout), device)
        (cost.instruction if turn else StepCost()).add(partial(reader.read, [INSTRUCTION]), device)
    return cost

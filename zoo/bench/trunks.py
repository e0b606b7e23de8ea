"""The trunk that pruners are timed in, with random weights at published shapes, and the clips that it is shown."""

from __future__ import annotations

import inspect
from typing import Literal

import numpy as np
import torch

from zoo import registry
from zoo.backbone import Connector, LanguageModel
from zoo.batch import Batch
from zoo.errors import ConfigError
from zoo.head import Message
from zoo.module import ZooModule
from zoo.vision_encoder import VisionEncoder

Dtype = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

DIVISORS = (1, 2, 4, 8)
"""What Molmo2-4B's widths can be divided by: its 8 key/value heads are the fewest of its parts."""

HEAD_DIMS = (72, 64, 48, 32, 16)
"""Channels of a head of the connector, the first that divides the vision encoder's channels."""

WORDS = ("red", "cube", "blue", "green", "left", "right", "the", "is")
"""Each is one token."""

SCENE_FRAMES = 16
"""Frames after which the picture is another one."""


def dense_module(
    *,
    vision: str | None = None,
    language: str | None = None,
    width_divisor: int = 4,
    max_frames: int = 128,
    device: Device = "auto",
    dtype: Dtype = "float32",
    is_compiled: bool = False,
) -> ZooModule:
    """Molmo2-4B with every width divided, or any pair of the registry at its published shape; weights are random.

    Depths, frames, windows, head dimensions and the vocabulary stay as published, and activations are recomputed in the
    backward pass.

    Args:
        vision: Registry name of another vision encoder.
        language: Registry name of another language model.
        width_divisor: Of the widths of what is not replaced.
        max_frames: Most frames of a clip.
        device: Where it runs; auto takes a GPU where there is one.
        dtype: Of weights and numbers.
        is_compiled: MLPs of blocks and layers go through torch.compile, for any number of tokens. Not whole blocks,
            which are compiled anew for every cut until torch gives up.
    Raises:
        ConfigError: a divisor that leaves no whole heads, or a device that this machine lacks.
        UnknownNameError: nothing has that name.
    """
    if width_divisor not in DIVISORS:
        raise ConfigError(f"width_divisor is {width_divisor}; Molmo2-4B's heads divide by {DIVISORS}")
    with torch.device(device_of(device)):  # the weights of a large model are drawn where they stay
        encoder = _molmo2_vision(width_divisor) if vision is None else _built("vision_encoder", vision)
        decoder = _molmo2_language(width_divisor) if language is None else _built("language_model", language)
        module = ZooModule(
            vision=encoder,
            connector=_connector(encoder),
            language=decoder,
            tokenizer=registry.build("tokenizer", "words"),
            heads=[registry.build("head", "qa")],
            max_frames=max_frames,
        )
    for unit in module.model.units() if is_compiled else ():
        unit.mlp.compile(dynamic=True)
    return module.to(device=device_of(device), dtype=getattr(torch, dtype))


def device_of(device: Device) -> torch.device:
    """Where something is measured.

    Args:
        device: auto takes a GPU where there is one.
    Raises:
        ConfigError: this machine has no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, and PyTorch sees no GPU here; zoo doctor says what it sees, or type cpu")
    has_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if has_gpu else "cpu")


def _molmo2_vision(divisor: int) -> VisionEncoder:
    """Molmo2's vision encoder (sheet A1.1): 25 blocks of SigLIP2 so400m, which have no final norm."""
    return registry.build(
        "vision_encoder",
        "siglip",
        image_size=(378, 378),
        patch_size=14,
        hidden_size=1152 // divisor,
        intermediate_size=4304 // divisor,
        num_blocks=25,
        num_heads=16 // divisor,
        final_norm=False,
        feature_blocks=(24, 18),
        activation_checkpointing=True,
    )


def _molmo2_language(divisor: int) -> LanguageModel:
    """Molmo2-4B's decoder (sheet A1.3)."""
    return registry.build(
        "language_model",
        "molmo2",
        hidden_size=2560 // divisor,
        intermediate_size=9728 // divisor,
        num_layers=36,
        num_heads=32 // divisor,
        num_kv_heads=8 // divisor,
        vocab_size=151_936,
        rope_theta=5e6,
        activation_checkpointing=True,
    )


def _built(kind: str, name: str) -> VisionEncoder | LanguageModel:
    return registry.build(kind, name, activation_checkpointing=True, **_shape_only(kind, name))


def _shape_only(kind: str, name: str) -> dict[str, bool]:
    """What keeps a builder from fetching weights."""
    takes = inspect.signature(registry.load(kind, name)).parameters
    return {"pretrained": False} if "pretrained" in takes else {}


def _connector(vision: VisionEncoder) -> Connector:
    fitting = [size for size in HEAD_DIMS if vision.hidden_size % size == 0]
    if not fitting:
        raise ConfigError(
            f"no head dimension of {HEAD_DIMS} divides the vision encoder's {vision.hidden_size} channels"
        )
    return registry.build("connector", "attention_pool", head_dim=fitting[0])


def moving_pictures(frames: int, size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Frames of a clip in which some stays, some moves and some is new, so that every rule finds something.

    Every 16 frames a scene begins: coloured squares of 14 pixels that drift to the right by a pixel a frame. The left
    half stands still, the upper right quarter has new colours in every frame, and all pixels carry a little noise.

    Args:
        frames: How many.
        size: (height, width), pixels.
        generator: Of everything.
    Returns:
        (frames, height, width, 3) uint8.
    """
    height, width = size
    rows, columns = -(-height // 14), -(-width // 14)

    def squares() -> np.ndarray:
        colours = generator.integers(8, 248, (rows, columns, 3), dtype=np.uint8)
        return colours.repeat(14, axis=0).repeat(14, axis=1)[:height, :width]

    clip = np.empty((frames, height, width, 3), dtype=np.uint8)
    for number in range(frames):
        if number % SCENE_FRAMES == 0:
            scene = squares()
        clip[number] = scene
        clip[number, :, width // 2 :] = np.roll(scene, number % SCENE_FRAMES, axis=1)[:, width // 2 :]
        clip[number, : height // 2, width // 2 :] = squares()[: height // 2, width // 2 :]
    noise = generator.integers(-4, 5, clip.shape, dtype=np.int8)
    return (clip.astype(np.int16) + noise).astype(np.uint8)


def clips_batch(module: ZooModule, *, frames: int, clips: int, text_tokens: int) -> Batch:
    """Clips with one question each, packed; a sixth of the text is the answer.

    Args:
        module: Makes the batch.
        frames: Of each clip.
        clips: How many.
        text_tokens: Of each question and its answer together.
    """
    generator = np.random.default_rng(0)
    answered = max(1, text_tokens // 6)
    examples = []
    for number in range(clips):
        text = [WORDS[i] for i in generator.integers(0, len(WORDS), text_tokens)]
        message = Message(head="qa", prompt=" ".join(text[answered:]), answer=" ".join(text[:answered]), family="bench")
        examples.append(
            module.processor.example(
                key=f"clip{number}",
                frames=moving_pictures(frames, module.processor.image_size, generator),
                times_s=np.arange(frames) / 2,
                messages=[message],
            )
        )
    return module.processor.collate(examples).to(module.device)

"""Released SPOC and RING policies: their tensors into a trunk and a head of ours, read with every name accounted for.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5, 1.6, 2.3 and 2.4 (parts, tables, order of cameras). Names of SPOC's
    parts are those of its public repository (allenai/spoc-robot-training, `EarlyFusionCnnTransformer`); its Lightning
    files have them behind `model.`. RING's release was not at hand: its names are those of the public line of
    actor-critics that it continues (visual_encoder, last_actions_embed, decoder, actor.linear, critic.fc, a second copy
    in critic_tsfm), blocks as in sheet molmoact_molmobot 12. A file with other names is refused, never half read.
Differs: frozen encoders of a file are passed over, because they are public weights that were never trained. SPOC's box
    slots have the navigation camera first, cameras elsewhere are in alphabetical order; here all are. Variants with
    convolutions or a GRU were not released, and their parts are others than ours: they are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.checkpoints.sharded import UNREADABLE
from zoo.errors import ConfigError
from zoo.policy_head import PolicyHead
from zoo.policy_trunk import PolicyTrunk

Layout = Literal["spoc", "ring"]

SPOC_PREFIX = "model."
"""Lightning's name of the network in its module."""

CRITIC_PREFIX = "critic_tsfm."
"""RING's second copy of the whole network, which estimates returns."""

VISION = "visual_encoder."
FROZEN = (f"{VISION}image_encoder.", f"{VISION}text_encoder.")
BOX_CAMERAS = ("navigation_camera", "manipulation_camera")
"""Order of SPOC's box slots."""

SHOWN = 3
"""Names of each difference that an error lists."""

LONGEST = 10_000.0
"""Slowest wavelength of sinusoids, in units of 2 pi; files hold their frequencies as buffers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weight:
    """A weight of ours and the stored tensors that it is made of.

    Args:
        own: Its name in the trunk or head.
        stored: Names in the file, without the prefix of the network.
        is_stack: The stored tensors are its rows, one each.
        order: Rows of the stored tensor in our order; empty where it is the same.
    """

    own: str
    stored: tuple[str, ...]
    is_stack: bool = False
    order: tuple[int, ...] = ()

    def of(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Its value."""
        if self.is_stack:
            return torch.stack([tensors[name] for name in self.stored])
        (name,) = self.stored
        return tensors[name][list(self.order)] if self.order else tensors[name]

    def stored_shape(self, own: tuple[int, ...]) -> tuple[int, ...]:
        """Of each stored tensor, where ours has the shape `own`."""
        return own[1:] if self.is_stack else own


def read_released(file: Path, layout: Layout) -> dict[str, Tensor]:
    """Every tensor of a released policy but those of its frozen encoders, by its name in the network.

    Args:
        file: SPOC's .ckpt of Lightning, RING's .pt of AllenAct, or the same tensors as .safetensors.
        layout: Whose names they are.
    Raises:
        ConfigError: no such file, one that cannot be read safely, or one without a network.
    """
    if layout not in get_args(Layout):
        raise ConfigError(f"layout {layout!r} of a released policy; one of {', '.join(get_args(Layout))}")
    if not file.is_file():
        raise ConfigError(f"no file {file}; give a released policy's checkpoint")
    tensors = load_file(file) if file.suffix == ".safetensors" else _read_pickle(file, layout)
    prefix = SPOC_PREFIX if layout == "spoc" else ""
    found = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and isinstance(tensor, Tensor)
    }
    frozen = (*FROZEN, *(CRITIC_PREFIX + name for name in FROZEN))
    found = {name: tensor for name, tensor in found.items() if not name.startswith(frozen)}
    if not found:
        raise ConfigError(f"{file} holds no tensor of a {layout} policy, whose names begin with {prefix or VISION}")
    return found


def _read_pickle(file: Path, layout: Layout) -> Mapping[str, Any]:
    key = {"spoc": "state_dict", "ring": "model_state_dict"}[layout]
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (*UNREADABLE, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"{file} cannot be read safely ({reason}). Where you trust it, keep its tensors alone: "
            f"safetensors.torch.save_file(torch.load(FILE, weights_only=False)[{key!r}], 'policy.safetensors')"
        ) from error
    tensors = saved.get(key) if isinstance(saved, dict) else None
    if not isinstance(tensors, Mapping):
        raise ConfigError(f"{file} holds no {key!r}, which a checkpoint of {layout} has")
    return tensors


def fill_released(
    file: Path,
    layout: Layout,
    *,
    trunk: PolicyTrunk,
    head: PolicyHead,
    critic: PolicyTrunk | None = None,
) -> None:
    """Give a trunk and a head the weights of a released policy, in place.

    Args:
        file: See `read_released`.
        layout: Whose names its tensors have.
        trunk: Built as the policy was: its variant, sizes and cameras.
        head: Built for the trunk; its critic, if it has one, is filled from a RING file.
        critic: RING's second network, where returns are wanted as well.
    Raises:
        ConfigError: see `read_released`; names are missing or unexpected, shapes differ, or the trunk has parts that no
            released policy has.
    """
    tensors = read_released(file, layout)
    wanted = [(trunk, weight) for weight in trunk_weights(trunk, layout)]
    wanted += [(head, weight) for weight in head_weights(head, layout, has_critic_trunk=critic is not None)]
    if critic is not None:
        if layout == "spoc":
            raise ConfigError(f"{file} is a policy of SPOC, which has no critic; leave the critic out")
        wanted += [(critic, _behind(CRITIC_PREFIX, weight)) for weight in trunk_weights(critic, layout)]
    tensors = _without_spare(tensors, layout, wanted)
    _check(file, tensors, wanted, _sinusoids(trunk, layout, has_critic=critic is not None))
    with torch.no_grad():
        for owner, weight in wanted:
            owner.get_parameter(weight.own).copy_(weight.of(tensors))


def trunk_weights(trunk: PolicyTrunk, layout: Layout) -> list[Weight]:
    """Where every weight of a trunk lies in a released file.

    Args:
        trunk: Of SPOC or RING.
        layout: Whose names are asked for.
    Raises:
        ConfigError: the trunk has parts that no released policy has.
    """
    found, odd = [], []
    for own, _ in trunk.named_parameters():
        weight = _trunk_weight(own, trunk, layout)
        if weight is None:
            odd.append(own)
        else:
            found.append(weight)
    if odd:
        raise ConfigError(
            f"the trunk has {', '.join(odd[:SHOWN])}{', ...' if len(odd) > SHOWN else ''}, which no released {layout} "
            "policy has; build it as a released one: spoc_siglip_3 (variant plain or double_det), spoc_small_3, ring"
        )
    return found


TRUNK_PARTS = {
    "goal.adapter.": f"{VISION}text_adapter.",
    "fusion.compressor.": f"{VISION}visual_compressor.",
    "fusion.adapter.": f"{VISION}visual_adapter.",
    "fusion.layers.": f"{VISION}fusion_xformer.layers.",
    "decoder.": "decoder.",
}
"""Parts that have the same names within, ours to theirs."""

TRUNK_NAMES = {
    "fusion.token": f"{VISION}fusion_token",
    "step_embedding.previous_action.weight": "last_actions_embed.weight",
    "step_embedding.in_hand.weight": "object_in_hand_embed.weight",
}

DECODERS = {
    "spoc": ("decoder.layers.0.multihead_attn.in_proj_weight",),
    "ring": ("decoder.layers.0.attention.wq.weight",),
}
"""A weight that tells the decoder of each from others."""


def _trunk_weight(own: str, trunk: PolicyTrunk, layout: Layout) -> Weight | None:
    cameras = trunk.inputs.cameras
    if own == "fusion.cameras":
        names = tuple(f"{VISION}visual_sensor_token_raw_{_released_camera(camera)}" for camera in cameras)
        return Weight(own=own, stored=names, is_stack=True)
    if own in TRUNK_NAMES:
        return Weight(own=own, stored=(TRUNK_NAMES[own],))
    if own == "fusion.boxes.slots" and layout == "spoc":
        return Weight(own=own, stored=(f"{VISION}coord_pos_enc.weight",), order=_slot_order(trunk))
    if own.startswith("fusion.boxes.adapter.") and layout == "spoc":
        number, _, kind = own.removeprefix("fusion.boxes.adapter.").partition(".")
        return Weight(own=own, stored=(f"{VISION}bbox_pos_encoder.{int(number) + 1}.{kind}",))  # 0 is the sinusoid
    if own.startswith("decoder.") and not _has_decoder(trunk, layout):
        return None
    for ours, theirs in TRUNK_PARTS.items():
        if own.startswith(ours):
            return Weight(own=own, stored=(theirs + own.removeprefix(ours),))
    return None


def _released_camera(camera: str) -> str:
    """`navigation_camera`, as robots call it, of a trunk that says it so or just `navigation`."""
    return camera if camera.endswith("_camera") else f"{camera}_camera"


def _has_decoder(trunk: nn.Module, layout: Layout) -> bool:
    names = dict(trunk.named_parameters())
    return all(name in names for name in DECODERS[layout])


def _slot_order(trunk: PolicyTrunk) -> tuple[int, ...]:
    """Rows of SPOC's table of box slots, whose cameras are in another order, as ours come."""
    per_camera = trunk.inputs.boxes_per_camera * 5
    cameras = [_released_camera(camera) for camera in trunk.inputs.cameras]
    if sorted(cameras) != sorted(BOX_CAMERAS):
        raise ConfigError(f"cameras {', '.join(cameras)}; boxes of a released policy are of {', '.join(BOX_CAMERAS)}")
    places = [BOX_CAMERAS.index(camera) for camera in cameras]
    return tuple(place * per_camera + number for place in places for number in range(per_camera))


def head_weights(head: PolicyHead, layout: Layout, *, has_critic_trunk: bool) -> list[Weight]:
    """Where every weight of a head lies in a released file.

    Args:
        head: With an actor, and perhaps a critic.
        layout: Whose names are asked for.
        has_critic_trunk: The critic reads the second network, not the actor's.
    Raises:
        ConfigError: it has a critic, and SPOC has none.
    """
    critic = f"{CRITIC_PREFIX if has_critic_trunk else ''}critic.fc."
    parts = {"actor.": {"spoc": "action_classifier.", "ring": "actor.linear."}[layout], "critic.": critic}
    names = [name for name, _ in head.named_parameters()]
    if layout == "spoc" and any(name.startswith("critic.") for name in names):
        raise ConfigError("SPOC's policies have no critic; build the head with has_critic false")
    return [
        Weight(own=name, stored=(theirs + name.removeprefix(ours),))
        for name in names
        for ours, theirs in parts.items()
        if name.startswith(ours)
    ]


def _behind(prefix: str, weight: Weight) -> Weight:
    names = tuple(prefix + name for name in weight.stored)
    return Weight(own=weight.own, stored=names, is_stack=weight.is_stack, order=weight.order)


def _without_spare(
    tensors: Mapping[str, Tensor], layout: Layout, wanted: Sequence[tuple[nn.Module, Weight]]
) -> dict[str, Tensor]:
    """What is left when a RING actor-critic is read for its actor: the other network and heads are no fault."""
    if layout == "spoc":
        return dict(tensors)
    asked = {name for _, weight in wanted for name in weight.stored}
    has_critic = any(name.startswith(CRITIC_PREFIX) for name in asked)
    heads = ("critic.fc.", *((f"{CRITIC_PREFIX}actor.linear.", f"{CRITIC_PREFIX}critic.fc.") if has_critic else ()))
    spare = heads if has_critic else (*heads, CRITIC_PREFIX)
    return {name: tensor for name, tensor in tensors.items() if name in asked or not name.startswith(spare)}


def _sinusoids(trunk: PolicyTrunk, layout: Layout, *, has_critic: bool) -> dict[str, int]:
    """Buffers of frequencies, by name the number of channels that they make; ours are computed."""
    found = {"time_encoder.div_term": trunk.hidden_size}
    if layout == "spoc" and trunk.inputs.boxes_per_camera:
        found[f"{VISION}bbox_pos_encoder.0.div_term"] = 32
    if has_critic:
        found[f"{CRITIC_PREFIX}time_encoder.div_term"] = trunk.hidden_size
    return found


def _check(
    file: Path,
    tensors: Mapping[str, Tensor],
    wanted: Sequence[tuple[nn.Module, Weight]],
    sinusoids: Mapping[str, int],
) -> None:
    expected = {name for _, weight in wanted for name in weight.stored} | sinusoids.keys()
    missing = sorted(expected - tensors.keys())
    unexpected = sorted(tensors.keys() - expected)
    sizes = list(_other_sizes(tensors, wanted))
    frequencies = [
        name for name, channels in sinusoids.items() if name in tensors and not _is_usual(tensors[name], channels)
    ]
    told = {
        "missing": missing,
        "unexpected": unexpected,
        "other sizes": sizes,
        "other frequencies than the published": frequencies,
    }
    faults = [
        f"{fault}: {', '.join(names[:SHOWN])}{f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}"
        for fault, names in told.items()
        if names
    ]
    if faults:
        raise ConfigError(
            f"{file} does not hold the weights of the trunk and head that were built. {'; '.join(faults)}. Build them "
            "as the file's policy was: its variant, cameras, sizes, with or without the object-in-hand sensor"
        )


def _other_sizes(tensors: Mapping[str, Tensor], wanted: Sequence[tuple[nn.Module, Weight]]) -> Iterator[str]:
    for owner, weight in wanted:
        shape = weight.stored_shape(tuple(owner.get_parameter(weight.own).shape))
        for name in weight.stored:
            if name in tensors and tuple(tensors[name].shape) != shape:
                yield f"{name} {tuple(tensors[name].shape)}, expected {shape}"


def _is_usual(frequencies: Tensor, channels: int) -> bool:
    """Whether a stored buffer holds the frequencies that are computed here."""
    usual = torch.exp(torch.arange(0, channels, 2) * (-math.log(LONGEST) / channels))
    # Half precision keeps eleven bits; frequencies of another wavelength are further off than that.
    return frequencies.shape == usual.shape and torch.allclose(frequencies.float(), usual, rtol=1e-3, atol=0)

"""Names and shapes of a released Molmo2's weights, and where each of them lies in a module of ours; read both ways.

Source: Molmo2 sheet A2.2 to A2.4. One `Group` says: these stored tensors, one below the other, are those weights of
    ours, one below the other. So joined queries, keys and values, the gate behind the other half of an MLP, and the
    embedding with its extra rows need no code of their own, and reading and writing cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from zoo.errors import ConfigError

Shape = tuple[int, ...]
Stored = TypeVar("Stored")

TEXT = "model.transformer."
VISION = "model.vision_backbone.image_vit."
POOLING = "model.vision_backbone.image_pooling_2d."
PROJECTOR = "model.vision_backbone.image_projector."
HEAD = "lm_head.weight"
BLOCK = f"{VISION}transformer.resblocks."

EMBEDDING = f"{TEXT}wte.embedding"

TRAINERS = ("transformer.", "vision_backbone.")
"""How names begin in the files of Molmo2's own trainer."""

TRAINERS_HEAD = "transformer.ff_out.weight"
PART_OF_LAYER = dict.fromkeys(("att_proj", "attn_out", "q_norm", "k_norm"), "self_attn") | dict.fromkeys(
    ("ff_proj", "ff_out"), "mlp"
)
"""Weights of a layer that lie in a part of it in released files, and in the layer itself in the trainer's."""

OUR_TEXT = "model.language.model."
OUR_VISION = "model.vision.vit."
OUR_CONNECTOR = "model.connector."
OUR_EXTRA = "model.extra_embedding.weight"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Stored tensors and weights of ours that hold the same numbers.

    Args:
        stored: Names in the files.
        own: Names in the module's state, without adapters.
        is_patches: The stored matrix has a patch as (row, column, channel), ours is a convolution (channel, row,
            column).
        is_batched: Ours has a leading dimension of 1.
    """

    stored: tuple[str, ...]
    own: tuple[str, ...]
    is_patches: bool = False
    is_batched: bool = False

    def own_rows(self, shape: Shape) -> Shape:
        """The shape of a weight of ours as it is stored, (rows, ...)."""
        if self.is_patches:
            out, channels, height, width = shape
            return (out, height * width * channels)
        return shape[1:] if self.is_batched else shape

    def stored_shapes(self, own: Mapping[str, Shape]) -> dict[str, Shape]:
        """Shapes of the stored tensors of a module whose weights have the shapes `own`."""
        shapes = [self.own_rows(own[name]) for name in self.own]
        rows = [shape[0] for shape in shapes]
        if len(self.stored) != len(self.own):
            rows = [sum(rows) // len(self.stored)] * len(self.stored)
        return {name: (count, *shapes[0][1:]) for name, count in zip(self.stored, rows, strict=True)}


@dataclass(frozen=True, kw_only=True, slots=True)
class NormNames:
    """What a decoder of transformers calls the norms of a layer.

    Args:
        attention: The norm before, or behind, attention.
        mlp: The norm before, or behind, the MLP.
    """

    attention: str = "input_layernorm"
    mlp: str = "post_attention_layernorm"


def groups(*, num_layers: int, num_blocks: int, norms: NormNames) -> tuple[Group, ...]:
    """All weights of a Molmo2.

    Args:
        num_layers: Of the language model.
        num_blocks: Of the vision encoder that are stored.
        norms: Words of our language model.
    """
    return (
        *_vision(num_blocks),
        *_connector(),
        Group(
            stored=(EMBEDDING, f"{TEXT}wte.new_embedding"),
            own=(f"{OUR_TEXT}model.embed_tokens.weight", OUR_EXTRA),
        ),
        *(group for layer in range(num_layers) for group in _layer(layer, norms)),
        Group(stored=(f"{TEXT}ln_f.weight",), own=(f"{OUR_TEXT}model.norm.weight",)),
        Group(stored=(HEAD,), own=(f"{OUR_TEXT}lm_head.weight",)),
    )


def _vision(num_blocks: int) -> Iterator[Group]:
    patch = "patch_embed.proj."
    yield Group(stored=(f"{VISION}positional_embedding",), own=(f"{OUR_VISION}pos_embed",), is_batched=True)
    yield Group(stored=(f"{VISION}patch_embedding.weight",), own=(f"{OUR_VISION}{patch}weight",), is_patches=True)
    yield Group(stored=(f"{VISION}patch_embedding.bias",), own=(f"{OUR_VISION}{patch}bias",))
    same = {
        "attention.wo": "attn.proj",
        "attention_norm": "norm1",
        "ffn_norm": "norm2",
        "feed_forward.w1": "mlp.fc1",
        "feed_forward.w2": "mlp.fc2",
    }
    for block in range(num_blocks):
        theirs, ours = f"{BLOCK}{block}.", f"{OUR_VISION}blocks.{block}."
        for kind in ("weight", "bias"):
            asked = tuple(f"{theirs}attention.{part}.{kind}" for part in ("wq", "wk", "wv"))
            yield Group(stored=asked, own=(f"{ours}attn.qkv.{kind}",))
            for their_name, our_name in same.items():
                yield Group(stored=(f"{theirs}{their_name}.{kind}",), own=(f"{ours}{our_name}.{kind}",))


def _connector() -> Iterator[Group]:
    for theirs, ours in {"wq": "query", "wk": "key", "wv": "value", "wo": "output"}.items():
        for kind in ("weight", "bias"):
            yield Group(stored=(f"{POOLING}{theirs}.{kind}",), own=(f"{OUR_CONNECTOR}{ours}.{kind}",))
    for theirs, ours in {"w1": "gate", "w3": "up", "w2": "down"}.items():
        yield Group(stored=(f"{PROJECTOR}{theirs}.weight",), own=(f"{OUR_CONNECTOR}{ours}.weight",))


def _layer(layer: int, norms: NormNames) -> Iterator[Group]:
    theirs, ours = f"{TEXT}blocks.{layer}.", f"{OUR_TEXT}model.layers.{layer}."
    pairs: dict[str, tuple[str, ...]] = {
        "self_attn.att_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "self_attn.attn_out": ("self_attn.o_proj",),
        "self_attn.q_norm": ("self_attn.q_norm",),
        "self_attn.k_norm": ("self_attn.k_norm",),
        "attn_norm": (norms.attention,),
        "ff_norm": (norms.mlp,),
        "mlp.ff_proj": ("mlp.up_proj", "mlp.gate_proj"),  # the gate is the second half
        "mlp.ff_out": ("mlp.down_proj",),
    }
    for stored, own in pairs.items():
        yield Group(stored=(f"{theirs}{stored}.weight",), own=tuple(f"{ours}{name}.weight" for name in own))


def as_released(stored: Mapping[str, Stored], source: str, *, is_tied: bool) -> dict[str, Stored]:
    """Tensors by the names that released files have.

    Args:
        stored: By those names or by those of Molmo2's own trainer, which writes no output head where it is the
            embedding.
        source: What the error calls the files.
        is_tied: Take the embedding for an output head that is missing, whoever wrote the files.
    Raises:
        ConfigError: a tensor is there under both names.
    """
    found = {_released_name(name): tensor for name, tensor in stored.items()}
    if len(found) < len(stored):
        twice = next(name for name in stored if (other := _released_name(name)) != name and other in stored)
        raise ConfigError(f"{source} holds {twice} twice, also as {_released_name(twice)}; take one of them out")
    if HEAD not in found and EMBEDDING in found and (is_tied or any(name.startswith(TRAINERS) for name in stored)):
        found[HEAD] = found[EMBEDDING]
    return found


def _released_name(name: str) -> str:
    if not name.startswith(TRAINERS):
        return name
    if name == TRAINERS_HEAD:
        return HEAD
    parts = name.split(".")
    if parts[1] == "blocks" and len(parts) > 3 and parts[3] in PART_OF_LAYER:
        parts.insert(3, PART_OF_LAYER[parts[3]])
    return ".".join(("model", *parts))


def stored_block(name: str) -> int | None:
    """The number of the vision block that a stored tensor belongs to; None of any other."""
    return int(name.removeprefix(BLOCK).partition(".")[0]) if name.startswith(BLOCK) else None


def check_stored(found: tuple[Group, ...], stored: Mapping[str, Shape], own: Mapping[str, Shape], source: str) -> None:
    """Refuse files that do not hold exactly a module's weights.

    How the rows of a group are spread over its tensors does not matter: transformers cuts the embedding and its extra
    rows in the middle.

    Args:
        found: The module's groups.
        stored: Names and shapes in the files.
        own: Names and shapes of the module.
        source: What the error calls the files.
    Raises:
        ConfigError: names are missing or unexpected, or shapes differ.
    """
    expected = {name: group for group in found for name in group.stored}
    missing = [name for name in expected if name not in stored]
    unexpected = [name for name in stored if name not in expected]
    sizes = []
    for group in () if missing else found:
        wanted = group.stored_shapes(own)
        given = {name: stored[name] for name in group.stored}
        rows, wanted_rows = (sum(shape[0] for shape in shapes.values()) for shapes in (given, wanted))
        if rows != wanted_rows or {s[1:] for s in given.values()} != {s[1:] for s in wanted.values()}:
            name = group.stored[0]
            sizes.append(f"{name} {given[name]}, expected {wanted[name]}")
    told = {"missing": missing, "unexpected": unexpected, "other sizes": sizes}
    faults = [f"{fault} {', '.join(names[:3])}" for fault, names in told.items() if names]
    if faults:
        raise ConfigError(f"{source} does not hold the weights that its config.json says: {'; '.join(faults)}")

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_configurations import changed
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Olmo3Config,
    Olmo3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from zoo import registry
from zoo.backbones.decoder import TransformersLanguageModel, from_hf
from zoo.batch import TokenStream
from zoo.cache import KeyValueCache, rows_table
from zoo.errors import ConfigError
from zoo.segments import Segments

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 101,
}
LOCAL = 4
"""Tokens that layers with local attention look back at; shorter than every sequence below."""

TWO_ROTARIES = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    "full_attention": {
        "rope_type": "yarn",
        "rope_theta": 1e4,
        "factor": 8.0,
        "attention_factor": 1.2,
        "original_max_position_embeddings": 8,
    },
}
OLMO = {**SIZES, "pad_token_id": None, "eos_token_id": None}
CONFIGS = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=16)),
    "qwen3-local": (
        Qwen3ForCausalLM,
        Qwen3Config(**SIZES, head_dim=16, use_sliding_window=True, sliding_window=LOCAL, max_window_layers=1),
    ),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SIZES)),
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES)),
    "mistral": (MistralForCausalLM, MistralConfig(**SIZES, sliding_window=LOCAL)),
    "olmo2": (Olmo2ForCausalLM, Olmo2Config(**OLMO)),
    "olmo3": (
        Olmo3ForCausalLM,
        Olmo3Config(
            **OLMO,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            sliding_window=LOCAL,
            max_position_embeddings=64,
            rope_parameters=TWO_ROTARIES,
        ),
    ),
}


@pytest.fixture(params=CONFIGS)
def pair(request):
    """transformers' network, and ours with the same weights."""
    build, config = CONFIGS[request.param]
    theirs = build(deepcopy(config)).eval()
    copy = build(deepcopy(config)).eval()  # configs hold the attention implementation
    copy.load_state_dict(theirs.state_dict())
    return theirs, TransformersLanguageModel(model=copy).eval()


def stream_of(language, input_ids, runs, is_vision=None):
    positions = torch.cat([torch.arange(sum(lengths)) for lengths in runs])
    return TokenStream(
        states=language.embed(input_ids),
        position_ids=positions,
        segments=Segments(runs=runs, is_vision=is_vision),
        is_patch=torch.zeros(len(input_ids), dtype=torch.bool),
        index=torch.arange(len(input_ids)),
    )


def their_logits(theirs, input_ids, segments, positions):
    """With explicit 4-D masks: transformers guesses packing from positions when there is none."""
    full, local = (s.dense_mask()[None, None] for s in (segments, segments.within(LOCAL)))
    masks = {"full_attention": full, "sliding_attention": local}
    if getattr(theirs.config, "layer_types", None) is None:  # no layer types: one mask for all layers
        masks = full if getattr(theirs.config, "sliding_window", None) is None else local
    return theirs(input_ids=input_ids, attention_mask=masks, position_ids=positions).logits


@torch.no_grad()
def test_packed_logits_equal_those_of_separate_sequences(pair):
    theirs, ours = pair
    lengths = (9, 4, 13)
    ids = [torch.randint(0, 101, (n,)) for n in lengths]
    stream, _ = ours(stream_of(ours, torch.cat(ids), tuple((n,) for n in lengths)))
    logits = ours.logits(stream.states).split(lengths)
    for one, expected in zip(logits, (theirs(input_ids=i[None]).logits[0] for i in ids), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("runs", [((12,), (7,)), ((12, 4, 3), (7, 2, 5))])
def test_bidirectional_vision_block_and_trees_equal_an_explicit_mask(pair, runs):
    theirs, ours = pair
    size = sum(map(sum, runs))
    input_ids = torch.randint(0, 101, (size,))
    is_vision = torch.zeros(size, dtype=torch.bool)
    start = 0
    for lengths in runs:
        is_vision[start + 2 : start + lengths[0] - 2] = True
        start += sum(lengths)
    stream = stream_of(ours, input_ids, runs, is_vision)
    assert bool(stream.segments.dense_mask().triu(1).any())  # something is seen from before
    expected = their_logits(theirs, input_ids[None], stream.segments, stream.position_ids[None])[0]
    torch.testing.assert_close(ours.logits(ours(stream)[0].states), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_cached_steps_equal_recomputation(pair):
    theirs, ours = pair
    lengths, more = (9, 4), (3, 2)
    prompts = [torch.randint(0, 101, (n,)) for n in lengths]
    continued = torch.randint(0, 101, (2, 3))
    cache = KeyValueCache(rows_table([range(9), range(9, 13)], "cpu"))
    ours(stream_of(ours, torch.cat(prompts), ((9,), (4,))), cache=cache)
    counts = torch.tensor(more)
    positions = torch.tensor(lengths)[:, None] + torch.arange(3)
    hidden = ours.extend(ours.embed(continued), positions, counts, cache)
    after = torch.randint(0, 101, (2, 1))  # a second step writes over the padding of the first
    second = ours.extend(
        ours.embed(after), (torch.tensor(lengths) + counts)[:, None], torch.ones(2, dtype=torch.int64), cache
    )
    for row in range(2):
        whole = torch.cat([prompts[row], continued[row, : more[row]], after[row]])
        expected = theirs(input_ids=whole[None]).logits[0]
        torch.testing.assert_close(
            ours.logits(hidden[row, : more[row]]), expected[lengths[row] : -1], rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(ours.logits(second[row, 0]), expected[-1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_branch_is_continued_as_if_it_were_alone_with_its_prefix(pair):
    theirs, ours = pair
    input_ids, more = torch.randint(0, 101, (14,)), torch.randint(0, 101, (2, 3))
    paths = [[*range(7), *range(7, 11)], [*range(7), *range(11, 14)]]
    cache = KeyValueCache(rows_table(paths, "cpu"))
    stream = stream_of(ours, input_ids, ((7, 4, 3),))
    stream.position_ids[11:] -= 4  # branches restart where the prefix ends
    prefilled = ours.logits(ours(stream, cache=cache)[0].states)
    starts = torch.tensor([[11], [10]])
    steps = ours.logits(ours.extend(ours.embed(more), starts + torch.arange(3), torch.tensor([3, 3]), cache))
    for row, path in enumerate(paths):
        expected = theirs(input_ids=torch.cat([input_ids[path], more[row]])[None]).logits[0]
        torch.testing.assert_close(prefilled[path], expected[:-3], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(steps[row], expected[-3:], rtol=1e-4, atol=1e-4)


def test_checkpointed_layers_give_the_same_gradients(pair):
    _, ours = pair
    input_ids, gradients = torch.randint(0, 101, (16,)), []
    for ours.activation_checkpointing in (False, True):
        ours.zero_grad()
        ours(stream_of(ours, input_ids, ((9, 3), (4,))))[0].states.square().sum().backward()
        gradients.append([p.grad.clone() for p in ours.model.model.layers.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=1e-5, atol=1e-6)


def test_captured_streams_equal_transformers_hidden_states_and_carry_gradients(pair):
    theirs, ours = pair
    input_ids = torch.randint(0, 101, (11,))
    with ours.capture(hidden=(0, 2, 3), keys_values=(1,)) as seen:
        ours(stream_of(ours, input_ids, ((11,),)))
    expected = theirs(input_ids=input_ids[None], output_hidden_states=True).hidden_states
    torch.testing.assert_close(seen.hidden[2], expected[2][0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.final_norm(seen.hidden[3]), expected[3][0], rtol=1e-4, atol=1e-4)
    assert seen.keys[1].shape == seen.values[1].shape == (11, 2, ours.model.model.layers[0].self_attn.head_dim)
    seen.keys[1].sum().backward()
    assert ours.model.get_input_embeddings().weight.grad.abs().sum() > 0


@torch.no_grad()
def test_blocking_all_keys_but_ones_own_makes_a_token_blind_to_the_rest(pair):
    _, ours = pair
    input_ids = torch.randint(0, 101, (8,))
    last, others = torch.zeros(8, dtype=torch.bool), torch.ones(8, dtype=torch.bool)
    last[7], others[7] = True, False
    changed = input_ids.clone()
    changed[2] = (changed[2] + 1) % 101

    def last_state(ids, layers):
        from contextlib import ExitStack

        with ExitStack() as stack:
            for layer in layers:
                stack.enter_context(ours.block(layer, None, last, others))
            return ours(stream_of(ours, ids, ((8,),)))[0].states[7]

    torch.testing.assert_close(last_state(input_ids, range(3)), last_state(changed, range(3)), rtol=0, atol=1e-6)
    assert not torch.allclose(last_state(input_ids, range(2)), last_state(changed, range(2)), atol=1e-6)
    with ours.block(0, 1, last, others):
        one_head = ours(stream_of(ours, input_ids, ((8,),)))[0].states[7]
    assert not torch.allclose(one_head, last_state(input_ids, ()), atol=1e-6)
    assert not ours._blocked


def test_a_layer_that_does_not_exist_cannot_be_captured(pair):
    _, ours = pair
    with pytest.raises(ConfigError, match="layers \\[3\\]"), ours.capture(keys_values=(3,)):
        pass
    with pytest.raises(ConfigError, match="pass rows="), ours.capture(received=(0,)):
        pass


def test_a_saved_folder_is_read_back(pair, tmp_path: Path):
    theirs, _ = pair
    theirs.save_pretrained(tmp_path)
    ours = from_hf(str(tmp_path))
    input_ids = torch.randint(0, 101, (5,))
    with torch.no_grad():
        logits = ours.logits(ours(stream_of(ours, input_ids, ((5,),)))[0].states)
        torch.testing.assert_close(logits, theirs(input_ids=input_ids[None]).logits[0], rtol=1e-4, atol=1e-4)
    assert from_hf(str(tmp_path), pretrained=False).hidden_size == 48


def test_saved_files_rebuild_the_shape(pair, tmp_path: Path):
    theirs, _ = pair
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_hf(str(tmp_path / "theirs"), dtype="bfloat16")
    assert {p.dtype for p in ours.parameters()} == {torch.bfloat16}
    recipe = ours.save_files(tmp_path / "ours")
    assert [file.name for file in (tmp_path / "ours").iterdir()] == ["config.json"]
    again = registry.build("language_model", recipe["class_path"], **recipe["init_args"])
    again.load_state_dict(ours.state_dict(), strict=True)
    input_ids = torch.randint(0, 101, (9,))
    with torch.no_grad():
        both = [part(stream_of(part, input_ids, ((9,),)))[0].states for part in (ours.eval(), again.eval())]
    torch.testing.assert_close(both[1], both[0], rtol=0, atol=0)


def test_a_named_shape_needs_no_files(tmp_path: Path):
    assert registry.build("language_model", "qwen3-tiny").save_files(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path)
    return tmp_path


def test_weights_are_read_in_float32_whatever_they_are_stored_in(llama: Path):
    LlamaForCausalLM(LlamaConfig(**SIZES)).bfloat16().save_pretrained(llama)
    assert {p.dtype for p in from_hf(str(llama)).parameters()} == {torch.float32}


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read as a causal language model"):
        from_hf(str(tmp_path))


@pytest.fixture(scope="module")
def configured(tmp_path_factory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("configured")
    Olmo3Config(**{**SIZES, "num_hidden_layers": 1}).save_pretrained(folder)
    return folder, json.loads((folder / "config.json").read_text())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_configuration_is_a_decoder_or_told_in_one_sentence(configured, data):
    folder, good = configured
    (folder / "config.json").write_text(json.dumps(data.draw(changed(good))))
    try:
        from_hf(str(folder), pretrained=False)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(ConfigError, match="no folder nothing, and no hub id"):
        from_hf("nothing")


def test_missing_weights_are_not_left_random(llama: Path):
    weights = load_file(llama / "model.safetensors")
    weights["model.layers.1.mlp.up_prj.weight"] = weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, llama / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"the weights lack \['model\.layers\.1\.mlp\.up_proj\.weight'\]"):
        from_hf(str(llama))


def test_weights_of_another_size_are_refused(llama: Path):
    LlamaConfig(**{**SIZES, "intermediate_size": 64}).save_pretrained(llama)
    with pytest.raises(ConfigError, match="cannot be read as a causal language model"):
        from_hf(str(llama))


def test_a_pickle_is_refused_unread(llama: Path):
    (llama / "model.safetensors").rename(llama / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin is a pickle, which can run code"):
        from_hf(str(llama))


def test_padded_batches_equal_transformers_own(pair):
    theirs, ours = pair
    valid = torch.tensor([[1] * 9, [0] * 4 + [1] * 5], dtype=torch.bool)  # transformers pads prompts on the left
    input_ids = torch.randint(0, 101, valid.shape)
    stream = stream_of(ours, input_ids[valid], ((9,), (5,)))
    with torch.no_grad():
        logits = ours.logits(ours(stream)[0].states)
        expected = theirs(
            input_ids=input_ids, attention_mask=valid.long(), position_ids=(valid.cumsum(1) - 1).clamp(min=0)
        ).logits[valid]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_layers_of_other_kinds_are_refused():
    config = Qwen3Config(**SIZES, head_dim=16, layer_types=["full_attention", "chunked_attention", "full_attention"])
    with pytest.raises(ConfigError, match=r"layers of \['chunked_attention'\]"):
        TransformersLanguageModel(model=Qwen3ForCausalLM(config))


def test_capped_logits_are_refused():
    config = Gemma2Config(**SIZES, head_dim=16, query_pre_attn_scalar=16, sliding_window=LOCAL)
    ours = TransformersLanguageModel(model=Gemma2ForCausalLM(config))
    with pytest.raises(ConfigError, match="caps its attention logits"):
        ours(stream_of(ours, torch.randint(0, 101, (5,)), ((5,),)))


def test_residual_dropout_zeroes_what_parts_add_and_only_in_training():
    plain = registry.build("language_model", "qwen3", **QWEN)
    dropped = registry.build("language_model", "qwen3", **QWEN, residual_dropout=0.5)
    dropped.load_state_dict(plain.state_dict(), strict=True)
    layer, states = dropped.model.model.layers[0], torch.randn(1, 400, 48)
    added = layer.mlp.train()(states)
    assert (added == 0).float().mean() == pytest.approx(0.5, abs=0.02)  # four standard deviations of 19,200 draws
    kept = added != 0
    torch.testing.assert_close(added[kept], 2 * plain.model.model.layers[0].mlp(states)[kept])
    torch.testing.assert_close(layer.mlp.eval()(states), plain.model.model.layers[0].mlp(states), rtol=0, atol=0)
    assert len(layer.self_attn._forward_hooks) == 1
    with pytest.raises(ConfigError, match=r"residual_dropout is 1\.0, expected a share"):
        registry.build("language_model", "qwen3", **QWEN, residual_dropout=1.0)


QWEN = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_layers": 1,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 16,
    "vocab_size": 101,
}

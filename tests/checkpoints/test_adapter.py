import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from trunk_fixtures import build_batch, build_module
from weighted_head import WeightedHead

from zoo.checkpoints.adapter import CONFIG, PREFIX, WEIGHTS, load_adapter, read_adapter, save_adapter
from zoo.errors import ConfigError, ZooError
from zoo.heads.qa import QuestionAnswering
from zoo.lora import LoraSettings, LowRank, remove
from zoo.module import ZooModule
from zoo.optimisation import Group, OptimiserSettings

FROZEN_VISION = OptimiserSettings(vision=Group(learning_rate=0))
LANGUAGE = LoraSettings(language=LowRank(rank=4, alpha=8, targets=["q_proj", "v_proj"]))
BOTH = LoraSettings(vision=LowRank(rank=2, alpha=6, targets=["qkv"]), language=LowRank(rank=4, alpha=8))


def seeded(seed: int = 1, **arguments: object) -> ZooModule:
    torch.manual_seed(seed)
    return build_module(heads=[QuestionAnswering(max_new_tokens=3), WeightedHead()], **arguments)


def trained(lora: LoraSettings, **arguments: object) -> ZooModule:
    module = seeded(lora=lora, **arguments)
    module.configure_model()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return module


def outputs(module: torch.nn.Module, base: ZooModule) -> torch.Tensor:
    """Logits, and the loss of the head that has weights."""
    batch = build_batch(base)
    with torch.no_grad():
        found = module(batch)
        return torch.cat([found.logits.flatten(), base.heads["weighted"].loss(found, batch)["loss"].view(1)])


@pytest.fixture
def adapter(tmp_path) -> Path:
    """An adapter of the language model, with a frozen vision encoder and connector and heads trained whole."""
    save_adapter(trained(LANGUAGE, optimiser=FROZEN_VISION), tmp_path / "adapter", base="lab/base")
    return tmp_path / "adapter"


@pytest.mark.parametrize(("lora", "optimiser"), [(BOTH, OptimiserSettings()), (LANGUAGE, FROZEN_VISION)])
def test_peft_over_the_base_gives_our_outputs(lora, optimiser, tmp_path):
    module, base = trained(lora, optimiser=optimiser), seeded()
    save_adapter(module, tmp_path)
    expected = outputs(module, module)
    theirs = PeftModel.from_pretrained(base, str(tmp_path)).eval()
    torch.testing.assert_close(outputs(theirs, base), expected, rtol=1e-5, atol=1e-5)  # the same sums, wrapped


def test_it_names_what_was_trained_whole_and_nothing_that_was_not(adapter):
    config = json.loads((adapter / CONFIG).read_text())
    assert config["modules_to_save"] == ["model.connector", "model.extra_embedding", "heads.weighted"]
    assert config["base_model_name_or_path"] == "lab/base"
    names = load_file(adapter / WEIGHTS)
    assert all(name.startswith(PREFIX) for name in names)
    assert not any("default" in name or "vision" in name for name in names)


@pytest.mark.parametrize("lora", [LoraSettings(), LANGUAGE])
def test_it_comes_back_over_a_base_with_and_without_adapters_of_its_own(lora, adapter):
    module, again = trained(LANGUAGE, optimiser=FROZEN_VISION), seeded(lora=lora, optimiser=FROZEN_VISION)
    again.configure_model()
    load_adapter(again, adapter)
    torch.testing.assert_close(outputs(again, again), outputs(module, module), rtol=0, atol=0)
    assert again.state_dict().keys() == module.state_dict().keys()
    again.merge_adapters()
    torch.testing.assert_close(outputs(again, again), outputs(module, module), rtol=1e-5, atol=1e-5)


def test_saving_what_was_loaded_writes_the_same_files(adapter, tmp_path):
    again = seeded()
    load_adapter(again, adapter)
    save_adapter(again, tmp_path / "again", base="lab/base")
    assert (tmp_path / "again" / CONFIG).read_text() == (adapter / CONFIG).read_text()
    before, after = load_file(adapter / WEIGHTS), load_file(tmp_path / "again" / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_an_adapter_that_peft_trained_and_saved_is_read(tmp_path):
    base = seeded()
    config = LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj"], modules_to_save=["model.connector"])
    theirs = get_peft_model(base, config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    theirs.save_pretrained(str(tmp_path))
    ours = seeded()
    load_adapter(ours, tmp_path)
    torch.testing.assert_close(outputs(ours, ours), outputs(theirs, base), rtol=1e-5, atol=1e-5)


def test_a_module_without_adapters_has_none_to_save(tmp_path):
    with pytest.raises(ConfigError, match=r"trained without model\.lora"):
        save_adapter(seeded(), tmp_path)


# -- adapters that do not fit -----------------------------------------------------------------------------------------


def rewrite(folder: Path, change) -> None:
    """Change the tensors of an adapter; the header stays."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata=header)


def misname(tensors):
    name = next(name for name in tensors if "lora_A" in name)
    tensors[name.replace("lora_A", "lora_a")] = tensors.pop(name)


def widen(tensors):
    name = next(name for name in tensors if "lora_A" in name)
    tensors[name] = torch.cat([tensors[name]] * 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (misname, r"missing: base_model\.\S*lora_A\.weight; unexpected: base_model\.\S*lora_a\.weight"),
        (lambda tensors: tensors.pop(min(tensors)), r"does not fit this model; missing: base_model\S*$"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "does not fit this model; unexpected: extra$"),
        (widen, r"does not fit this model; of other sizes: base_model\S*lora_A\.weight$"),
    ],
)
def test_other_names_and_shapes_are_errors_and_leave_the_model_as_it_was(change, message, adapter):
    rewrite(adapter, change)
    base = seeded()
    expected, names = outputs(base, base), list(base.state_dict())
    with pytest.raises(ConfigError, match=message):
        load_adapter(base, adapter)
    assert list(base.state_dict()) == names
    assert all(parameter.requires_grad for parameter in base.parameters())
    torch.testing.assert_close(outputs(base, base), expected, rtol=0, atol=0)


def test_an_adapter_for_a_base_of_other_sizes_is_refused(adapter):
    other = build_module(image_size=72)
    with pytest.raises(ConfigError, match=r"for another base: its vision has [\d,]+ parameters, this one [\d,]+$"):
        load_adapter(other, adapter)


def test_an_adapter_for_other_weights_is_refused_unless_they_are_meant(adapter):
    other = seeded(seed=2)
    with pytest.raises(ConfigError, match="trained over other weights of vision, language than these"):
        load_adapter(other, adapter)
    load_adapter(other, adapter, same_weights=False)
    assert other.is_adapted


def test_an_adapter_of_another_component_is_refused_where_the_recipe_has_its_own(adapter):
    module = seeded(lora=LoraSettings(vision=LowRank(rank=4, alpha=8, targets=["qkv"])))
    module.configure_model()
    with pytest.raises(ConfigError, match=r"missing: \S*vision\S*qkv.*; unexpected: \S*language"):
        load_adapter(module, adapter)


def test_an_adapter_of_another_scale_is_refused_where_the_recipe_has_its_own(adapter):
    module = seeded(lora=LoraSettings(language=LowRank(rank=4, alpha=16, targets=["q_proj", "v_proj"])))
    module.configure_model()
    with pytest.raises(ConfigError, match=r"has lora_alpha 8, model\.lora 16"):
        load_adapter(module, adapter)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "an adapter of type 'IA3'; LORA is what runs here"),
        ({"use_dora": True}, "sets use_dora; plain LoRA is what runs here"),
        ({"bias": "all"}, "sets bias; plain LoRA"),
        ({"init_lora_weights": "pissa"}, "sets init_lora_weights; plain LoRA"),
        ({"target_modules": "("}, "target_modules has no value that peft writes there"),
        ({"r": True}, "r has no value that peft writes there"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern has no value"),
        ({"target_modules": 3}, "target_modules has no value that peft writes there"),
        ({"modules_to_save": [3]}, "modules_to_save has no value"),
        ({"target_modules": ["no_such_layer"]}, "is an adapter for another base: .*no_such_layer"),
        ({"modules_to_save": ["model.depth"]}, r"for another base: this one has no model\.depth"),
    ],
)
def test_other_configurations_are_refused(changes, message, adapter):
    config = json.loads((adapter / CONFIG).read_text()) | changes
    (adapter / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ZooError, match=message):
        load_adapter(seeded(), adapter)


# -- files that are none ----------------------------------------------------------------------------------------------


class Planted:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_is_refused_unread(adapter, capsys):
    (adapter / WEIGHTS).unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ConfigError, match=r"adapter_model\.bin is a pickle, which can run code"):
        read_adapter(adapter)
    (adapter / WEIGHTS).write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ZooError, match="cut short, or no safetensors file"):
        read_adapter(adapter)
    assert "run" not in capsys.readouterr().out


def test_a_folder_without_one_says_what_was_expected(tmp_path):
    with pytest.raises(ConfigError, match=rf"expected {CONFIG} and {WEIGHTS}"):
        read_adapter(tmp_path)


ROUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@ROUGH
@given(cut=st.integers(0, 400), junk=st.binary(max_size=12))
def test_files_that_are_cut_or_scribbled_on_are_told(cut, junk, adapter, tmp_path):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(adapter, spoilt, dirs_exist_ok=True)
    whole = (adapter / WEIGHTS).read_bytes()
    (spoilt / WEIGHTS).write_bytes(whole[:cut] + junk)
    with pytest.raises(ZooError):
        read_adapter(spoilt)


@pytest.fixture(scope="module")
def base() -> ZooModule:
    """Whatever could not be loaded leaves it as it was."""
    return seeded()


@ROUGH
@given(
    key=st.sampled_from(["r", "lora_alpha", "target_modules", "rank_pattern", "modules_to_save", "bias"]), value=JSON
)
def test_any_configuration_is_an_adapter_or_told(key, value, adapter, base, tmp_path):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(adapter, spoilt, dirs_exist_ok=True)
    stored = json.loads((adapter / CONFIG).read_text())
    (spoilt / CONFIG).write_text(json.dumps(stored | {key: value}))
    names = list(base.state_dict())
    try:
        load_adapter(base, spoilt)
    except ZooError:
        assert list(base.state_dict()) == names
    else:
        assert base.is_adapted
        remove(base)

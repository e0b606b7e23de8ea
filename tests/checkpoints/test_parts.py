import shutil

import pytest
import torch

import zoo
from zoo.errors import ConfigError


def with_part(recipe, name, folder):
    recipe["init_args"][name] = f"zoo:{folder}"
    return recipe


def weights_of(module, name):
    return getattr(module.model, name).state_dict()


@pytest.mark.parametrize("name", ["vision", "language"])
def test_a_part_comes_with_its_weights_and_the_rest_starts_anew(name, recipe, module, saved):
    other = zoo.from_recipe(with_part(recipe, name, saved))
    assert other.state_dict().keys() == module.state_dict().keys()
    trained = weights_of(module, name)
    for key, tensor in weights_of(other, name).items():
        torch.testing.assert_close(tensor, trained[key], rtol=0, atol=0)
    own = other.model.extra_embedding.weight
    assert not torch.equal(own, module.model.extra_embedding.weight)


def test_a_tokenizer_comes_along(recipe, module, saved):
    other = zoo.from_recipe(with_part(recipe, "tokenizer", saved))
    text = "is the cube red ?"
    assert other.processor.tokenizer.encode(text) == module.processor.tokenizer.encode(text)


@pytest.mark.parametrize("name", ["vision", "language", "tokenizer"])
def test_a_checkpoint_with_such_a_part_stands_alone(name, recipe, saved, tmp_path):
    other = zoo.from_recipe(with_part(recipe, name, saved))
    folder = other.save_pretrained(tmp_path / "other")
    shutil.rmtree(saved)
    again = zoo.from_pretrained(folder)
    for key, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[key], rtol=0, atol=0)


def test_adapters_are_folded_into_the_part(recipe, tmp_path):
    recipe["init_args"]["lora"] = {"language": {"rank": 2}}
    adapted = zoo.from_recipe(recipe)
    adapted.configure_model()
    with torch.no_grad():
        for key, parameter in adapted.model.language.named_parameters():
            if "lora_B" in key:
                parameter.fill_(0.1)
    folder = adapted.save_pretrained(tmp_path / "adapted")
    del recipe["init_args"]["lora"]
    other = zoo.from_recipe(with_part(recipe, "language", folder))
    adapted.merge_adapters()
    merged = weights_of(adapted, "language")
    for key, tensor in weights_of(other, "language").items():
        torch.testing.assert_close(tensor, merged[key], rtol=0, atol=1e-6)  # merged in another order of operations


def test_a_checkpoint_that_does_not_exist_is_named(recipe, tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        zoo.from_recipe(with_part(recipe, "vision", tmp_path / "nowhere"))

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from zoo.errors import ConfigError, DataError
from zoo.weights import (
    INDEX,
    SINGLE,
    check_fit,
    check_storable,
    load_exactly,
    read_weights,
    refuse_pickle,
    save_weights,
    set_unsaved_dtypes,
    shapes_of,
    unsaved_dtypes,
    weight_files,
)


class Tied(nn.Module):
    """An output head that is the embedding, and a buffer that no state holds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(300, 4)
        self.head = nn.Linear(4, 300, bias=False)
        self.head.weight = self.embedding.weight
        self.norm = nn.LayerNorm(4)
        self.register_buffer("scale", torch.ones(2), persistent=False)


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("shard_size", ["5GB", "1KB"])
def test_what_is_saved_comes_back_whole_in_one_file_or_many(tmp_path, shard_size):
    module, other = Tied(), Tied()
    save_weights(module, tmp_path, max_shard_size=shard_size)
    assert (tmp_path / (INDEX if shard_size == "1KB" else SINGLE)).is_file()
    load_exactly(other, tmp_path)
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    assert other.head.weight is other.embedding.weight
    stored = shapes_of(weight_files(tmp_path))
    assert stored.items() <= shapes(module).items()
    assert {name: tuple(tensor.shape) for name, tensor in read_weights(tmp_path).items()} == stored


@pytest.mark.parametrize("size", ["100B", "5", "GB", "five GB", ""])
def test_a_size_of_shards_that_is_none_is_refused(tmp_path, size):
    with pytest.raises(
        ConfigError, match=f"max_shard_size {size!r}: expected a number of KB, MB, GB or TB, such as 5GB"
    ):
        check_storable(nn.Linear(1, 1), max_shard_size=size, halved=None)


@given(dtypes=st.lists(st.sampled_from([torch.float16, torch.bfloat16, torch.float32]), min_size=2, max_size=2))
def test_tensors_keep_the_types_in_which_they_are_stored(tmp_path_factory, dtypes):
    folder = tmp_path_factory.mktemp("weights")
    module = nn.Linear(3, 2)
    save_file({"weight": torch.ones(2, 3, dtype=dtypes[0]), "bias": torch.ones(2, dtype=dtypes[1])}, folder / SINGLE)
    load_exactly(module, folder)
    assert [module.weight.dtype, module.bias.dtype] == dtypes
    assert module.weight.sum() == 6


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "last.ckpt", "weights.pkl"])
def test_a_pickle_is_refused_by_its_name_and_never_opened(tmp_path, file):
    (tmp_path / file).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ConfigError, match=f"{file} is a pickle, which can run code"):
        refuse_pickle(tmp_path / file)
    with pytest.raises(ConfigError, match="is a pickle, which can run code"):
        weight_files(tmp_path)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_weights_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=f"holds no weights: expected {SINGLE}, or {INDEX}"):
        weight_files(tmp_path / folder)


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("{", "is no index of shards"),
        ("[]", "is no index of shards"),
        ('{"weight_map": {"a": ["list"]}}', "is no index of shards"),
        ('{"weight_map": {"a": 3}}', "lists 3; shards are"),
        ('{"weight_map": {"a": "../secret.safetensors"}}', "lists '../secret.safetensors'; shards are"),
        ('{"weight_map": {"a": "model.bin"}}', "lists 'model.bin'; shards are"),
        ('{"weight_map": {"a": "model-1.safetensors"}}', "lists model-1.safetensors, which is missing"),
    ],
)
def test_a_broken_index_is_refused(tmp_path, index, told):
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(DataError, match=told):
        weight_files(tmp_path)


@given(content=st.binary(max_size=64))
def test_what_is_no_safetensors_file_is_a_fault_of_the_data(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("weights") / SINGLE
    file.write_bytes(content)
    with pytest.raises(DataError, match="is cut short, or no safetensors file"):
        shapes_of([file])


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


def test_a_file_that_is_cut_short_is_refused_before_anything_is_loaded(tmp_path):
    module = nn.Linear(3, 2)
    save_weights(nn.Linear(3, 2), tmp_path, max_shard_size="5GB")
    before = module.weight.clone()
    cut(tmp_path / SINGLE)
    with pytest.raises(DataError, match="is cut short"):
        load_exactly(module, tmp_path)
    assert torch.equal(module.weight, before)


def test_every_name_and_shape_is_accounted_for():
    module = nn.Linear(3, 2)
    with pytest.raises(ConfigError) as caught:
        check_fit(module, {"weight": (3, 2), "gain": (1,)}, "folder")
    assert str(caught.value) == (
        "folder does not fit the model: missing bias; unexpected gain; other sizes weight (3, 2), expected (2, 3)"
    )


def test_a_long_list_of_names_is_cut():
    with pytest.raises(ConfigError, match="unexpected a, b, c and 2 more"):
        check_fit(nn.Identity(), dict.fromkeys("abcde", (1,)), "folder")


def test_a_shared_tensor_may_be_stored_under_one_of_its_names():
    module = Tied()
    stored = shapes(module)
    del stored["head.weight"]
    check_fit(module, stored, "folder")
    del stored["embedding.weight"]
    with pytest.raises(ConfigError, match="missing embedding.weight, head.weight"):
        check_fit(module, stored, "folder")


def test_parts_that_may_differ_are_left_out_on_both_sides():
    module = nn.ModuleDict({"trunk": nn.Linear(1, 1), "heads": nn.Linear(2, 2)})
    stored = {"trunk.weight": (1, 1), "trunk.bias": (1,), "pruner.weight": (7,)}
    check_fit(module, stored, "folder", spare=("heads.", "pruner."))
    with pytest.raises(ConfigError, match="missing heads"):
        check_fit(module, stored, "folder", spare=("pruner.",))


def test_types_of_buffers_that_no_state_holds_are_told_and_set():
    module = Tied().to(torch.bfloat16)
    told = json.loads(json.dumps(unsaved_dtypes(module)))
    assert told == {"scale": "bfloat16"}
    other = Tied()
    set_unsaved_dtypes(other, told)
    assert other.scale.dtype == torch.bfloat16
    assert unsaved_dtypes(Tied()) == {}


@pytest.mark.parametrize("dtypes", [{"shift": "bfloat16"}, {"scale": "int64"}, {"scale": "save"}, {"scale": 3}])
def test_a_buffer_or_type_that_does_not_exist_is_refused(dtypes):
    with pytest.raises(ConfigError, match="the model has no such buffer or type"):
        set_unsaved_dtypes(Tied(), dtypes)

"""Transformers' padded tensors as input; equality with its Molmo2 is tested in tests/checkpoints/test_molmo2.py."""

import pytest
import torch

from tests.fakes import released
from zoo.errors import ConfigError, DataError
from zoo.padded import PaddedInputs, frames_of_patches
from zoo.pruning.random import RandomPruner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return released.save(released.model_of(released.TEXT), tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def module(folder):
    import zoo

    return zoo.from_pretrained(folder)


def test_patches_become_the_frames_that_they_were_cut_from():
    frames = torch.randn(2, 3, 6, 8)
    patches = [
        frame[:, y : y + 3, x : x + 2].permute(1, 2, 0).flatten()  # row, column, channel
        for frame in frames
        for y in range(0, 6, 3)
        for x in range(0, 8, 2)
    ]
    again = frames_of_patches(torch.stack(patches).view(2, 8, 18), (6, 8), (2, 4))
    assert torch.equal(again, frames)


def test_text_in_rows_equals_text_alone(module):
    rows = torch.randint(0, 400, (2, 9))
    mask = torch.ones(2, 9)
    mask[0, :4] = 0  # on the left
    mask[1, 6:] = 0  # on the right
    with torch.no_grad():
        together = module.logits(rows, mask)
        for row, part in ((0, slice(4, 9)), (1, slice(0, 6))):
            alone = module.logits(rows[row : row + 1, part])
            torch.testing.assert_close(together[row, part], alone[0], rtol=1e-4, atol=1e-5)  # float32, other positions
    assert not together[0, :4].any()


def changed(**tensors):
    return {**released.inputs("image"), **tensors}


FAULTS = {
    "input_ids": ({"input_ids": torch.zeros(5)}, r"input_ids is \(5,\); expected \(batch, tokens\)"),
    "mask": ({"attention_mask": torch.ones(1, 3)}, r"attention_mask is \(1, 3\), input_ids"),
    "both": ({"pixel_values_videos": torch.zeros(1, 81, 108)}, "given together"),
    "no table": ({"image_token_pooling": None}, "pixel_values and image_token_pooling belong together"),
    "patches": ({"pixel_values": torch.zeros(3, 80, 108)}, r"the model sees 81 patches of 6 x 6 pixels"),
    "table": ({"image_token_pooling": torch.full((65, 4), 900)}, "names patch 900, 3 crops hold fewer"),
    "windows": ({"image_token_pooling": torch.zeros(3, 4).long()}, "65 patch tokens in input_ids for 3 windows"),
    "ids": ({"input_ids": torch.full((1, 81), 9000)}, "input_ids reach from 9000 to 9000; the model has 602 ids"),
    "name": ({"pixels": torch.zeros(1)}, "no input of Molmo2 is called pixels; there are input_ids, "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tensors_that_contradict_one_another_are_refused(module, fault):
    given, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        module.logits(**changed(**given))


def test_a_row_of_padding_has_nothing_to_go_on_from(module):
    ids = torch.ones(2, 4, dtype=torch.int64)
    with pytest.raises(DataError, match="row 1 of input_ids holds padding only"):
        module.generate(ids, torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]), max_new_tokens=1)


def test_a_pruner_is_refused_where_every_token_has_a_place(module):
    module.model.pruners.append(RandomPruner(remove=0.5))
    try:
        with pytest.raises(ConfigError, match="RandomPruner removes vision tokens"):
            module.logits(**released.inputs("image"))
        module.logits(**released.inputs("text"))
    finally:
        del module.model.pruners[0]


def test_inputs_are_flat_or_one_batch_of_examples():
    flat = released.inputs("image")
    nested = {
        **flat,
        "pixel_values": flat["pixel_values"][None],
        "image_token_pooling": flat["image_token_pooling"][None],
    }
    nested.pop("image_grids"), nested.pop("image_num_crops")
    assert torch.equal(PaddedInputs(**nested).patches, flat["pixel_values"])
    assert torch.equal(PaddedInputs(**nested).table, flat["image_token_pooling"].long())

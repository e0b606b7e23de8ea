import pytest
import torch

from zoo.text_encoder import TextIds, masked_mean


def test_padding_does_not_enter_a_mean():
    states = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [100.0], [100.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(states, mask).tolist() == [[2.0], [5.0]]


@pytest.mark.parametrize("shape", [(2, 4), (3,)])
def test_ids_and_mask_of_different_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"must both be \(texts, tokens\)"):
        TextIds(input_ids=torch.zeros(2, 3, dtype=torch.int64), attention_mask=torch.ones(shape, dtype=torch.bool))

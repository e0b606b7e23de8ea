import torch

from zoo.pruning.merging import point, survives


def test_only_what_is_chosen_joins_and_padding_moves_nothing():
    source, target = torch.tensor([[0, 2, 4], [5, -1, -1]]), torch.tensor([[1, 3, 1], [3, 0, 0]])
    chosen = torch.tensor([[True, False, True], [True, False, False]])
    assert point(6, source, target, chosen).tolist() == [1, 1, 2, 3, 1, 3]
    assert point(3, source[:, :0], target[:, :0], chosen[:, :0]).tolist() == [0, 1, 2]


def test_a_target_of_minus_one_drops_a_token():
    into = point(3, torch.tensor([1, 2]), torch.tensor([-1, 0]), torch.tensor([True, True]))
    assert into.tolist() == [0, -1, 0]
    assert survives(into).tolist() == [True, False, False]

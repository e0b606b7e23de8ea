import torch
from trunk_fixtures import build_batch, build_module

from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.place_embedding import PlaceEmbedding
from zoo.pruning_pass import PruningPass


def layout(grid=(6, 6), window=(3, 3), frames=2):
    size = ((90, 90),) * frames
    return TokenLayout.of_frames(
        Frames(clip=(0,) * frames, time_s=tuple(map(float, range(frames))), size_px=size, window=(window,) * frames),
        grid,
    )


def test_a_place_has_one_vector_in_every_frame_and_no_two_places_share_it():
    pooled, _ = layout().pool()
    vectors = PlaceEmbedding(16)(pooled)
    first, second = vectors.view(2, 4, 16)
    assert torch.equal(first, second)
    assert torch.pdist(first).min() > 0.1


def test_the_middle_of_the_picture_is_the_middle_on_every_grid():
    embedding = PlaceEmbedding(8)
    coarse, _ = layout(grid=(3, 3), window=(3, 3)).pool()
    fine, _ = layout(grid=(9, 9), window=(3, 3)).pool()
    torch.testing.assert_close(embedding(coarse)[0], embedding(fine)[4])


def test_what_pruning_leaves_keeps_its_place():
    embedding, whole = PlaceEmbedding(8), layout().pool()[0]
    keep = torch.tensor([True, False, False, True, False, True, False, False])
    assert torch.equal(embedding(whole.keep(keep)), embedding(whole)[keep])


def test_the_trunk_adds_it_to_every_window():
    module = build_module()
    model = module.model
    batch = build_batch(module)
    bare = model.see(batch, PruningPass(pruners=()))[1]
    model.place_embedding = PlaceEmbedding(model.language.hidden_size)
    _, placed, pooled = model.see(batch, PruningPass(pruners=()))
    torch.testing.assert_close(placed, bare + model.place_embedding(pooled))
    assert any(part is model.place_embedding for part in module.components()["connector"])

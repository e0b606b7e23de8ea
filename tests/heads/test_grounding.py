import io

import numpy as np
import pytest
import torch
from trunk_fixtures import build_batch, build_module

from zoo.errors import DataError
from zoo.head import Message, PatchText
from zoo.heads.grounding import AskPlaces, LabelPatches, WordGrounding, covered_patches
from zoo.heads.qa import QuestionAnswering
from zoo.pruning.random import RandomPruner
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample

GRID = (6, 6)


def masks():
    """Two frames of 36 x 36 pixels: instance 2 fills patches (1, 2) and (1, 3) of the second, a corner of the first."""
    made = np.zeros((2, 36, 36), np.uint8)
    made[1, 6:12, 12:24] = 2
    made[0, :2, :2] = 2
    return made


def sample(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return Sample("clip", "shard", {"instances": [{"id": 2, "text": "red cube"}]}, {"npz": file.getvalue()})


def test_patches_that_an_instance_covers_are_found():
    other, found = covered_patches(masks(), [1, 2], GRID, coverage=0.5)
    assert not other.any()
    assert np.argwhere(found).tolist() == [[1, 1, 2], [1, 1, 3]]
    assert covered_patches(masks(), [2], GRID, coverage=1 / 16)[0][0, 0, 0]


def test_labels_are_those_of_the_shown_frames():
    (label,) = LabelPatches(0.5)(sample(masks=masks()), np.array([1, 0]), GRID)
    assert label.text == "red cube"
    assert np.argwhere(label.patches).tolist() == [[0, 1, 2], [0, 1, 3]]


def test_what_an_instance_does_is_marked_as_taking_time():
    made = sample(masks=masks())
    made.record["instances"][0]["deeds"] = "moved left"
    looks, deeds = LabelPatches(0.5)(made, np.array([0, 1]), GRID)
    assert (looks.text, looks.takes_time) == ("red cube", False)
    assert (deeds.text, deeds.takes_time) == ("moved left", True)
    assert (looks.patches == deeds.patches).all()


def test_a_sample_without_instances_or_labels_is_left_alone():
    assert LabelPatches(0.5)(Sample("clip", "shard", {}, {}), np.array([0]), GRID) == []


def test_masks_of_too_few_frames_name_the_sample():
    with pytest.raises(DataError, match="sample 'clip' has 2 masks, frame 5 is shown"):
        LabelPatches(0.5)(sample(masks=masks()), np.array([5]), GRID)


def test_a_broken_npz_names_the_sample():
    broken = Sample("clip", "shard", {"instances": [{"id": 1, "text": "a"}]}, {"npz": b"PK\x03\x04 nothing"})
    with pytest.raises(DataError, match="sample 'clip' has no readable npz"):
        LabelPatches(0.5)(broken, np.array([0]), GRID)


SHOWN = ShownFrames(times_s=np.arange(3) / 4, indices=np.arange(3), is_video=True)


def placed(**changed):
    """Three frames of two objects in 144 x 72 px; the second object leaves half-way."""
    points = np.array([[[0, 0], [143.9, 71.9]], [[72, 36], [np.nan, np.nan]], [[30, 50], [np.nan, np.nan]]], np.float32)
    arrays = {"points_px": points, "visible": ~np.isnan(points[..., 0])} | changed
    made = sample(**arrays)
    instances = [{"id": 1, "text": "red cube"}, {"id": 2, "text": "blue ball"}]
    made.record.update(instances=instances, width=144, height=72)
    return made


def test_places_are_tenths_of_the_picture_at_the_first_middle_and_last_frame():
    messages = AskPlaces(2.0)(placed(), SHOWN, np.random.default_rng(0), training=True)
    assert [(m.prompt, m.answer) for m in messages] == [
        ("Where is the red cube?", "00 55 26"),
        ("Where is the blue ball?", "99 out out"),
    ]
    assert {(m.head, m.weight, m.is_scored) for m in messages} == {("grounding", 2.0, False)}


@pytest.mark.parametrize(("weight", "training"), [(0.0, True), (1.0, False)])
def test_places_are_asked_in_training_only_and_only_where_they_weigh(weight, training):
    assert AskPlaces(weight)(placed(), SHOWN, np.random.default_rng(0), training=training) == []


def test_places_are_not_asked_where_labels_are_left_in_the_shard():
    bare = Sample("clip", "shard", placed().record, {})
    assert AskPlaces(1.0)(bare, SHOWN, np.random.default_rng(0), training=True) == []


@pytest.mark.parametrize("visible", [np.ones((3, 1), bool), np.ones((2, 2), bool), np.ones(3, bool)])
def test_places_of_another_number_of_objects_or_frames_name_the_sample(visible):
    with pytest.raises(DataError, match="sample 'clip' has points .* expected .3, 2, 2. and .3, 2."):
        AskPlaces(1.0)(placed(visible=visible), SHOWN, np.random.default_rng(0), training=True)


def test_the_text_of_places_is_learnt_from():
    module = build()
    message = Message(head="grounding", prompt="Where is it?", answer="55", family="place", is_scored=False)
    example = module.processor.example(
        key="a", frames=np.zeros((2, 48, 48, 3), np.uint8), times_s=np.arange(2) / 2, messages=[message]
    )
    batch = module.processor.collate([example])
    outputs = module(batch)
    terms = module.heads["grounding"].loss(outputs, batch)
    assert terms["windows"] == terms["patches"] == 0  # no word in sight
    expected = torch.nn.functional.cross_entropy(outputs.logits, outputs.targets)
    torch.testing.assert_close(terms["loss"], expected)


def labelled_batch(module, deeds=None):
    """One clip of two frames; the two left windows of the first show a red cube, the rest is empty."""
    patches = np.zeros((2, 6, 6), bool)
    patches[0, 1, 1] = patches[0, 4, 0] = True
    example = module.processor.example(
        key="a",
        frames=np.zeros((2, 48, 48, 3), np.uint8),
        times_s=np.arange(2) / 2,
        messages=[t.message for t in build_batch(module).turns[:1]],
        labels=[
            PatchText(text="red cube", patches=patches),
            *([] if deeds is None else [PatchText(text=deeds, patches=patches, takes_time=True)]),
        ],
    )
    return module.processor.collate([example, example])


def build(pruner=None, **weights):
    module = build_module(pruner)
    heads = [QuestionAnswering(), WordGrounding(weight=2.0, **weights)]
    model = module.model
    return type(module)(
        vision=model.vision,
        connector=model.connector,
        language=model.language,
        tokenizer=module.processor.tokenizer,
        heads=heads,
        pruner=pruner,
        max_frames=4,
    ).train()


def test_the_loss_is_a_mean_over_windows_and_one_over_patches_of_the_words_they_show():
    module = build()
    batch = labelled_batch(module)
    outputs = module(batch)
    loss = module.heads["grounding"].loss(outputs, batch)["loss"]
    encode = module.processor.tokenizer.encode
    words = [*encode(" red"), *encode(" cube")]
    shown = set(batch.patch_words[:, 0].tolist())
    windows = {int(outputs.patch_layout.windows[patch]) for patch in shown}
    assert windows == {0, 2, 8, 10}
    expected = 0.0
    for logits, filled in ((outputs.window_logits, windows), (outputs.patch_logits, shown)):
        log_probs = logits.log_softmax(-1)
        terms = [
            log_probs[t, words].mean() if t in filled else log_probs[t, batch.empty_word] / 4
            for t in range(len(logits))
        ]
        expected = expected - torch.stack(terms).sum() / (len(filled) + (len(logits) - len(filled)) / 4)
    torch.testing.assert_close(loss, 2.0 * expected)


def test_deeds_are_read_from_the_states_that_saw_all_frames():
    module = build()
    plain, told = labelled_batch(module), labelled_batch(module, deeds="moved left")
    outputs = module(told)
    terms = module.heads["grounding"].loss(outputs, told)
    looks = module.heads["grounding"].loss(outputs, plain)
    assert looks["deeds"] == 0  # not asked of clips in which nothing is said to happen
    assert (looks["windows"], looks["patches"]) == (terms["windows"], terms["patches"])
    words = [word for text in (" moved", " left") for word in module.processor.tokenizer.encode(text)]
    log_probs = outputs.state_logits.log_softmax(-1)
    filled = {0, 2, 8, 10}
    expected = [
        log_probs[t, words].mean() if t in filled else log_probs[t, told.empty_word] / 4 for t in range(len(log_probs))
    ]
    expected = -torch.stack(expected).sum() / (len(filled) + (len(log_probs) - len(filled)) / 4)
    torch.testing.assert_close(terms["deeds"], expected.detach())
    torch.testing.assert_close(terms["loss"], looks["loss"] + 2.0 * expected)
    queries = next(p for name, p in module.model.language.named_parameters() if "q_proj" in name)
    assert torch.autograd.grad(expected, queries)[0].abs().sum() > 0  # through the language model's attention


def test_logits_that_no_loss_counts_are_not_made():
    module = build(patch_weight=0.0, deed_weight=0.0)
    batch = labelled_batch(module, deeds="moved left")
    outputs = module(batch)
    assert outputs.patch_logits is None
    assert outputs.state_logits is None
    assert module.model.patch_projection is None
    terms = module.heads["grounding"].loss(outputs, batch)
    torch.testing.assert_close(terms["loss"], 2.0 * terms["windows"], check_device=False)
    assert terms["windows"] > 0


def test_windows_that_a_pruner_dropped_are_left_out():
    module = build(RandomPruner(remove=0.5, site="vit.block[0]"))
    batch = labelled_batch(module)
    outputs = module(batch)
    assert len(outputs.window_logits) == 8
    assert len(outputs.patch_logits) == outputs.patch_layout.num_tokens < len(outputs.patch_layout.windows)
    module.heads["grounding"].loss(outputs, batch)["loss"].backward()
    assert module.model.vision.vit.patch_embed.proj.weight.grad.abs().sum() > 0


def test_nothing_is_asked_of_it_and_evaluation_pays_nothing():
    module = build().eval()
    batch = labelled_batch(module)
    with torch.no_grad():
        outputs = module(batch)
    assert outputs.window_logits is None
    assert outputs.patch_logits is None
    assert outputs.state_logits is None
    assert module.heads["grounding"].loss(outputs, batch)["loss"] == 0
    assert module.heads["grounding"].renderer()(None, None, np.random.default_rng(0), training=True) == []

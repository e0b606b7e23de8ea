"""Random weights: what is tested is that prompts arrive, objects are followed both ways, and shapes are right."""

import json
import pickle

import numpy as np
import pytest
import torch
from tiny_sam2 import write_tiny_sam2
from transformers import Sam2VideoModel, Sam2VideoProcessor

from zoo import registry
from zoo.errors import ConfigError
from zoo.points import Point
from zoo.segmenter import Clip

TIMES = (0.0, 0.5, 1.0, 1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_sam2(tmp_path_factory.mktemp("sam2"))


@pytest.fixture(scope="module")
def segmenter(folder):
    return registry.build("segmenter", f"hf:{folder}")


@pytest.fixture(scope="module")
def clip():
    frames = np.random.default_rng(0).integers(0, 255, (len(TIMES), 40, 60, 3), dtype=np.uint8)
    return Clip(frames=frames, times_s=TIMES)


@pytest.mark.parametrize("first", [0, 2])
def test_one_object_is_followed_both_ways_as_transformers_does(folder, segmenter, clip, first):
    model, processor = Sam2VideoModel.from_pretrained(folder).eval(), Sam2VideoProcessor.from_pretrained(folder)
    session = processor.init_video_session(video=list(clip.frames), dtype=torch.float32)
    processor.add_inputs_to_inference_session(session, first, 1, input_points=[[[[10.0, 20.0]]]], input_labels=[[[1]]])
    model(inference_session=session, frame_idx=first)
    expected = {
        output.frame_idx: processor.post_process_masks([output.pred_masks], original_sizes=[[40, 60]])[0][0, 0].numpy()
        for reverse in (False, True)
        for output in model.propagate_in_video_iterator(session, reverse=reverse)
    }
    masks = segmenter.segment(clip, [Point(TIMES[first], 5, 10.0, 20.0)])
    assert list(masks) == [5]
    np.testing.assert_array_equal(masks[5], [expected[frame] for frame in range(4)])
    assert 0 < masks[5][first].mean() < 1


def test_objects_do_not_influence_each_other_and_all_their_points_count(segmenter, clip):
    prompts = [Point(1.0, 9, 50.0, 30.0), Point(0.5, 2, 10.0, 10.0), Point(1.5, 2, 30.0, 20.0)]
    masks = segmenter.segment(clip, prompts)
    assert {object_id: (mask.shape, mask.dtype) for object_id, mask in masks.items()} == {
        object_id: ((4, 40, 60), np.dtype(bool)) for object_id in (2, 9)
    }
    np.testing.assert_array_equal(segmenter.segment(clip, prompts[:1])[9], masks[9])
    # A second point changes the frame that it lies in.
    assert (segmenter.segment(clip, prompts[1:2])[2][3] != masks[2][3]).any()


def test_where_a_point_lies_matters(segmenter, clip):
    here, there = (segmenter.segment(clip, [Point(0.0, 0, *place)])[0] for place in ((5.0, 5.0), (55.0, 35.0)))
    assert (here != there).any()


def test_no_point_no_mask_and_no_weights(clip):
    assert registry.build("segmenter", "sam2-video", checkpoint="nobody/knows").segment(clip, []) == {}


def test_a_pickled_copy_is_light_and_does_the_same(segmenter, clip):
    segmenter.load()
    packed = pickle.dumps(segmenter)
    assert len(packed) < 1000
    point = [Point(0.0, 0, 10.0, 20.0)]
    np.testing.assert_array_equal(pickle.loads(packed).segment(clip, point)[0], segmenter.segment(clip, point)[0])


def test_a_folder_of_another_model_is_refused(tmp_path, clip):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    segmenter = registry.build("segmenter", "sam2-video", checkpoint=str(tmp_path))
    with pytest.raises(ConfigError, match="is a 'siglip' model, not 'sam2_video'"):
        segmenter.segment(clip, [Point(0.0, 0, 1.0, 1.0)])


def test_a_folder_without_safetensors_is_refused(folder, tmp_path, clip):
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ConfigError, match="is a pickle"):
        registry.build("segmenter", f"hf:{tmp_path}").segment(clip, [Point(0.0, 0, 1.0, 1.0)])


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ConfigError, match="no dtype 'float12'"):
        registry.build("segmenter", "sam2-video", dtype="float12")

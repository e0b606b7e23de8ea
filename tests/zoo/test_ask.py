import io
import json

import numpy as np
import pytest
from PIL import Image
from says import Says

from zoo.ask import answer, ask, overlay, read_clip
from zoo.errors import ConfigError, DataError
from zoo.frames import Frames
from zoo.heads.grounding import WordGrounding
from zoo.heads.pointing import Pointing
from zoo.heads.qa import QuestionAnswering
from zoo.layout import TokenLayout
from zoo.preprocessing.settings import InputSettings
from zoo.report.places import colour_of
from zoo.shards.decode import Clip, decode_video
from zoo.shards.encode import encode_mp4
from zoo.shards.sampling import FrameSampling


@pytest.fixture
def video(tmp_path):
    frames = np.zeros((12, 64, 64, 3), np.uint8)
    frames[:, 10:30, 10:30] = (200, 20, 20)
    file = tmp_path / "clip.mp4"
    file.write_bytes(encode_mp4(frames, fps=8.0))
    return file


@pytest.mark.parametrize("kind", ["video", "image"])
def test_an_answer_and_a_picture_come_out(kind, module, request, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.ask.from_pretrained", lambda _: module)
    out = tmp_path / "answer.png"
    said = ask("What colour is the cube?", [request.getfixturevalue(kind)], checkpoint=str(tmp_path), out=out)
    assert said.endswith(f"frames: {out}")
    with Image.open(out) as picture:
        assert picture.width == (4 * 160 if kind == "video" else 200)


def test_images_become_the_frames_of_a_clip(module, image):
    clip = read_clip([image, image], module, as_clip=True)
    assert clip.frames.shape == (2, 40, 50, 3)
    assert clip.times_s.tolist() == [0, 1]


def test_what_was_pruned_is_shaded():
    frames = Frames(clip=(0,), time_s=(0.0,), size_px=((64, 64),), window=((1, 1),))
    layout = TokenLayout.of_frames(frames, (2, 2))
    keep = layout.frame_of_token == 0
    keep[0] = False
    clip = Clip(frames=np.full((1, 64, 64, 3), 255, np.uint8), times_s=np.zeros(1), indices=np.zeros(1, np.int64))
    picture = np.asarray(overlay(clip, layout.keep(keep), "answer"))
    assert picture[60, 60].max() < picture[60, 140].min()


def pointing_module(module_of, monkeypatch, head=None):
    module = module_of(heads=[QuestionAnswering(max_new_tokens=3), head or Says(max_new_tokens=2)])
    monkeypatch.setattr("zoo.ask.from_pretrained", lambda _: module)
    return module


def test_points_are_drawn_into_a_picture_and_a_video(module_of, video, tmp_path, monkeypatch):
    pointing_module(module_of, monkeypatch)
    out = tmp_path / "answer.png"
    said = ask("Point to the cube.", [video], checkpoint="any", out=out)
    assert said.endswith(f"left out: 1 past the end\nframes: {out}\nvideo: {tmp_path / 'answer.mp4'}")
    with Image.open(out) as picture:
        assert picture.getpixel((79, 39)) == colour_of(1)
        assert picture.getpixel((160 + 39, 79)) == colour_of(2)
        assert picture.getpixel((160 + 79, 39)) != colour_of(1)
    clip = decode_video((tmp_path / "answer.mp4").read_bytes(), FrameSampling(max_frames=9))
    assert clip.frames.shape == (4, 360, 360, 3)
    assert np.abs(clip.frames[0][89, 179].astype(int) - colour_of(1)).max() < 60


def test_json_gives_points_in_pixels_of_the_source(module_of, video, image, tmp_path, monkeypatch):
    pointing_module(module_of, monkeypatch)
    out = tmp_path / "answer.png"
    told = json.loads(ask("Point to the cube.", [video], checkpoint="any", out=out, json=True))
    assert told["points"] == [
        {"time_s": 0.0, "object": 1, "x_px": 32.0, "y_px": 16.0},
        {"time_s": 0.5, "object": 2, "x_px": 16.0, "y_px": 32.0},
    ]
    assert told["dropped"] == {"past_the_end": 1}
    assert (told["label"], told["count"], told["frames"]) == ("x", 2, str(out))
    told = json.loads(ask("Point to it.", [image], checkpoint="any", head="pointing", out=out, json=True))
    assert told["points"] == []
    assert told["dropped"] == {"unknown_image": 3}
    assert "video" not in told


class SaysOfImages(Pointing):
    def parse(self, text):
        return '<points coords="1 1 500 250;2 2 500 500;3 3 500 500">x</points>'


def test_several_images_are_looked_at_as_images(module_of, image, tmp_path, monkeypatch):
    Image.new("RGB", (20, 80), "blue").save(tmp_path / "two.png")
    pointing_module(module_of, monkeypatch, SaysOfImages(max_new_tokens=2))
    out = tmp_path / "answer.png"
    media = [image, tmp_path / "two.png"]
    told = json.loads(ask("Point to it.", media, checkpoint="any", head="pointing", out=out, json=True))
    assert told["points"] == [
        {"image": 1, "object": 1, "x_px": 25.0, "y_px": 10.0},
        {"image": 2, "object": 2, "x_px": 10.0, "y_px": 40.0},
    ]
    assert told["dropped"] == {"unknown_image": 1}
    assert "video" not in told
    with Image.open(out) as picture:
        assert picture.size == (200 + 40, 200)
        assert picture.getpixel((99, 39)) == colour_of(1)
        assert picture.getpixel((200 + 19, 79)) == colour_of(2)


@pytest.mark.parametrize("size", [(150, 1), (1, 150)])
def test_long_images_are_drawn(module_of, tmp_path, monkeypatch, size):
    pointing_module(module_of, monkeypatch, SaysOfImages(max_new_tokens=2))
    Image.new("RGB", size, "red").save(tmp_path / "long.png")
    out = tmp_path / "answer.png"
    ask("Point to it.", [tmp_path / "long.png"], checkpoint="any", head="pointing", out=out)
    with Image.open(out) as picture:
        assert picture.width == (640 if size[0] > size[1] else 160)


def test_what_is_constrained_can_be_read(module_of, video, tmp_path, monkeypatch):
    pointing_module(module_of, monkeypatch, Pointing(max_new_tokens=120))
    out = tmp_path / "answer.png"
    told = json.loads(ask("Where?", [video], checkpoint="any", head="pointing", constrained=True, out=out, json=True))
    assert told["dropped"] == {}
    assert told["count"] is not None


def test_a_constraint_holds_for_one_question(module_of, video):
    module = module_of(heads=[Pointing(max_new_tokens=120)])
    assert answer(module, "Where?", [video], constrained=True).said.count is not None
    assert not module.heads["pointing"].constrained


def test_heads_that_only_teach_are_not_asked(module_of, video):
    module = module_of(heads=[WordGrounding(), QuestionAnswering(max_new_tokens=3)])
    assert answer(module, "What is it?", [video]).question == "What is it?"
    with pytest.raises(ConfigError, match="--head grounding: this checkpoint has qa"):
        answer(module, "What is it?", [video], head="grounding")
    with pytest.raises(ConfigError, match="answers nothing; its heads only teach: grounding"):
        answer(module_of(heads=[WordGrounding()]), "What is it?", [video])


@pytest.mark.parametrize("question", ["", " \n"])
def test_an_empty_question_is_refused(module, image, question):
    with pytest.raises(ConfigError, match="no question; ask something in words"):
        answer(module, question, [image])


def test_more_images_than_are_looked_at_are_refused(module, module_of, image):
    with pytest.raises(DataError, match="5 images; this checkpoint looks at 4 at once"):
        read_clip([image] * 5, module, as_clip=True)
    with pytest.raises(DataError, match="21 images; this checkpoint looks at 20 at once"):
        read_clip([image] * 21, module)
    with pytest.raises(DataError, match="3 images; this checkpoint looks at 2 at once"):
        read_clip([image] * 3, module_of(inputs=InputSettings(eval_max_images=2)))
    with pytest.raises(DataError, match="no file; give a video, or images"):
        read_clip([], module)


def test_a_video_is_shown_as_in_evaluation(module_of, video):
    module = module_of(inputs=InputSettings(eval_max_frames=2))
    assert len(read_clip([video], module).frames) == 2


def test_heads_are_chosen_by_name_or_by_what_is_asked(module_of, video, tmp_path, monkeypatch):
    pointing_module(module_of, monkeypatch)
    out = tmp_path / "answer.png"
    assert not ask("What is it?", [video], checkpoint="any", out=out).startswith("<points")
    assert ask("What is it?", [video], checkpoint="any", head="pointing", out=out).startswith("<points")
    with pytest.raises(ConfigError, match="--head tracking: this checkpoint has qa, pointing"):
        ask("What is it?", [video], checkpoint="any", head="tracking", out=out)
    with pytest.raises(ConfigError, match="the head qa writes free text"):
        ask("What is it?", [video], checkpoint="any", constrained=True, out=out)


def test_a_missing_file_is_named(module, tmp_path):
    with pytest.raises(DataError, match="nothing.mp4 is not there; give a video, or images"):
        read_clip([tmp_path / "nothing.mp4"], module)


def test_a_video_among_images_is_refused(module, video, image):
    with pytest.raises(DataError, match="give one video, or images only"):
        read_clip([video, image], module)


def test_a_file_that_is_no_video_is_refused(module, tmp_path):
    file = tmp_path / "text.mp4"
    file.write_bytes(io.BytesIO(b"hello").getvalue())
    with pytest.raises(DataError, match="corrupt or truncated"):
        read_clip([file], module)


@pytest.mark.parametrize("name", ["answer.txt", "answer"])
def test_a_picture_of_another_kind_is_refused_before_anything_is_loaded(name, tmp_path):
    with pytest.raises(ConfigError, match="the picture's name ends in one of .png, .jpg"):
        ask("What is it?", [tmp_path / "clip.mp4"], checkpoint="nowhere", out=tmp_path / name)


def test_the_folder_of_the_picture_is_made(module, image, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.ask.from_pretrained", lambda _: module)
    out = tmp_path / "new" / "answer.png"
    ask("What is it?", [image], checkpoint=str(tmp_path), out=out)
    assert out.is_file()


@pytest.mark.parametrize(("file", "told"), [("cut.mp4", "corrupt or truncated video"), ("cut.png", "corrupt image")])
def test_a_broken_file_is_named(module, tmp_path, file, told):
    path = tmp_path / file
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=f"{file}: {told}"):
        read_clip([path], module)

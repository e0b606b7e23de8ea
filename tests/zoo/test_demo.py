"""What stands behind the page of `zoo demo`; the page itself is in test_demo_page.py."""

import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from says import Says
from trunk_fixtures import build_module

from zoo.ask import answer
from zoo.demo import BY_QUESTION, address, build_application, build_page, demo, listen, sentence, shown
from zoo.errors import ConfigError, DataError, MissingLibraryError
from zoo.heads.grounding import WordGrounding
from zoo.heads.qa import QuestionAnswering
from zoo.report.places import colour_of
from zoo.shards.decode import decode_video
from zoo.shards.encode import encode_mp4
from zoo.shards.sampling import FrameSampling


@pytest.fixture
def video(tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(encode_mp4(np.zeros((12, 64, 64, 3), np.uint8), fps=8.0))
    return file


@pytest.fixture(scope="module")
def asked():
    return build_module(heads=[QuestionAnswering(max_new_tokens=3), Says(max_new_tokens=2)])


@pytest.fixture(scope="module")
def gradio():
    return pytest.importorskip("gradio", reason="the extra `demo` is not installed")


@pytest.fixture(scope="module")
def page(gradio, asked, tmp_path_factory):
    return build_page(gradio, asked, name="here/tiny", folder=tmp_path_factory.mktemp("videos"))


@pytest.fixture
def respond(page):
    """What the page calls with the uploaded files, the question, the head and the switch."""
    (event,) = page.fns.values()
    return event.fn


def test_points_of_a_clip_are_drawn_listed_and_filmed(asked, video, tmp_path):
    result = shown(answer(asked, "Point to the cube.", [video]), tmp_path)
    assert result.text.endswith("</points>\nleft out: 1 past the end")
    assert [caption for _, caption in result.frames] == ["0.0 s", "0.5 s", "1.0 s", "1.4 s"]
    pictures = [picture for picture, _ in result.frames]
    assert [picture.size for picture in pictures] == [(360, 360)] * 4
    assert pictures[0].getpixel((179, 89)) == colour_of(1)
    assert pictures[1].getpixel((89, 179)) == colour_of(2)
    assert result.rows == [[0.0, 1, 32.0, 16.0], [0.5, 2, 16.0, 32.0]]
    assert [point["object"] for point in result.told["points"]] == [1, 2]
    assert len(decode_video(result.video.read_bytes(), FrameSampling(max_frames=9)).frames) == 4


def test_two_answers_have_two_videos(asked, video, tmp_path):
    answered = answer(asked, "Point to the cube.", [video])
    assert shown(answered, tmp_path).video != shown(answered, tmp_path).video


def test_an_answer_without_points_is_text_and_frames(asked, video, image, tmp_path):
    for file in (video, image):
        result = shown(answer(asked, "What is it?", [file]), tmp_path)
        assert (result.video, result.rows) == (None, [])
    assert [caption for _, caption in result.frames] == [""]
    several = shown(answer(asked, "What is it?", [image, image]), tmp_path)
    assert [caption for _, caption in several.frames] == ["Image 1", "Image 2"]


def test_a_mistake_is_told_without_the_folder_of_the_upload_and_as_no_html():
    media = [Path("/tmp/some/where/<b>.mp4")]
    assert sentence(DataError(f"{media[0]}: corrupt"), media) == "&lt;b&gt;.mp4: corrupt"


def test_the_page_answers(respond, video, tmp_path):
    text, frames, film, table, told = respond([(str(video), None)], "Point to the cube.", BY_QUESTION, False)
    assert text.startswith("<points")
    assert len(frames) == 4
    assert film.visible
    assert Path(film.value["path"]).exists()
    assert table.value["headers"] == ["time (s)", "object", "x (px)", "y (px)"]
    assert told["count"] == 2
    text, _, film, table, _ = respond([(str(video), None)], "Point to the cube.", "qa", False)
    assert not text.startswith("<points")
    assert not film.visible
    assert not table.visible


@pytest.mark.parametrize(
    ("files", "question", "constrained", "told"),
    [
        (["clip.mp4"], " ", False, "no question; ask something in words"),
        ([], "What is it?", False, "no file; give a video, or images"),
        (None, "What is it?", False, "no file; give a video, or images"),
        (["one.png"] * 21, "What is it?", False, "21 images; this checkpoint looks at 20 at once"),
        (["clip.mp4", "one.png"], "What is it?", False, "give one video, or images only"),
        (["cut.mp4"], "What is it?", False, "^cut.mp4: corrupt or truncated video"),
        (["clip.mp4"], "What is it?", True, "the head qa writes free text"),
    ],
)
def test_a_mistake_is_one_sentence_on_the_page(
    gradio, respond, video, image, tmp_path, files, question, constrained, told
):
    (tmp_path / "cut.mp4").write_bytes(b"hello")
    uploaded = None if files is None else [(str(tmp_path / file), None) for file in files]
    with pytest.raises(gradio.Error) as error:
        respond(uploaded, question, BY_QUESTION, constrained)
    assert re.search(told, error.value.message)
    assert "\n" not in error.value.message
    assert not error.value.print_exception


def test_questions_wait_for_one_another(page):
    (event,) = page.fns.values()
    assert event.concurrency_limit == 1
    assert not page.api_open


def test_nothing_is_reported_and_nothing_comes_from_another_host(gradio, page):
    client = pytest.importorskip("starlette.testclient").TestClient(build_application(gradio, page))
    assert not page.analytics_enabled
    with client:
        html = client.get("/")
        style = client.get("/theme.css")
    assert html.status_code == style.status_code == 200
    assert html.headers["content-security-policy"].startswith("default-src 'self'")
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?https?://(?!testserver)""", html.text)
    assert not re.findall(r"url\(\s*['\"]?http", style.text)


def test_a_checkpoint_that_only_teaches_gets_no_page(gradio, module_of, tmp_path):
    with pytest.raises(ConfigError, match="answers nothing; its heads only teach: grounding"):
        build_page(gradio, module_of(heads=[WordGrounding()]), name="tiny", folder=tmp_path)


def test_this_machine_alone_is_listened_to_by_default():
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert address(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigError, match=f"--port {port}: Address already in use; --port 0 takes any"):
            listen(host, port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("127.0.0.1", -1), ("192.0.2.7", 0)])
def test_an_address_that_cannot_be_is_refused(host, port):
    with pytest.raises(ConfigError, match=f"--host {host} --port {port}: "):
        listen(host, port)


def test_an_address_of_version_6_stands_in_brackets():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = listen("::1", 0)
    except ConfigError:
        pytest.skip("no IPv6 loopback here")
    with listener:
        assert address(listener).startswith("http://[::1]:")


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingLibraryError, match=r"gradio is not installed.*pip install 'molmo-zoo\[demo\]'"):
        demo()

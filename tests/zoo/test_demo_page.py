"""The page of `zoo demo` as a person meets it: in a browser, with files to upload and a button to press."""

import json
import queue
import shutil
import socket
import threading

import numpy as np
import pytest
from says import Says
from trunk_fixtures import build_module

from zoo.demo import address, demo
from zoo.heads.qa import QuestionAnswering
from zoo.report.places import colour_of
from zoo.shards.encode import encode_mp4

PATIENCE_S = 120  # starting a browser beside other jobs takes a while
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1100"),
)
OWN_SCHEMES = ("data:", "blob:", "chrome:", "chrome-untrusted:", "about:")


@pytest.fixture(scope="module")
def programs():
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        pytest.skip("chromium or chromedriver is not installed")
    return found


@pytest.fixture(scope="module")
def browser(programs, tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location, driver = programs
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield browser
    browser.quit()


@pytest.fixture
def called(monkeypatch):
    """Hosts that this process connects to or looks up."""
    hosts = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def noted_connect(self, where):
        hosts.append(where[0])
        return connect(self, where)

    def noted_look_up(host, *arguments, **options):
        hosts.append(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", noted_connect)
    monkeypatch.setattr(socket, "getaddrinfo", noted_look_up)
    return hosts


@pytest.fixture
def url(browser, called, monkeypatch):
    """Where `zoo demo` shows its page, with a random model whose head `pointing` says what is known."""
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    uvicorn = pytest.importorskip("uvicorn")
    started = queue.Queue()
    run = uvicorn.Server.run

    def noted_run(server, sockets):
        started.put((server, address(sockets[0])))
        run(server, sockets)

    module = build_module(heads=[QuestionAnswering(max_new_tokens=3), Says(max_new_tokens=2)])
    monkeypatch.setattr("zoo.ask.from_pretrained", lambda _: module)
    monkeypatch.setattr(uvicorn.Server, "run", noted_run)
    thread = threading.Thread(target=demo, kwargs={"checkpoint": "tiny", "port": 0}, daemon=True)
    thread.start()
    server, place = started.get(timeout=PATIENCE_S)
    yield place
    server.should_exit = True
    thread.join(timeout=PATIENCE_S)
    assert not thread.is_alive()


def is_here(host):
    return host in (None, "localhost", "::1") or host.startswith("127.")


def requested(browser):
    """Addresses that the browser asked for since it was asked last."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [request["request"]["url"] for request in sent]


@pytest.fixture
def until(browser):
    """Wait for what a function of the browser gives."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE_S).until


@pytest.fixture
def find(until):
    """The first element of a selector, once it is there."""
    return lambda selector: until(lambda browser: browser.find_elements("css selector", selector))[0]


WIDTHS = "return [...document.querySelectorAll('#frames img')].map(image => image.naturalWidth)"
COLOUR = """
    const image = document.querySelector('#frames img'), canvas = document.createElement('canvas');
    canvas.width = canvas.height = 360;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return [...canvas.getContext('2d').getImageData(179, 89, 1, 1).data].slice(0, 3)"""


def test_a_clip_is_uploaded_asked_about_and_shown_with_points(browser, url, until, find, called, tmp_path):
    clip, broken = tmp_path / "clip.mp4", tmp_path / "broken.png"
    clip.write_bytes(encode_mp4(np.full((12, 64, 64, 3), 200, np.uint8), fps=8.0))
    broken.write_bytes(b"no picture")

    browser.get(url)
    find("#media input[type=file]").send_keys(str(clip))
    find("#media video")
    find("#question textarea").send_keys("Point to the cube.")
    find("#ask").click()
    until(lambda browser: browser.execute_script(WIDTHS) == [360] * 4)
    assert tuple(browser.execute_script(COLOUR)) == colour_of(1)
    assert find("#answer textarea").get_property("value").startswith('<points coords="0.0 1 500 250')
    find("#video video[src]")
    until(lambda browser: "0.5\n2\n16\n32" in find("#points").text)

    browser.refresh()
    find("#media input[type=file]").send_keys(str(broken))
    find("#media img")
    find("#question textarea").send_keys("What is it?")
    find("#ask").click()
    until(lambda _: "broken.png: corrupt image of 10 bytes" in find(".toast-body").text)  # it fades in
    assert "/" not in find(".toast-body").text

    asked = requested(browser)
    assert any(address.startswith(url) for address in asked)
    assert [address for address in asked if not address.startswith((url, *OWN_SCHEMES))] == []
    assert [host for host in called if not is_here(host)] == []

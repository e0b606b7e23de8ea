import json
import signal
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from zoo.cli.main import main

PROGRAM = [sys.executable, "-c", "import sys; from zoo.cli import main; sys.exit(main())"]


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_a_policy_is_served_until_it_is_interrupted(free_port):
    arguments = ["serve", "--policy", "scripted_push", "--port", str(free_port), "--max_batch_size", "3"]
    # A shell lets its background jobs and their children ignore SIGINT; a child of a process that handles it does not.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ours)
    try:
        address = f"http://127.0.0.1:{free_port}"
        for _ in range(600):
            try:
                told = json.loads(urlopen(f"{address}/config", timeout=5).read())
                break
            except URLError:
                assert running.poll() is None, running.stderr.read()
                time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert told["config"]["max_batch_size"] == 3
    assert running.returncode == 130
    assert f"scripted_push is served at ws://127.0.0.1:{free_port}; Ctrl-C ends it" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--policy", "scripted_psh"], "Near: scripted_push"),
        (["--policy", "scripted_push", "--port", "70000"], "port is 70000"),
        (["--policy", "scripted_push", "--execute_steps", "0"], "execute_steps is 0"),
        (["--policy", "scripted_push", "--host", "203.0.113.1"], "cannot listen at 203.0.113.1"),
        ([], "policy"),
    ],
)
def test_mistakes(arguments, match, capsys):
    assert main(["serve", *arguments]) == 2
    assert match in capsys.readouterr().err

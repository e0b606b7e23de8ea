"""Our tasks in the harness vla-eval, and its own servers and benchmarks with our client and server, over sockets."""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import yaml
from corner_episode import corner_benchmark
from told_policy import Told

from zoo.envs.serving.client import RemoteError, RemotePolicy
from zoo.envs.serving.server import PolicyServer
from zoo.envs.serving.vla_eval_benchmark import ZooBenchmark
from zoo.errors import ConfigError, ZooError

OURS = "zoo.envs.serving.vla_eval_benchmark:ZooBenchmark"
STEPS = 3

pytest.importorskip("vla_eval", reason="needs the package vla-eval: pip install 'molmo-zoo[vla-eval]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return corner_benchmark(tmp_path_factory.mktemp("benchmark"))


@pytest.fixture(scope="module")
def blind(folder):
    benchmark = ZooBenchmark(benchmark=str(folder), cameras=[], horizon_steps=STEPS)
    yield benchmark
    benchmark.cleanup()


def config(server, benchmark, **entry):
    return {"server": {"url": server.address, "timeout": 120}, "benchmarks": [{"benchmark": benchmark, **entry}]}


def test_its_runner_drives_our_tasks_with_our_server(folder, tmp_path):
    """As typed: vla-eval run -c eval.yaml --no-docker --render cpu."""
    policy = Told(chunk=2)
    params = {"benchmark": str(folder), "cameras": [], "horizon_steps": STEPS}
    with PolicyServer(policy, name="told", port=0) as server:
        file = tmp_path / "eval.yaml"
        file.write_text(yaml.safe_dump(config(server, OURS, params=params) | {"output_dir": str(tmp_path / "out")}))
        program = [sys.executable, "-m", "vla_eval.cli.main"]
        ran = subprocess.run(
            [*program, "run", "-c", str(file), "--no-docker", "--render", "cpu"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (aggregate,) = (tmp_path / "out").glob("*_aggregate.json")
    told = json.loads(aggregate.read_text())
    assert told["num_episodes_total"] == 2
    assert told["metric_keys"] == {"success": "mean", "success_oracle": "mean", "policy_steps": "mean"}
    assert (told["mean_success"], told["mean_success_oracle"], told["mean_policy_steps"]) == (0, 0, STEPS)
    assert [task["task"] for task in told["tasks"]] == ["pick_0000_pick it up", "pick_0001_pick it up"]
    (first,), (second,) = (task["episodes"] for task in told["tasks"])
    assert "failure_reason" not in first
    assert first["metrics"] == second["metrics"] == {"success": False, "success_oracle": False, "policy_steps": STEPS}
    assert told["server_info"]["model_server"] == "told"
    assert [len(batch) for batch in policy.batches] == [1] * 4  # three steps are two chunks of two
    assert policy.tasks[0]["instruction"] == "pick it up"
    assert policy.tasks[0]["task"] == "pick"


def fail_first(call):
    if call == 1:
        raise ValueError("no such camera")


def test_its_runner_with_its_own_kind_of_benchmark():
    from vla_eval.orchestrator import Orchestrator

    policy = Told(chunk=1, before=fail_first)
    with PolicyServer(policy, name="told", port=0) as server:
        (told,) = asyncio.run(Orchestrator(config(server, "counting_benchmark:Counting"), no_save=True).run())
    first, second = (task["episodes"][0] for task in told["tasks"])
    assert first["failure_reason"] == "model_act"
    assert "no such camera" in first["failure_detail"]
    assert second["metrics"] == {"success": True}
    assert second["steps"] == 4
    assert policy.tasks[0]["name"] == "count again"


def test_its_server_with_our_client():
    from anyio.from_thread import start_blocking_portal
    from vla_eval.model_servers.predict import PredictModelServer
    from vla_eval.model_servers.serve import serve_async

    class Repeats(PredictModelServer):
        def predict(self, obs, ctx):
            assert obs["images"]["exo"].shape == (4, 6, 3)
            if obs["task_description"] == "fail":
                raise KeyError("no such skill")
            return {"actions": np.asarray(obs["state"], np.float32)}

    with start_blocking_portal() as portal:
        running, port = portal.start_task(partial(serve_async, Repeats(), "127.0.0.1", 0))
        client = RemotePolicy(f"ws://127.0.0.1:{port}", timeout_s=30)
        client.reset({0: {"instruction": "go"}, 1: {"instruction": "go"}})
        state = np.arange(6, dtype=np.float32).reshape(2, 3)
        observation = {"state": state, "exo": np.zeros((2, 4, 6, 3), np.uint8)}
        np.testing.assert_array_equal(client.act(observation, [0, 1]), state[:, None])
        client.reset({1: {"instruction": "fail"}})
        with pytest.raises(RemoteError, match="no such skill"):
            client.act(observation, [0, 1])
        client.close()
        running.cancel()


def test_an_episode_by_hand(blind):
    tasks = blind.get_tasks()
    assert len({task["name"] for task in tasks}) == len(tasks) == 2
    assert {task["suite"] for task in tasks} == {"pick"}
    observation = blind.make_obs(blind.reset(tasks[0]), tasks[0])
    assert observation["images"] == {}
    assert observation["task_description"] == "pick it up"
    assert observation["state"].shape == (8,)
    assert blind.get_metadata()["max_steps"] == STEPS
    hold = blind.get_hold_action(None)
    assert hold["actions"].shape == (8,)
    result = blind.step(hold)
    assert not blind.check_done(result)
    result = blind.step({"actions": np.tile(hold["actions"], (5, 1))})  # two of them fit into the episode
    assert blind.check_done(result)
    assert blind.get_step_result(result) == {"success": False, "success_oracle": False, "policy_steps": STEPS}


def test_a_policy_that_is_done_ends_the_episode(blind):
    task = blind.get_tasks()[1]
    blind.reset(task)
    result = blind.step({"actions": np.zeros((0, 8))})
    assert blind.check_done(result)
    assert blind.get_step_result(result)["policy_steps"] == 0


@pytest.mark.parametrize(
    ("action", "match"),
    [
        ({"actions": np.full(8, np.nan)}, "not finite"),
        ({"actions": np.zeros(3)}, r"shape \(3,\), expected \(8,\)"),
        ({"action": np.zeros(8)}, "an answer has action"),
    ],
)
def test_actions_that_cannot_be_executed(blind, action, match):
    blind.reset(blind.get_tasks()[0])
    with pytest.raises(ZooError, match=match):
        blind.step(action)


def test_specifications(blind):
    action = blind.get_action_spec()
    assert {name: (spec.dims, spec.format) for name, spec in action.items()} == {
        "arm": (7, "joint_pos_abs"),
        "gripper": (1, "gripper_open_0_closed_255"),
    }
    assert action["gripper"].range == (0, 255)
    observed = blind.get_observation_spec()
    assert observed["state"].dims == 8
    assert set(observed) == {"language", "state"}


@pytest.mark.render
def test_pictures_have_their_names_on_the_wire(folder):
    benchmark = ZooBenchmark(
        benchmark=str(folder), cameras={"exo_camera_1": "exo"}, image_size=[32, 24], send_state=False
    )
    (task, _) = benchmark.get_tasks()
    observation = benchmark.make_obs(benchmark.reset(task), task)
    assert observation["images"]["exo_camera_1"].shape == (24, 32, 3)
    assert "state" not in observation
    assert "exo_camera_1" in benchmark.get_observation_spec()
    np.testing.assert_array_equal(benchmark.render(), observation["images"]["exo_camera_1"])
    benchmark.cleanup()
    assert benchmark.render() is None


def test_rendering_on_the_processor(monkeypatch):
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "LIBGL_ALWAYS_SOFTWARE"):
        monkeypatch.setenv(name, "before")
    assert ZooBenchmark.configure_render("gpu") == {}
    assert os.environ["MUJOCO_GL"] == "before"
    chosen = ZooBenchmark.configure_render("cpu")
    assert chosen["MUJOCO_GL"] in ("egl", "osmesa")
    assert {name: os.environ[name] for name in chosen} == chosen


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({}, "want one of benchmark and sampled"),
        ({"benchmark": "mini", "sampled": "pick"}, "want one of benchmark and sampled"),
        ({"sampled": "pick", "horizon_steps": 0}, "horizon_steps is 0"),
        ({"sampled": "pick", "image_size": [64]}, r"image_size is \[64\]"),
    ],
)
def test_mistakes(params, match):
    with pytest.raises(ConfigError, match=match):
        ZooBenchmark(**params)

from dataclasses import replace

import numpy as np
import pytest
from chore_runs import folded_episode, run_chore
from two_rooms import DEPTH_M, two_rooms
from wheeled import ARM_OUT, wheeled_env

from zoo.envs.episodes.benchmark import Benchmark, find_benchmark
from zoo.envs.evaluation.drivers import ExpertDriver
from zoo.envs.evaluation.rollout import RolloutSettings, run_episode
from zoo.envs.experts.chores import find
from zoo.envs.experts.chores.find import FindExpert
from zoo.envs.scenes.specification import Leaf
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction

THINGS = {
    "near": ("chair_0", (DEPTH_M + 2.8, 0.8, 0.0)),
    "far": ("sofa_0", (DEPTH_M + 3.2, 2.4, 0.0)),
    "table": ("dining_table_0", (1.9, 2.7, 0.0)),
}
BASE = (0.7, 0.7, 2.0)


def wanted(base=BASE, names=("near", "far"), **more):
    targets = {"thing.n.01": list(names)}
    return folded_episode("object_nav_type", base, broad_synset_to_object_ids=targets, size=(192, 112), **more)


@pytest.mark.render
@pytest.mark.parametrize("robot", ["stretch", "ring_body"])
def test_it_finds_the_nearest_through_a_doorway(monkeypatch, robot):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted(robot=robot))
    run = run_chore(env, FindExpert())
    assert env.judgement.success
    assert run.strict
    assert run.actions[-1] == SpocAction.DONE
    assert SpocAction.DONE not in run.actions[:-1]
    assert set(run.actions) <= set(NAVIGATION_ACTIONS)
    assert env.collisions == 0
    assert len(run.actions) < 45
    assert not any(run.recoveries)
    env.close()


@pytest.mark.render
@pytest.mark.parametrize(("margin", "low", "high"), [(find.MARGIN_M, 1.0, 1.65), (1.9, 1.5, 2.0)])
def test_done_is_said_well_inside_of_the_distance_where_there_is_a_place(monkeypatch, margin, low, high):
    """With a margin that leaves no place, anywhere within 2 m will do."""
    monkeypatch.setattr(find, "MARGIN_M", margin)
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted(names=("far",)))
    run = run_chore(env, FindExpert())
    assert run.strict
    assert low < env.task.distance_m() <= high
    env.close()


@pytest.mark.render
def test_the_same_start_gives_the_same_moves(monkeypatch):
    runs = []
    for _ in range(2):
        env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted())
        runs.append(run_chore(env, FindExpert()).actions)
        env.close()
    assert runs[0] == runs[1]


@pytest.mark.render
def test_its_label_leads_on_wherever_somebody_else_drove(monkeypatch):
    """Every other step is random; what is proposed brings it there all the same, and changes nothing by itself."""
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted())
    expert, rng = FindExpert(), np.random.default_rng(0)
    expert.reset(env, rng)
    for number in range(200):
        before = env.simulation.sim_state()
        proposed = expert.propose()
        assert expert.propose() == proposed
        np.testing.assert_array_equal(env.simulation.sim_state(), before)
        action = SpocAction(int(rng.integers(4))) if number % 2 and proposed != SpocAction.DONE else proposed
        _, _, is_over, _, _ = env.step(np.array([action], np.float32))
        if is_over:
            break
    assert env.judgement.success
    env.close()


@pytest.mark.render
def test_an_arm_that_is_out_is_folded_first(monkeypatch):
    episode = wanted()
    out = replace(episode, robot=replace(episode.robot, init_qpos={"arm": (0.6, 0.1, 0.1, 0.1, 0.1, ARM_OUT[-1])}))
    env = wheeled_env(monkeypatch, two_rooms(THINGS), out)
    run = run_chore(env, FindExpert())
    assert run.actions[0] == SpocAction.MOVE_ARM_IN
    drives = [number for number, action in enumerate(run.actions) if action.effect.forward_m]
    folds = [number for number, action in enumerate(run.actions) if action.effect.wrist_deg or action.effect.extend_m]
    assert max(folds) < min(drives)
    assert env.judgement.success
    env.close()


def test_what_cannot_be_reached_is_given_up_at_once(monkeypatch):
    place = two_rooms(THINGS, leaf=Leaf(hinge="start", swing="left", friction_loss=10.0))
    env = wheeled_env(monkeypatch, place, wanted())
    run = run_chore(env, FindExpert())
    assert run.actions == [SpocAction.DONE]
    assert not env.judgement.success
    env.close()


@pytest.mark.render
def test_it_maps_the_floor_again_only_where_a_thing_has_moved(monkeypatch):
    env, expert = wheeled_env(monkeypatch, two_rooms(THINGS), wanted()), FindExpert()
    floors = []
    for base, shift in ((BASE, 0.0), ((1.2, 0.7, 0.5), 0.0), (BASE, 0.4)):
        poses = {name: env.simulation.world.pose7(name).tolist() for name in env.simulation.free_joints()}
        if shift:
            poses["near"][0] += shift
        episode = wanted(base)
        changes = replace(episode.scene_modifications, object_poses=poses)
        env.reset(options={"episode": replace(episode, scene_modifications=changes)})
        expert.reset(env, np.random.default_rng(0))
        floors.append(expert.pilot.floor)
    assert floors[0] is floors[1]
    assert floors[1] is not floors[2]
    assert (floors[1].occupancy.blocked != floors[2].occupancy.blocked).any()
    env.close()


@pytest.mark.render
@pytest.mark.parametrize("index", [26, 97])
def test_a_detour_that_led_back_is_not_taken_again(index):
    """Bodies with a pivot at their side, which turned to and fro until the end of the episode."""
    episode = Benchmark.load(find_benchmark("nav_random_bodies")).episodes[index]
    env = EpisodeEnv(
        robot="ring_body",
        robot_arguments=episode.robot.arguments,
        image_size=episode.img_resolution,
        horizon_steps=300,
    )
    assert run_episode(env, episode, index, ExpertDriver(), RolloutSettings()).success_at_end
    env.close()

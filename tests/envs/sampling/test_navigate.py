import numpy as np

from zoo import registry
from zoo.envs.navigation.paths import Router
from zoo.envs.sampling.sampler import RejectedError


def test_the_start_is_far_from_all_candidates_and_leads_to_the_target(drawn):
    found = drawn("navigate_to")
    task, world = found.episode.task, found.simulation.world
    assert task.pickup_obj_name in task.pickup_obj_candidates
    assert min(found.distance(name) for name in task.pickup_obj_candidates) >= 4.0 - 1e-6
    categories = {world.objects[name].category for name in task.pickup_obj_candidates}
    assert len(categories) == 1
    plan = found.sampler.stage(found.place).occupancy(px_per_m=100)
    route = Router(occupancy=plan, radii_m=(0.4,)).shortest(found.base_xy, world.position(task.pickup_obj_name)[:2])
    assert route.length_m <= 20.0
    assert np.linalg.norm(route.points_m[-1] - world.position(task.pickup_obj_name)[:2]) < 1.5


def test_the_prompt_counts_candidates(drawn):
    found = drawn("navigate_to")
    count, text = len(found.episode.task.pickup_obj_candidates), found.episode.language.task_description
    category = found.simulation.world.objects[found.episode.task.pickup_obj_name].category
    expected = f"navigate to the {category}" if count == 1 else f"navigate to any {category} ({count} available)"
    assert text == expected
    assert "head_camera" in {camera.name for camera in found.episode.cameras}


def test_candidates_are_all_that_can_be_seen(drawn):
    found = drawn("navigate_to")
    facts = found.sampler.stage(found.place).facts
    for category, names in found.sampler.candidates.items():
        everything = [item.name for item in found.place.scene.objects if facts[item.name].category == category]
        assert set(names) <= set(everything)
        for name in set(everything) - set(names):
            assert facts[found.place.scene.object(name).support].surfaces


def test_a_small_house_has_no_start_that_is_far_enough(small_house):
    sampler = registry.build("task_sampler", "navigate_to")
    corners = np.array(small_house.scene.rooms[0].polygon_m)
    assert np.linalg.norm(np.ptp(corners, axis=0)) < 8  # or the test is about another house
    reasons = set()
    for seed in range(5):
        try:
            sampler.sample(small_house, np.random.default_rng(seed))
        except RejectedError as rejection:
            reasons.add(rejection.reason)
    assert "target too near" in reasons

"""The table of numbers that describe a body."""

import numpy as np

from zoo.embodiment import CAMERAS_OF_BODY, EMBODIMENT, NUM_EMBODIMENT
from zoo.envs.robots.ring_body import draw_embodiment


def test_drawn_bodies_lie_in_its_ranges():
    generator = np.random.default_rng(0)
    bodies = np.stack([draw_embodiment(generator).vector() for _ in range(500)])
    lowest, highest = np.array([(its.lowest, its.highest) for its in EMBODIMENT]).T
    assert bodies.shape == (500, NUM_EMBODIMENT) == (500, 19)
    assert (bodies >= lowest - 1e-6).all()
    assert (bodies <= highest + 1e-6).all()


def test_every_number_has_a_name_of_its_own_and_both_cameras_the_same_ones():
    assert len({(its.camera, its.name) for its in EMBODIMENT}) == NUM_EMBODIMENT
    first, second = ([its.name for its in EMBODIMENT if its.camera == camera] for camera in range(len(CAMERAS_OF_BODY)))
    assert first == second == ["fovy_deg", "pitch_deg", "yaw_deg", "x_m", "y_m", "z_m"]

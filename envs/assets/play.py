"""Balls, blocks and weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, category, paint, small
from zoo.envs.assets.shapes import ball, bar, box, cylinder


@small(synset="block.n.01")
def toy_block() -> Iterator[Design]:
    """Plain cuboids."""
    for words, mass, size, colour in (
        ("cube", 0.050, (0.045, 0.045, 0.045), "red"),
        ("flat block", 0.060, (0.080, 0.040, 0.025), "blue"),
        ("long block", 0.090, (0.120, 0.040, 0.040), "green"),
        ("large cube", 0.120, (0.060, 0.060, 0.060), "yellow"),
        ("pillar", 0.070, (0.035, 0.035, 0.090), "purple"),
        ("board", 0.040, (0.100, 0.050, 0.012), "orange"),
    ):
        yield Design(f"{colour} toy {words}", mass, (box(size),), paint(body=colour))


@small(synset="tennis_ball.n.01")
def tennis_ball() -> Iterator[Design]:
    """Fits into a gripper."""
    for words, mass, radius, colour in (
        ("tennis ball", 0.058, 0.0330, "yellow"),
        ("training ball", 0.050, 0.0345, "orange"),
        ("small rubber ball", 0.045, 0.0280, "teal"),
        ("juggling ball", 0.110, 0.0320, "red"),
    ):
        seam = cylinder(1.003 * radius, 0.003, (0.0, 0.0, radius - 0.0015), "seam").visual()
        yield Design(words, mass, (ball(radius), seam), paint(body=colour, seam="white"), rolls=True)


@category(synset="basketball.n.02", mounting="floor", is_pickupable=True)
def basketball() -> Iterator[Design]:
    """Too large for a gripper; one pushes it."""
    for words, mass, radius, colour in (
        ("basketball", 0.62, 0.121, "orange"),
        ("junior basketball", 0.50, 0.112, "terracotta"),
        ("small basketball", 0.30, 0.090, "orange"),
        ("two-colour basketball", 0.60, 0.119, "navy"),
    ):
        seams = cylinder(1.002 * radius, 0.004, (0.0, 0.0, radius - 0.002), "seam")
        turned = seams.turned((1.0, 0.0, 0.0), math.pi / 2)
        yield Design(
            words, mass, (ball(radius), seams.visual(), turned.visual()), paint(body=colour, seam="black"), rolls=True
        )


@small(synset="dumbbell.n.01")
def dumbbell() -> Iterator[Design]:
    """Angular heads, so that it does not roll; held by its bar."""
    for words, mass, length, radius, colour in (
        ("dumbbell", 2.0, 0.19, 0.038, "black"),
        ("light dumbbell", 1.0, 0.16, 0.030, "pink"),
        ("heavy dumbbell", 3.0, 0.21, 0.045, "grey"),
        ("long dumbbell", 2.5, 0.26, 0.040, "red"),
    ):
        head = 0.25 * length
        ends = [box((head, 2 * radius, 2 * radius), (s * (length - head) / 2, 0.0, 0.0)) for s in (-1, 1)]
        inner = length / 2 - head
        grip = bar((-inner, 0.0, radius), (inner, 0.0, radius), 0.015, "handle").named("handle")
        yield Design(f"{colour} {words}", mass, (*ends, grip), paint(body=colour, handle="steel"))


CATEGORIES: tuple[Category, ...] = (
    toy_block,
    tennis_ball,
    basketball,
    dumbbell,
)

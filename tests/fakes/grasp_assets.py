"""Small assets to grasp, each a few shapes of known size; module level, because spawned workers unpickle them."""

import math

import numpy as np

from zoo.envs.assets.library import Articulation, Asset, AssetFacts, AssetLibrary
from zoo.envs.scenes.physics import set_contact
from zoo.envs.simulator import mujoco
from zoo.errors import UnknownNameError

BOX, SPHERE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_SPHERE
IDENTITY = (1.0, 0.0, 0.0, 0.0)


class Rigid(Asset):
    """Geoms of one free body.

    Args:
        uid: Of the asset.
        size_m: Of its bounding box.
        shapes: Keywords of each geom.
        mass_kg: Of the whole.
        is_slippery: Nothing holds it by friction.
        is_pickupable: One hand can lift it.
    """

    def __init__(self, uid, size_m, shapes, *, mass_kg=0.2, is_slippery=False, is_pickupable=True):
        self.facts = AssetFacts(
            uid=uid,
            category="thing",
            synset="object.n.01",
            description=uid,
            size_m=size_m,
            mass_kg=mass_kg,
            is_pickupable=is_pickupable,
        )
        self.shapes, self.is_slippery = shapes, is_slippery

    def add_to(self, parent, name, *, position_m, quat_wxyz, is_free, scale=1.0, colours=None):
        body = parent.add_body(name=name, pos=position_m, quat=quat_wxyz)
        if is_free:
            body.add_freejoint(name=f"{name}/free")
        for shape in self.shapes:
            geom = body.add_geom(**shape)
            set_contact(geom, "dynamic")
            geom.mass = self.facts.mass_kg / len(self.shapes)
            if self.is_slippery:
                geom.friction, geom.priority = (0.001, 0.0, 0.0), 2
        return body


class Drawer(Asset):
    """A front with a bar as handle that slides along x, away from a block.

    Args:
        uid: Of the asset.
        is_stuck: It stops after 5 mm, whatever its facts say.
        travel_m: How far it slides; into the block if negative.
    """

    def __init__(self, uid="drawer", *, is_stuck=False, travel_m=0.3):
        self.is_stuck, self.range = is_stuck, (min(0.0, travel_m), max(0.0, travel_m))
        part = Articulation(joint="slide", kind="slide", range=self.range, part="drawer", handle="bar")
        self.facts = AssetFacts(
            uid=uid,
            category="drawer",
            synset="drawer.n.01",
            description=uid,
            size_m=(0.5, 0.5, 0.4),
            mass_kg=20.0,
            is_static=True,
            articulations=(part,),
        )

    def add_to(self, parent, name, *, position_m, quat_wxyz, is_free, scale=1.0, colours=None):
        body = parent.add_body(name=name, pos=position_m, quat=quat_wxyz)
        set_contact(body.add_geom(type=BOX, size=[0.2, 0.25, 0.2], pos=[0, 0, 0.2]), "structure")
        front = body.add_body(name=f"{name}/front", pos=[0.215, 0, 0.2])
        front.add_joint(
            name=f"{name}/slide",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[1, 0, 0],
            range=(0.0, 0.005) if self.is_stuck else self.range,
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=5.0,
            frictionloss=1.0,
        )
        for shape in (
            {"name": f"{name}/plate", "size": [0.01, 0.2, 0.12]},
            {"name": f"{name}/bar", "size": [0.008, 0.06, 0.008], "pos": [0.058, 0, 0]},
            {"name": f"{name}/post0", "size": [0.02, 0.005, 0.005], "pos": [0.03, 0.05, 0]},
            {"name": f"{name}/post1", "size": [0.02, 0.005, 0.005], "pos": [0.03, -0.05, 0]},
        ):
            set_contact(front.add_geom(type=BOX, **shape), "articulated")
        return body


class Library(AssetLibrary):
    """Offers the assets that it is given."""

    def __init__(self, *assets):
        self.assets = {asset.facts.uid: asset for asset in assets}

    def facts(self):
        return {uid: asset.facts for uid, asset in self.assets.items()}

    def asset(self, uid):
        if uid not in self.assets:
            raise UnknownNameError(f"no asset {uid!r}; there are {', '.join(self.assets)}")
        return self.assets[uid]

    def digest_of(self, uid):
        return repr(self.assets[uid].facts)


def box(uid="box", size_m=(0.03, 0.1, 0.1), **options):
    """Standing on the origin."""
    half = [edge / 2 for edge in size_m]
    return Rigid(uid, size_m, [{"type": BOX, "size": half, "pos": [0, 0, half[2]]}], **options)


def sphere(radius_m=0.03, **options):
    """Standing on the origin."""
    size = (2 * radius_m,) * 3
    return Rigid("sphere", size, [{"type": SPHERE, "size": [radius_m, 0, 0], "pos": [0, 0, radius_m]}], **options)


def mug(radius_m=0.045, height_m=0.1, wall_m=0.005, **options):
    """A hollow cylinder of twelve staves on a disc, and a handle of three bars at +x; too wide to hold across."""
    middle, sides = radius_m - wall_m / 2, 12
    shapes = [{"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "size": [radius_m, wall_m / 2, 0], "pos": [0, 0, wall_m / 2]}]
    shapes += [
        {
            "type": BOX,
            "size": [wall_m / 2, radius_m * math.tan(math.pi / sides), (height_m - wall_m) / 2],
            "pos": [middle * math.cos(turn), middle * math.sin(turn), (height_m + wall_m) / 2],
            "quat": [math.cos(turn / 2), 0, 0, math.sin(turn / 2)],
        }
        for turn in 2 * math.pi * np.arange(sides) / sides
    ]
    for half, place in (
        ([0.0175, 0.006, 0.005], [radius_m + 0.0175, 0, 0.8 * height_m]),
        ([0.0175, 0.006, 0.005], [radius_m + 0.0175, 0, 0.2 * height_m]),
        ([0.005, 0.006, 0.3 * height_m + 0.005], [radius_m + 0.035, 0, 0.5 * height_m]),
    ):
        shapes.append({"type": BOX, "size": half, "pos": place})
    return Rigid("mug", (0.13, 2 * radius_m, height_m), shapes, **options)

"""Antipodal candidates: places of the open hand at which both fingers would meet opposite sides of an object.

Source: sheet of MolmoSpaces section 14, steps 2 to 5, after 6-DoF GraspNet and ACRONYM.
Differs: rays that lie beyond the tips of our shorter fingers find nothing; the hand is boxes, tested for separating
planes instead of by FCL; a candidate is moved along its opening until both fingers touch at once, so that closing does
not push the object; contacts must oppose one another, or the edge of a box too wide would be pinched; candidates are
drawn at random and no more than asked, where upstream tries all. The weight by depth is our reading of "bias 2.8"; the
weight by quality is ours.

Poses are those of the tool frame: +z is the approach, fingers open along y.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from zoo.envs.grasps.surface import ConvexPiece, boxes_are_clear, surface_points
from zoo.envs.robots import gripper

STAND_OFFS_M = np.arange(0.101, 0.174, 0.01)  # of the flange from the surface
ROLLS = np.deg2rad(np.arange(0, 180, 15))  # about the approach axis; the other half are the twins
RAYS_PER_FINGER = 20
RAY_SPAN_M = (-0.032, 0.037)  # along the approach, from the tool frame
MIN_QUALITY = 0.005
MAX_NORMAL_PRODUCT = -0.5  # of the normals of both contacts; two faces of one edge, which fingers pinch, have 0
PARALLEL = 1e-9  # cosine below which a ray and a plane do not meet
TOUCH_M = 0.001  # rays that meet the object within this of the first one count as its contact
NUM_CLUSTERS = 40
PREFERRED_DEPTH, TIP_DEPTH = 0.75, 1.0
DEPTH_BIAS = 2.8
QUALITY_POWER = 4  # a pad that meets a face askew turns the object while it closes
THIN_M = 0.03  # smallest extent of what is held with the edge of the fingertips
CHUNK_PLANES = 2**17  # candidates that are tested at once, times planes of the object

HAND_CENTRES_M = np.array(
    [
        [0, 0, gripper.MOUNT_LENGTH_M / 2],
        [0, 0, (gripper.MOUNT_LENGTH_M + gripper.PALM_LENGTH_M) / 2],
        [0, gripper.HALF_OPENING_M, (gripper.PALM_LENGTH_M + gripper.TIP_OFFSET_M) / 2],
        [0, -gripper.HALF_OPENING_M, (gripper.PALM_LENGTH_M + gripper.TIP_OFFSET_M) / 2],
    ]
) - [0, 0, gripper.TCP_OFFSET_M]
_PALM_HALF_LENGTH_M = (gripper.PALM_LENGTH_M - gripper.MOUNT_LENGTH_M) / 2
_FINGER = (gripper.PAD_WIDTH_M / 2, gripper.PAD_THICKNESS_M / 2, (gripper.TIP_OFFSET_M - gripper.PALM_LENGTH_M) / 2)
HAND_HALF_SIZES_M = np.array(
    [
        [gripper.MOUNT_RADIUS_M, gripper.MOUNT_RADIUS_M, gripper.MOUNT_LENGTH_M / 2],
        [gripper.PALM_HALF_THICKNESS_M, gripper.PALM_HALF_WIDTH_M, _PALM_HALF_LENGTH_M],
        _FINGER,
        _FINGER,
    ]
)
"""Boxes of the open hand, in the tool frame: mount, palm and two fingers."""

GAP_CENTRE_M = HAND_CENTRES_M[2:3] * (1, 0, 1)
GAP_HALF_SIZE_M = np.array([[gripper.PAD_WIDTH_M / 2, gripper.HALF_OPENING_M, _FINGER[2]]])
"""What the fingers sweep when they close, as a box."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidates:
    """Grasps that geometry allows.

    Args:
        poses: (grasps, 4, 4) of the tool frame.
        quality: (grasps,) cosine between a surface and the pad that meets it, the worse of both fingers.
        depth: (grasps,) where along the pads the object lies, 0 at the base and 1 at the tip.
    """

    poses: np.ndarray
    quality: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.poses)

    def at(self, index: np.ndarray) -> Candidates:
        """Some of them."""
        return Candidates(poses=self.poses[index], quality=self.quality[index], depth=self.depth[index])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Contacts:
    """What the fingers would meet at each pose.

    Args:
        quality: (poses,) as of `Candidates`; -1 where a finger meets nothing, or both meet one corner.
        depth: (poses,) as of `Candidates`.
        offset_m: (poses,) of the object's middle from that of the hand, along the opening.
    """

    quality: np.ndarray
    depth: np.ndarray
    offset_m: np.ndarray


def sample_candidates(
    grasped: Sequence[ConvexPiece],
    rng: np.random.Generator,
    *,
    limit: int,
    held: Sequence[ConvexPiece] = (),
    obstacles: Sequence[ConvexPiece] = (),
) -> Candidates:
    """Draw candidates until there are enough, or all have been tried.

    Args:
        grasped: What may be taken hold of: a rigid object, or the handle of an articulated one.
        rng: Source of randomness.
        limit: Of their number.
        held: What else moves with it, and may lie between the fingers.
        obstacles: What else the hand must not touch, nor the fingers when they close.
    """
    points, normals = surface_points(grasped, rng, others=(*held, *obstacles))
    between, avoided = (*grasped, *held), (*grasped, *held, *obstacles)

    def fit(poses: np.ndarray) -> tuple[np.ndarray, Contacts]:
        poses = poses[boxes_are_clear(avoided, poses, HAND_CENTRES_M, HAND_HALF_SIZES_M)]
        poses = poses[boxes_are_clear(obstacles, poses, GAP_CENTRE_M, GAP_HALF_SIZE_M)]
        met = contacts(between, poses)
        good = met.quality > MIN_QUALITY
        return poses[good], Contacts(quality=met.quality[good], depth=met.depth[good], offset_m=met.offset_m[good])

    per_point = len(STAND_OFFS_M) * len(ROLLS)
    order = rng.permutation(len(points) * per_point)
    chunk = max(256, CHUNK_PLANES // max(1, sum(len(piece.offsets) for piece in avoided)))
    found: list[Candidates] = []
    for start in range(0, len(order), chunk):
        point, rest = np.divmod(order[start : start + chunk], per_point)
        stand_off, roll = np.divmod(rest, len(ROLLS))
        poses = _hand_poses(points[point], normals[point], STAND_OFFS_M[stand_off], ROLLS[roll])
        poses, met = fit(poses)
        poses[:, :3, 3] += met.offset_m[:, None] * poses[:, :3, 1]
        poses, met = fit(poses)
        found.append(Candidates(poses=poses, quality=met.quality, depth=met.depth))
        if sum(map(len, found)) >= limit:
            break
    if not found:
        return Candidates(poses=np.zeros((0, 4, 4)), quality=np.zeros(0), depth=np.zeros(0))
    poses, quality, depth = (np.concatenate([getattr(c, name) for c in found])[:limit] for name in Candidates.__slots__)
    return Candidates(poses=poses, quality=quality, depth=depth)


def contacts(pieces: Sequence[ConvexPiece], poses: np.ndarray) -> Contacts:
    """What rays from each finger to the other meet first.

    Args:
        pieces: The object.
        poses: (poses, 4, 4) of the tool frame.
    """
    along = np.linspace(*RAY_SPAN_M, RAYS_PER_FINGER)
    along = along[along <= gripper.TIP_BEYOND_TCP_M]
    places = (along - along[0]) / (along[-1] - along[0])
    gaps, normals, depths = [], [], []
    for side in (1, -1):
        first = np.full((len(poses), len(along)), np.inf)
        met = np.zeros((*first.shape, 3))
        for piece in pieces:
            distance, normal = _first_met(piece, poses, along, side)
            is_nearer = distance < first
            first = np.where(is_nearer, distance, first)
            met = np.where(is_nearer[..., None], normal, met)
        nearest = first.min(axis=1, keepdims=True)
        touches = (first <= nearest + TOUCH_M) & (nearest < np.inf)
        count = np.maximum(touches.sum(axis=1), 1)
        gaps.append(nearest[:, 0])
        normals.append((met * touches[..., None]).sum(axis=1) / count[:, None])
        depths.append((places * touches).sum(axis=1) / count)
    opening = poses[:, :3, 1]
    alignment = [side * np.einsum("ni,ni->n", normal, opening) for side, normal in zip((1, -1), normals, strict=True)]
    both = np.isfinite(gaps[0]) & np.isfinite(gaps[1])
    opposed = np.einsum("ni,ni->n", *normals) < MAX_NORMAL_PRODUCT
    return Contacts(
        quality=np.where(both & opposed, np.minimum(*alignment), -1.0),
        depth=np.mean(depths, axis=0),
        offset_m=np.where(both, np.subtract(gaps[1], gaps[0], where=both, out=np.zeros(len(poses))) / 2, 0.0),
    )


def order_candidates(candidates: Candidates, rng: np.random.Generator, *, is_thin: bool = False) -> np.ndarray:
    """In which order to verify them, so that the first are spread over the object and lie well in the hand.

    Args:
        candidates: To order.
        rng: Source of randomness.
        is_thin: The object is thin or small: what the tips hold comes first.
    Returns:
        (grasps,) indices: round robin over clusters of position and rotation; within a cluster drawn at random,
        preferring square contact at three quarters of the pads.
    """
    number = len(candidates)
    if number == 0:
        return np.zeros(0, np.int64)
    clusters = _cluster(candidates.poses, rng)
    wanted = TIP_DEPTH if is_thin else PREFERRED_DEPTH
    log_weight = QUALITY_POWER * np.log(candidates.quality) - DEPTH_BIAS * np.abs(candidates.depth - wanted)
    keys = -log_weight - rng.gumbel(size=number)  # sorting by these draws without replacement, by weight
    order = np.lexsort((keys, clusters))
    _, starts = np.unique(clusters[order], return_index=True)
    rank = np.arange(number) - np.repeat(starts, np.diff([*starts, number]))
    return order[np.argsort(rank, kind="stable")]


def _hand_poses(points: np.ndarray, normals: np.ndarray, stand_offs_m: np.ndarray, rolls: np.ndarray) -> np.ndarray:
    """Tool frames that look at surface points: (points, 4, 4)."""
    approach = -normals
    across = np.eye(3)[np.abs(approach).argmin(axis=1)]
    x = np.cross(across, approach)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.cross(approach, x)
    cosine, sine = np.cos(rolls)[:, None], np.sin(rolls)[:, None]
    poses = np.zeros((len(points), 4, 4))
    poses[:, :3, 0], poses[:, :3, 1] = cosine * x + sine * y, cosine * y - sine * x
    poses[:, :3, 2] = approach
    poses[:, :3, 3] = points + (gripper.TCP_OFFSET_M - stand_offs_m)[:, None] * approach
    poses[:, 3, 3] = 1
    return poses


def _first_met(piece: ConvexPiece, poses: np.ndarray, along: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance (poses, rays) from a finger to a piece, inf where it is missed; (poses, rays, 3) normal of the face."""
    speed = side * poses[:, :3, 1] @ piece.normals.T  # (poses, planes), outward, towards the finger
    speed = np.where(np.abs(speed) < PARALLEL, PARALLEL, speed)  # then the crossing is far on the side that decides
    is_exit, slowness = (speed > 0)[:, None], (1 / speed)[:, None]
    room = piece.offsets - poses[:, :3, 3] @ piece.normals.T
    sink = poses[:, :3, 2] @ piece.normals.T
    crossing = (room[:, None] - along[:, None] * sink[:, None]) * slowness  # (poses, rays, planes)
    leave = np.where(is_exit, crossing, np.inf)
    face = leave.argmin(axis=2)
    outer = np.take_along_axis(leave, face[..., None], axis=2)[..., 0]
    enter = np.where(is_exit, -np.inf, crossing).max(axis=2)
    half = gripper.HALF_OPENING_M
    is_met = (enter < outer) & (np.abs(outer) <= half)
    return np.where(is_met, half - outer, np.inf), piece.normals[face]


def _cluster(poses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    position = poses[:, :3, 3] - poses[:, :3, 3].mean(axis=0)
    size = math.sqrt(float((position**2).sum(axis=1).mean())) or 1.0
    opening = poses[:, :3, 1]
    axis = np.einsum("ni,nj->nij", opening, opening)[:, *np.triu_indices(3)]  # the same for both fingers' exchange
    features = np.concatenate([position / size, poses[:, :3, 2], axis], axis=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)  # then there is one fewer
        _, labels = kmeans2(features, min(NUM_CLUSTERS, len(poses)), minit="++", seed=rng)
    return labels

"""Short videos of objects pushed and thrown over a table, with questions, places, true statements and labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.simulator import mujoco
from zoo.envs.tabletop_facts import AREA_SIZE, ClipFacts, motion_is_clear, read_facts
from zoo.envs.tabletop_places import PLACES_SEED, PlaceBalancer
from zoo.envs.tabletop_questions import Question, QuestionBalancer, candidates, deeds, descriptions, statements
from zoo.envs.tabletop_sampling import MAX_OBJECTS, sample_scene
from zoo.envs.tabletop_scene import SceneSpec, Trajectory, build_model, simulate
from zoo.errors import ConfigError
from zoo.generator import GeneratedSample, ShardGenerator
from zoo.shards.encode import encode_mp4
from zoo.shards.schema import SCHEMA_NAME, SCHEMA_VERSION

SPLIT_SEEDS = {"train": 0, "val": 1, "test": 2}  # part of every seed, so splits never share a scene
SAME_POSE = 1e-3  # m and quaternion units: a seventh of a pixel; such a state repeats the picture drawn last


class Clip(NamedTuple):
    """A rendered scene."""

    scene: SceneSpec
    trajectory: Trajectory
    facts: ClipFacts
    frames: np.ndarray  # (F, H, W, 3) uint8
    masks: np.ndarray  # (F, H, W) uint8: 0 background, i + 1 object i


class Tabletop(ShardGenerator):
    """Questions about rendered tabletop videos, balanced so that no text gives its answer away.

    Args:
        seed: Start of all randomness.
        train_clips: Clips of the split train.
        val_clips: Clips of the split val.
        test_clips: Clips of the split test.
        samples_per_shard: Clips in one tar; answers are balanced within each.
        questions_per_clip: Most questions asked about one clip; clips of one object allow fewer.
        image_size: Edge of the square frames, pixels, even.
        num_frames: Frames of a clip; the first shows the resting scene.
        fps: Frames per second.
    """

    name: ClassVar[str] = "tabletop"
    version: ClassVar[int] = 6
    example_args: ClassVar[dict[str, Any]] = {"train_clips": 4, "val_clips": 0, "test_clips": 2, "samples_per_shard": 2}

    def __init__(
        self,
        *,
        seed: int = 0,
        train_clips: int = 6000,
        val_clips: int = 300,
        test_clips: int = 1000,
        samples_per_shard: int = 250,
        questions_per_clip: int = 24,
        image_size: int = 144,
        num_frames: int = 20,
        fps: float = 8.0,
    ) -> None:
        faults = faults_of(
            {"seed": seed, "train_clips": train_clips, "val_clips": val_clips, "test_clips": test_clips},
            {"samples_per_shard": samples_per_shard, "questions_per_clip": questions_per_clip},
            image_size=image_size,
        )
        if not fps > 0 or not 2 <= (num_frames - 1) / fps <= 10:
            faults.append(f"num_frames {num_frames} at fps {fps} (the clip must last 2 to 10 s for its events to fit)")
        if faults:
            raise ConfigError(f"tabletop: {', '.join(faults)}")
        self.seed = seed
        self.train_clips, self.val_clips, self.test_clips = train_clips, val_clips, test_clips
        self.samples_per_shard, self.questions_per_clip = samples_per_shard, questions_per_clip
        self.image_size, self.num_frames, self.fps = image_size, num_frames, fps

    @property
    def splits(self) -> dict[str, int]:
        """Clips of each split."""
        return {"train": self.train_clips, "val": self.val_clips, "test": self.test_clips}

    @property
    def shard_size(self) -> int:
        """Clips in one shard."""
        return self.samples_per_shard

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample]:
        """Simulate, draw and question the clips of one shard."""
        deck_rng = np.random.default_rng([self.seed, SPLIT_SEEDS[split], shard])
        balancer, places = QuestionBalancer(per_clip=self.questions_per_clip), PlaceBalancer()
        with OffscreenRenderer(width=self.image_size, height=self.image_size) as renderer:
            for index, num_objects in enumerate(deck(deck_rng, count)):
                seeds = [self.seed, SPLIT_SEEDS[split], shard, index]
                rng = np.random.default_rng(seeds)
                clip = draw_clip(rng, renderer, num_objects=num_objects, num_frames=self.num_frames, fps=self.fps)
                questions = balancer.pick(candidates(clip.facts, rng), rng)
                key = f"{split}-{shard:06d}-{index:05d}"
                points = places.pick(clip.facts, np.random.default_rng([*seeds, PLACES_SEED]), is_still=False)
                record = clip_record(key, clip, questions, points, media="mp4", fps=self.fps)
                yield GeneratedSample(record, encode_mp4(clip.frames, fps=self.fps), labels(clip))


def faults_of(counts: Mapping[str, int], positive: Mapping[str, int], *, image_size: int) -> list[str]:
    """What is wrong with the arguments that generators of clips and of pictures share.

    Args:
        counts: Arguments that may be 0, by name.
        positive: Those that are 1 or more.
        image_size: Edge of the pictures, pixels.
    """
    faults = [f"{name} {value} (0 or more)" for name, value in counts.items() if value < 0]
    faults += [f"{name} {value} (1 or more)" for name, value in positive.items() if value < 1]
    if image_size < 64 or image_size % 2:
        faults.append(f"image_size {image_size} (even, 64 or more: objects must be recognisable)")
    return faults


def draw_clip(
    rng: np.random.Generator, renderer: OffscreenRenderer, *, num_objects: int, num_frames: int, fps: float
) -> Clip:
    """Draw scenes until one is unambiguous.

    Args:
        rng: Source of all randomness.
        renderer: Draws square pictures.
        num_objects: Objects of the scene.
        num_frames: Frames of the clip; one frame shows a resting scene.
        fps: Frames per second.
    """
    area_scale = (AREA_SIZE / renderer.width) ** 2
    while True:
        scene = sample_scene(rng, num_objects=num_objects, has_events=num_frames > 1)
        model = build_model(scene, image_size=renderer.width)
        trajectory = simulate(scene, model, num_frames=num_frames, fps=fps)
        if not motion_is_clear(scene, trajectory):
            continue
        frames, masks = render(model, trajectory, renderer)
        facts = read_facts(scene, trajectory, visible_pixels(masks, num_objects) * area_scale)
        if facts is not None:
            return Clip(scene, trajectory, facts, frames, masks)


def clip_record(
    key: str,
    clip: Clip,
    questions: Sequence[Question],
    points: Sequence[dict[str, Any]],
    *,
    media: Literal["mp4", "jpg"],
    fps: float,
) -> dict[str, Any]:
    """The JSON of a rendered scene.

    Args:
        key: Of the sample.
        clip: The scene; of one frame where the media is a picture.
        questions: What is asked about it.
        points: What is to be pointed at, counted and followed.
        media: How the frames are stored.
        fps: Frames per second.
    """
    is_still, facts, camera = media == "jpg", clip.facts, clip.scene.camera
    num_frames, height, width = clip.frames.shape[:3]
    looks = [{"colour": item.colour, "shape": item.shape, "size": item.size} for item in facts.objects]
    facts_of_motion = [
        {"moved": item.moved, "onset_s": item.onset_s, "direction": item.direction, "view": item.view}
        for item in facts.objects
    ]
    meta: dict[str, Any] = {"objects": looks}
    if not is_still:
        meta["objects"] = [look | motion for look, motion in zip(looks, facts_of_motion, strict=True)]
        meta["touched"] = sorted(list(pair) for pair in facts.touched)
    meta["camera"] = {
        "azimuth": camera.azimuth,
        "elevation": camera.elevation,
        "distance_m": camera.distance_m,
        "fov_y_deg": camera.fov_y_deg,
    }
    instances: list[dict[str, Any]] = [
        {"id": index + 1, "text": f"{item.colour} {item.size} {item.shape}"} for index, item in enumerate(facts.objects)
    ]
    if not is_still:
        for instance, text in zip(instances, deeds(facts), strict=True):
            instance["deeds"] = text
    return {
        "schema": SCHEMA_NAME,
        "version": SCHEMA_VERSION,
        "key": key,
        "media": media,
        "width": width,
        "height": height,
        "num_frames": num_frames,
        "fps": fps,
        "annotations": [question.annotation() for question in questions],
        "statements": statements(facts, is_still=is_still),
        "descriptions": [
            {"request": request, "text": text} for request, text in descriptions(facts, is_still=is_still)
        ],
        "instances": instances,
        "points": list(points),
        "meta": meta,
    }


def render(model: mujoco.MjModel, trajectory: Trajectory, renderer: OffscreenRenderer) -> tuple[np.ndarray, np.ndarray]:
    """Draw every frame of a recording; a frame in which nothing moved since the last one repeats it.

    Args:
        model: The scene's model.
        trajectory: Its recording.
        renderer: Where to draw.
    Returns:
        Frames (frames, height, width, 3) uint8 and masks (frames, height, width) uint8, object i as i + 1.
    """
    data = mujoco.MjData(model)
    first_geom = model.geom("object0").id
    renderer.bind(model)
    frames: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    drawn: np.ndarray | None = None
    for qpos in trajectory.frame_qpos:
        if drawn is None or np.abs(qpos - drawn).max() > SAME_POSE:
            data.qpos[:] = drawn = qpos
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            renderer.update(data)
            frames.append(renderer.rgb())
            masks.append(np.maximum(renderer.geom_ids() - first_geom + 1, 0).astype(np.uint8))
        else:
            frames.append(frames[-1])
            masks.append(masks[-1])
    return np.stack(frames), np.stack(masks)


def visible_pixels(masks: np.ndarray, num_objects: int) -> np.ndarray:
    """Count each object's pixels: (frames, height, width) masks to (frames, objects) int64."""
    return np.stack([np.bincount(mask.ravel(), minlength=num_objects + 1)[1:] for mask in masks])


def labels(clip: Clip) -> dict[str, np.ndarray]:
    """Segmentation-true labels of a clip.

    Returns:
        masks (F, H, W) uint8, object i as i + 1; visible (F, N) bool; points_px (F, N, 2) float32, centre of the
        visible pixels; boxes_xyxy_px (F, N, 4) float32, outer edges of the visible pixels. Invisible objects have nan.
        x right, y down, 0 at the outer edge of the first pixel.
    """
    num_frames, num_objects = len(clip.masks), len(clip.scene.objects)
    points = np.full((num_frames, num_objects, 2), np.nan, np.float32)
    boxes = np.full((num_frames, num_objects, 4), np.nan, np.float32)
    for frame, mask in enumerate(clip.masks):
        for index in range(num_objects):
            rows, columns = np.nonzero(mask == index + 1)
            if len(rows):
                points[frame, index] = columns.mean() + 0.5, rows.mean() + 0.5
                boxes[frame, index] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return {
        "masks": clip.masks,
        "points_px": points,
        "boxes_xyxy_px": boxes,
        "visible": visible_pixels(clip.masks, num_objects) > 0,
    }


def deck(rng: np.random.Generator, count: int) -> list[int]:
    """Numbers of objects of a shard's clips: each of 1 to MAX_OBJECTS equally often, in random order."""
    rounds = -(-count // MAX_OBJECTS)
    deck = np.concatenate([rng.permutation(MAX_OBJECTS) + 1 for _ in range(rounds)])[:count]
    return [int(number) for number in rng.permutation(deck)]

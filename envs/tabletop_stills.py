"""Pictures of a resting tabletop: the scenes of `tabletop` before anything moves, for eyes to learn from cheaply.

A picture takes a tenth of a clip's rendering and an eighth of its place in a batch, so a step sees eight times as many
scenes.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.tabletop import SPLIT_SEEDS, clip_record, deck, draw_clip, faults_of, labels
from zoo.envs.tabletop_places import PLACES_SEED, PlaceBalancer
from zoo.envs.tabletop_questions import QuestionBalancer, candidates
from zoo.errors import ConfigError
from zoo.generator import GeneratedSample, ShardGenerator
from zoo.shards.encode import encode_jpg

STILLS_SEED = 77  # part of every seed, so that pictures show other scenes than the clips of the same seed
NOMINAL_FPS = 1.0  # records name a rate; one frame has none


class TabletopStills(ShardGenerator):
    """Questions about pictures of objects on a table, balanced so that no text gives its answer away.

    Args:
        seed: Start of all randomness.
        train_images: Pictures of the split train.
        val_images: Pictures of the split val.
        test_images: Pictures of the split test.
        samples_per_shard: Pictures in one tar; answers are balanced within each.
        questions_per_image: Most questions asked about one picture; pictures of one object allow fewer.
        image_size: Edge of the square pictures, pixels, even.
    """

    name: ClassVar[str] = "tabletop_stills"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "image"
    example_args: ClassVar[dict[str, Any]] = {
        "train_images": 4,
        "val_images": 0,
        "test_images": 2,
        "samples_per_shard": 2,
    }

    def __init__(
        self,
        *,
        seed: int = 0,
        train_images: int = 20000,
        val_images: int = 500,
        test_images: int = 2000,
        samples_per_shard: int = 500,
        questions_per_image: int = 16,
        image_size: int = 144,
    ) -> None:
        faults = faults_of(
            {"seed": seed, "train_images": train_images, "val_images": val_images, "test_images": test_images},
            {"samples_per_shard": samples_per_shard, "questions_per_image": questions_per_image},
            image_size=image_size,
        )
        if faults:
            raise ConfigError(f"tabletop_stills: {', '.join(faults)}")
        self.seed = seed
        self.train_images, self.val_images, self.test_images = train_images, val_images, test_images
        self.samples_per_shard, self.questions_per_image = samples_per_shard, questions_per_image
        self.image_size = image_size

    @property
    def splits(self) -> dict[str, int]:
        """Pictures of each split."""
        return {"train": self.train_images, "val": self.val_images, "test": self.test_images}

    @property
    def shard_size(self) -> int:
        """Pictures in one shard."""
        return self.samples_per_shard

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample]:
        """Draw and question the pictures of one shard."""
        seeds = [self.seed, SPLIT_SEEDS[split], shard]
        balancer, places = QuestionBalancer(per_clip=self.questions_per_image), PlaceBalancer()
        with OffscreenRenderer(width=self.image_size, height=self.image_size) as renderer:
            for index, num_objects in enumerate(deck(np.random.default_rng([*seeds, STILLS_SEED]), count)):
                rng = np.random.default_rng([*seeds, index, STILLS_SEED])
                still = draw_clip(rng, renderer, num_objects=num_objects, num_frames=1, fps=NOMINAL_FPS)
                questions = balancer.pick(candidates(still.facts, rng, is_still=True), rng)
                key = f"{split}-{shard:06d}-{index:05d}"
                own = np.random.default_rng([*seeds, index, STILLS_SEED, PLACES_SEED])
                points = places.pick(still.facts, own, is_still=True)
                record = clip_record(key, still, questions, points, media="jpg", fps=NOMINAL_FPS)
                yield GeneratedSample(record, encode_jpg(still.frames[0]), labels(still))

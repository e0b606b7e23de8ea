"""Several images at once: MultiImageQA, MultiImagePoint, SynMultiImageQA.

Source: Molmo2 sheet A10 (rows 7 to 9), A4.3 (images of a set). Rows name images by address; a file is found by the
SHA-256 of its address, as the published download names it, or by the address's last part. Agrees with the published
loader in moving points that rounding put outside of their image onto its edge.
"""

import os
from abc import abstractmethod
from collections import Counter
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import urlsplit

from zoo.datamodules.readers.files import ImageSet, MediaFile, ParquetCell, Row
from zoo.datamodules.readers.media import IMAGE_SUFFIXES
from zoo.datamodules.readers.molmo2.library import MediaLibrary
from zoo.datamodules.readers.molmo2.points import PERCENT, entry
from zoo.datamodules.readers.molmo2.reader import Found, Molmo2Reader, Part
from zoo.datamodules.readers.molmo2.values import Values, fields, items, pair, whole
from zoo.datamodules.readers.turns import said, short
from zoo.errors import ConfigError, DataError
from zoo.points import Point, ordered_points
from zoo.shards.faults import MAX_BAD_SHARE, OnBadSample

MAX_IMAGES = 5
ROUNDING = 1.0  # percent of an image
KINDS = ("chart", "chemical", "circuit", "diagram", "doc", "graphic", "music", "table")


class ImageSetReader(Molmo2Reader):
    """Rows about sets of images.

    Args:
        source: See `Molmo2Reader`.
        media_root: See there.
        max_images: Most images of a set; larger sets are left out. The published training takes 5.
        val_share: See `Molmo2Reader`.
        samples_per_shard: See there.
        on_bad_sample: See there.
        max_bad_share: See there.
    """

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        max_images: int = MAX_IMAGES,
        val_share: float = 0.01,
        samples_per_shard: int = 250,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            source=source,
            media_root=media_root,
            val_share=val_share,
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )
        if max_images < 1:
            raise ConfigError(f"{self.name}: max_images is {max_images}, expected 1 or more")
        self.max_images = max_images

    def library(self) -> MediaLibrary:
        # Downloaded images are named by their address's hash, with or without an ending.
        return MediaLibrary(super().library().root, ("", *IMAGE_SUFFIXES))

    def found(self, row: Row) -> Found | str:
        names = self.images(row)
        if len(names) > self.max_images:
            return f"more than {self.max_images} images"
        return self.said(row, names)

    def images(self, row: Row) -> tuple[tuple[str, ...], ...]:
        """Names of each image, best first.

        Raises:
            DataError: there is none.
        """
        addresses = [said(one, "image_urls") for one in items(row.values, "image_urls")]
        if not addresses:
            raise DataError("image_urls is empty")
        return tuple(map(image_names, addresses))

    @abstractmethod
    def said(self, row: Row, names: tuple[tuple[str, ...], ...]) -> Found | str:
        """What a row says about its images.

        Raises:
            DataError: it cannot be understood.
        """

    def media(self, found: Found, library: MediaLibrary) -> tuple[ImageSet, Part]:
        if found.inside is not None:
            return found.inside, None
        files = []
        for number, names in enumerate(found.names, 1):
            path = library.find(*names)
            if path is None:
                raise DataError(
                    f"no image {names[-1]!r} ({number} of {len(found.names)}) among the {library.num_files} below "
                    f"{library.root}"
                )
            files.append(MediaFile(str(path)))
        return ImageSet(tuple(files)), None


class MultiImageQa(ImageSetReader):
    """Questions about sets of images: Molmo2-MultiImageQA."""

    name: ClassVar[str] = "molmo2_multi_image_qa"
    columns: ClassVar[tuple[str, ...]] = ("image_urls", "qa_pairs")

    def said(self, row: Row, names: tuple[tuple[str, ...], ...]) -> Found | str:
        return Found(names=names, annotations=answered(row.values, family="images", style="correction_qa"))


class MultiImagePoint(ImageSetReader):
    """Things to point to in sets of images: Molmo2-MultiImagePoint."""

    name: ClassVar[str] = "molmo2_multi_image_point"
    columns: ClassVar[tuple[str, ...]] = ("image_urls", "points", "labels", "counts")

    def said(self, row: Row, names: tuple[tuple[str, ...], ...]) -> Found | str:
        of_image = [items({"points": one}, "points") for one in items(row.values, "points")]
        counts = items(row.values, "counts")
        if not len(of_image) == len(counts) == len(names):
            raise DataError(f"{len(of_image)} lists of points and {len(counts)} counts for {len(names)} images")
        if any(whole({"counts": count}, "counts") != len(own) for count, own in zip(counts, of_image, strict=True)):
            return "counts are not the numbers of points"
        points = [
            Point(number, 0, *_on_image(pair(point, "points")))
            for number, own in enumerate(of_image, 1)
            for point in own
        ]
        one = entry(
            label=label_of(row.values),
            kind="points",
            points=ordered_points(points),
            frame_size=PERCENT,
            count=len(points),
        )
        return Found(names=names, points=[one])


class SynMultiImageQa(ImageSetReader):
    """Questions about sets of drawn images, which the rows hold: Molmo2-SynMultiImageQA."""

    name: ClassVar[str] = "molmo2_syn_multi_image_qa"
    columns: ClassVar[tuple[str, ...]] = ("images", "qa_pairs")
    keeps_order: bool = True  # row groups are read whole, so their images are best read in their order

    def images(self, row: Row) -> tuple[tuple[str, ...], ...]:
        cell = row.values["images"]
        if not isinstance(cell, ParquetCell):
            raise DataError(f"images is {short(cell)}, expected a Parquet file's column of images")
        source = Path(self.source)
        inside = os.path.relpath(cell.file, source if source.is_dir() else source.parent)
        return ((f"{Path(inside).as_posix()}#{cell.row}",),)

    def said(self, row: Row, names: tuple[tuple[str, ...], ...]) -> Found | str:
        drawn = len(items(row.values, "code"))  # one program an image, where they are there
        if drawn > self.max_images:
            return f"more than {self.max_images} images"
        kind = kind_of(row)
        style = f"cosyn_{kind}" if kind else "cosyn"
        annotations = answered(row.values, family=kind or "drawn images", style=style)
        return Found(names=names, annotations=annotations, inside=ImageSet(row.values["images"]))


def image_names(address: str) -> tuple[str, ...]:
    """Names of the file that an image's address was saved to, best first."""
    last = PurePosixPath(urlsplit(address).path).name
    return (sha256(address.encode()).hexdigest(), *([last] if last else ()))


def answered(values: Values, *, family: str, style: str) -> list[dict[str, Any]]:
    """Annotations of `qa_pairs`: lists of questions and of answers, or one list of both.

    Raises:
        DataError: their numbers differ, there is none, or one is empty.
    """
    pairs = values.get("qa_pairs")
    if isinstance(pairs, list | str):
        told = [fields(one, "qa_pairs") for one in items(values, "qa_pairs")]
        questions, answers = [one.get("question") for one in told], [one.get("answer") for one in told]
    else:
        both = fields(pairs, "qa_pairs")
        questions, answers = items(both, "question"), items(both, "answer")
    if len(questions) != len(answers) or not questions:
        raise DataError(f"qa_pairs holds {len(questions)} questions and {len(answers)} answers")
    return [
        {
            "family": family,
            "question": said(question, "question"),
            "answer": said(answer, "answer"),
            "temporal": False,
            "style": style,
        }
        for question, answer in zip(questions, answers, strict=True)
    ]


def label_of(values: Values) -> str:
    """What is pointed to in all images: of their labels the commonest."""
    column = "normalized_labels" if values.get("normalized_labels") else "labels"
    labels = Counter(said(one, column).lower() for one in items(values, column))
    if not labels:
        raise DataError("labels is empty")
    return labels.most_common(1)[0][0]


def kind_of(row: Row) -> str:
    """Which configuration a row is of, by the folders and the name of its file; empty where they do not tell."""
    places = (*row.folder.parts[::-1], *row.where.split(",")[0].replace(".", "-").split("-"))
    return next((place for place in places if place in KINDS), "")


def _on_image(place: tuple[float, float]) -> tuple[float, float]:
    """A point that lies outside by no more than rounding, on the edge."""
    x, y = (min(max(value, 0.0), 100.0) if -ROUNDING <= value <= 100 + ROUNDING else value for value in place)
    return x, y

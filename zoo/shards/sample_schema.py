"""What the samples of a data set are: name and version that its index states, their check, and their files' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.shards.schema import SCHEMA_NAME, SCHEMA_VERSION, TEXT, validate_record

Media = bytes | Sequence[bytes] | Mapping[str, bytes]
"""One file, several numbered ones, or files by name, as videos by camera."""
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSchema:
    """One kind of sample.

    Args:
        name: `schema` of its records, and of the index.
        version: Of its records, and of the index.
        media_files: Checks a record with its media and arrays, and gives the media's bytes by suffix; refuses by
            `DataError`.
        has_questions: Records have `annotations`, whose answers can be guessed blindly.
    """

    name: str
    version: int
    media_files: Callable[[Mapping[str, Any], Media, Arrays | None], dict[str, bytes]]
    has_questions: bool = False


def _video_qa_files(record: Mapping[str, Any], media: Media, arrays: Arrays | None) -> dict[str, bytes]:
    del arrays
    validate_record(record)
    if isinstance(media, Mapping):
        raise DataError(f"sample {record['key']!r}: media have names ({', '.join(media)}), its record speaks of none")
    files = (media,) if isinstance(media, bytes) else tuple(media)
    expected = len(record["images"]) if "images" in record else int(record["media"] != TEXT)
    if len(files) != expected:
        raise DataError(f"sample {record['key']!r}: {len(files)} media files, its record speaks of {expected}")
    if len(files) == 1:
        return {record["media"]: files[0]}
    return {f"{number}.{record['media']}": file for number, file in enumerate(files)}


VIDEO_QA_SAMPLES = SampleSchema(
    name=SCHEMA_NAME,
    version=SCHEMA_VERSION,
    media_files=_video_qa_files,
    has_questions=True,
)

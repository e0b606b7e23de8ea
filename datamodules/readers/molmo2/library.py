"""Where in a folder the videos and images are that rows name by an id."""

from collections.abc import Collection
from pathlib import Path

from zoo.datamodules.readers.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES

FRAMES_FOLDER = 2  # images in a folder that may be a video's frames


class MediaLibrary:
    """The files below a folder by their names without ending.

    Args:
        root: Searched with all its sub-folders.
        suffixes: Of the files that count.
        frames: Folders of images count as videos.
    """

    def __init__(self, root: Path, suffixes: Collection[str] = VIDEO_SUFFIXES, *, frames: bool = False) -> None:
        self.root = root
        self._suffixes = frozenset(suffixes)
        self._found: dict[str, list[Path]] = {}  # by the last part of the name
        self._folders: dict[str, list[Path]] = {}  # folders by the last part of theirs
        self.num_files = 0
        images: dict[Path, int] = {}
        for path in sorted(root.rglob("*")):
            suffix = path.suffix.lower()
            if suffix in self._suffixes and path.is_file():
                self.num_files += 1
                self._found.setdefault(path.stem, []).append(path)
                self._folders.setdefault(path.parent.name, []).append(path)
            elif frames and suffix in IMAGE_SUFFIXES:
                images[path.parent] = images.get(path.parent, 0) + 1
        for folder, count in images.items():
            if count >= FRAMES_FOLDER:
                self.num_files += 1
                self._found.setdefault(folder.name, []).append(folder)

    def find(self, *names: str) -> Path | None:
        """The first file that has one of these names; what is named by its folder comes last.

        Args:
            names: Best first; with or without ending, and with as many folders before it as tell it from others.
        """
        for table in (self._found, self._folders):
            for name in names:
                wanted = self._without_ending(name)
                for path in table.get(wanted.rpartition("/")[2], ()):
                    place = path.parent if table is self._folders else path
                    if self._is(place, wanted):
                        return path
        return None

    def _without_ending(self, name: str) -> str:
        suffix = Path(name).suffix
        return name.removesuffix(suffix) if suffix.lower() in self._suffixes else name

    def _is(self, path: Path, wanted: str) -> bool:
        inside = path.relative_to(self.root).as_posix() if path != self.root else path.name
        return f"/{self._without_ending(inside)}".endswith(f"/{wanted}")

"""Where the files of a public dataset come from and are stored, and what is known about it before they are downloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagestudy.core import paths
from imagestudy.core.download import NotFetchedError, RemoteFile, fetch, hold
from imagestudy.data.public.unpacking import unpack_whole


@dataclass(frozen=True)
class Known:
    """What the tables of datasets show about a dataset. A test compares it with the images if they are on this machine.

    Args:
        images: the number of images in all parts together.
        size: the height, the width and the number of channels.
        classes: the number of classes.
        ratio: the number of images of the largest class divided by that of the smallest, in all parts together.
        held_out: the numbers of test and of validation images; the latter is 0 if it depends on the groups that are drawn.
            None if they can be counted without a download.
    """

    images: int
    size: tuple[int, int, int]
    classes: int
    ratio: float
    held_out: tuple[int, int] | None = None


VALIDATION_IMAGES = 5_000
"""The number of validation images that most datasets draw from their official training part."""


@dataclass(frozen=True)
class Piece:
    """One remote file and the files that it contains.

    Args:
        remote: the file to download.
        gives: the names of the files or folders that it provides, relative to the dataset's folder.
        unpack: a function that unpacks the downloaded file into an empty folder; None if the downloaded file is read as it is.
    """

    remote: RemoteFile
    gives: tuple[str, ...]
    unpack: Callable[[Path, Path], None] | None


@dataclass(frozen=True)
class Origin:
    """All files of a dataset.

    Args:
        folder: the dataset's folder, relative to the data folder.
        needs: the names in this folder that must exist before the images can be read.
        pieces: a function that returns what to download. It is a function because the libraries that know the addresses are slow to
            import.
    """

    folder: str
    needs: tuple[str, ...]
    pieces: Callable[[], tuple[Piece, ...]]

    def place(self) -> Path:
        """Return the dataset's folder on this machine."""
        return paths.data_folder() / self.folder


def is_here(origin: Origin) -> bool:
    """Return whether the images can be read without downloading anything."""
    return all((origin.place() / name).exists() for name in origin.needs)


def obtain(origin: Origin) -> Path:
    """Download, verify and unpack the missing files of a dataset, and return its folder. Each piece appears complete or not at all.

    Raises:
        InputError: if a file cannot be downloaded. The message lists the missing files, their addresses, and the folder in which to
            put them by hand.
    """
    folder = origin.place()
    if is_here(origin):
        return folder
    missing = [piece for piece in origin.pieces() if not _has(folder, piece)]
    for done, piece in enumerate(missing):
        try:
            archive = fetch(piece.remote, folder)
        except NotFetchedError as error:
            raise NotFetchedError([left.remote for left in missing[done:]], folder, error.reason) from error
        if piece.unpack is not None:
            with hold(archive):
                if not _has(folder, piece):
                    unpack_whole(archive, folder, piece.gives, piece.unpack)
    return folder


def _has(folder: Path, piece: Piece) -> bool:
    return all((folder / name).exists() for name in piece.gives)

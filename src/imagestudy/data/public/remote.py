"""Where the files of a public set come from, where they lie, and what is known of the set before they are there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagestudy.core import paths
from imagestudy.core.download import NotFetchedError, RemoteFile, fetch, hold
from imagestudy.data.public.unpacking import unpack_whole


@dataclass(frozen=True)
class Known:
    """What the table of data sets says of a set; a test holds it to the images where they are at hand.

    Args:
        images: number in all parts.
        size: height, width and channels.
        classes: number of classes.
        ratio: images of the largest class over those of the smallest, in all parts together.
    """

    images: int
    size: tuple[int, int, int]
    classes: int
    ratio: float


@dataclass(frozen=True)
class Piece:
    """One remote file and what it becomes.

    Args:
        remote: the file to fetch.
        gives: names of the files or folders that it becomes, below the set's folder.
        unpack: puts them into an empty folder, from the fetched file; None if the fetched file itself is what is read.
    """

    remote: RemoteFile
    gives: tuple[str, ...]
    unpack: Callable[[Path, Path], None] | None


@dataclass(frozen=True)
class Origin:
    """All files of a set.

    Args:
        folder: below the data folder.
        needs: names in it that have to be there before the images can be read.
        pieces: gives what has to be fetched for them; a function, since the libraries that know addresses load slowly.
    """

    folder: str
    needs: tuple[str, ...]
    pieces: Callable[[], tuple[Piece, ...]]

    def place(self) -> Path:
        """The set's folder on this machine."""
        return paths.data_folder() / self.folder


def is_here(origin: Origin) -> bool:
    """Whether the images can be read without fetching anything."""
    return all((origin.place() / name).exists() for name in origin.needs)


def obtain(origin: Origin) -> Path:
    """The set's folder with all files in it; what is missing is fetched, checked and unpacked, each piece whole or not at all.

    Raises:
        InputError: a file cannot be fetched; it says which are missing, from where, and where to put them by hand.
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

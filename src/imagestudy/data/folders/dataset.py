"""A person's own images: a folder, an archive or a table is scanned, checked, and decoded once to a memory-mapped cache.

The line: `walking` or `archives` → `layouts` or `tables` → `grouping` → `inspecting` (with `decoding`) → `judging` → `cache`.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.data.datasets import Dataset, sources
from imagestudy.data.folders.archives import is_archive, title_of, unpack
from imagestudy.data.folders.csv_tables import read_table
from imagestudy.data.folders.decoded_cache import open_dataset, settle_listing
from imagestudy.data.folders.file_tree import Walked, walk
from imagestudy.data.folders.grouping import with_groups
from imagestudy.data.folders.layouts import image_tables, read_layout, unwrap
from imagestudy.data.folders.listing import Listing
from imagestudy.data.folders.scan_report import Quarantined, Scan
from imagestudy.data.folders.scanning import CHECKING, Look, inspect_all
from imagestudy.data.folders.validation import judge


def scan(path: Path, *, group: str = "", burst: int = 0, workers: int | None = None) -> Scan:
    """Read every image of a folder, archive or table once, and say what can be used; nothing is kept.

    Args:
        path: of the folder, zip or tar archive, or CSV table.
        group: regular expression that names an image's group, see `grouping.with_groups`.
        burst: largest step between numbers of one group, see there.
        workers: processes; None for as many as are worth it.

    Raises:
        InputError: there is nothing to read there, or no study is possible with it.
    """
    listing = list_images(path, group=group, burst=burst)
    return judge(listing, inspect_all(listing, CHECKING, workers=workers, sink=None)).scan


def list_images(path: Path, *, group: str = "", burst: int = 0) -> Listing:
    """All images of a folder, archive or table with class, part and group; none of them is opened."""
    if not path.exists():
        raise InputError(f"no folder or file {str(path)!r}; allowed is a folder, a zip or tar archive, or a CSV table")
    return with_groups(_list_images(path.resolve()), group=group, burst=burst)


def _list_images(path: Path) -> Listing:
    if path.is_dir():
        return _list_folder(walk(path), path.name)
    if is_archive(path):
        folder, refused = unpack(path)
        return _list_folder(walk(folder, shown=path), title_of(path), refused)
    if path.suffix.lower() == ".csv":
        return read_table(path, path.stem)
    raise InputError(f"{path} is neither a folder nor a file of a kind that is read: .zip, .tar (.gz, .xz, .bz2), .csv")


def _list_folder(walked: Walked, title: str, refused: tuple[Quarantined, ...] = ()) -> Listing:
    """The listing of a folder; `refused` are members of its archive that were left out."""
    walked = unwrap(replace(walked, quarantined=(*refused, *walked.quarantined)))
    tables = image_tables(walked)
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise InputError(f"{walked.place} holds several tables of images, {names}; give the path of one of them")
    if not tables:
        return read_layout(walked, title)
    listing = read_table(tables[0], title, shown=walked.place / tables[0].name)
    return replace(listing, quarantined=(*refused, *listing.quarantined))


def find(path: str) -> Path:
    """What a given path means: as it stands, seen from the working folder, or from the data folder, in that order.

    Raises:
        InputError: nothing is there.
    """
    places = dict.fromkeys(place.absolute() for place in (Path(path).expanduser(), paths.data_folder() / path))
    for place in places:
        if path and place.exists():
            return place.resolve()
    raise InputError(f"path: {path!r} was given; there is nothing at {' or '.join(map(str, places))}")


def settle_folder(
    *,
    path: str = "",
    content: str = "",
    side: int = 64,
    fit: str = "pad",
    colours: str = "auto",
    group: str = "",
    burst: int = 0,
    grouped: bool = True,
    workers: int | None = None,
) -> dict[str, Any]:
    """Scan and decode unless that was done before; the options that a run keeps: content, side, fit, colours, forgotten groups.

    Raises:
        InputError: no path, nothing that can be studied at the path, or another content there than the one that is given.
    """
    forgotten = {} if grouped else {"grouped": False}
    if content and not path:
        open_dataset(content, Look(side, fit, colours))
        return {"content": content, "side": side, "fit": fit, "colours": colours} | forgotten
    listing = list_images(find(path), group=group, burst=burst)
    found, decided = settle_listing(listing, Look(side, fit, colours), workers=workers)
    if content not in ("", found):
        raise InputError(f"content {content!r} was given; {path!r} now holds {found!r}: its images have changed since")
    return {"content": found, **asdict(decided)} | forgotten


@sources.register(
    "folder",
    title="a folder of images",
    license="the owner's",
    citation="",
    settle=settle_folder,
    listed=False,
)
def load_folder(
    *,
    path: str = "",
    content: str = "",
    side: Annotated[int, Field(ge=8, le=512)] = 64,
    fit: Literal["pad", "stretch", "crop"] = "pad",
    colours: Literal["auto", "grey", "rgb"] = "auto",
    group: str = "",
    burst: Annotated[int, Field(ge=0)] = 0,
    grouped: bool = True,
) -> Dataset:
    """A person's own images.

    Args:
        path: of a folder with class folders (also below `train`, `val` and `test`), of a zip or tar archive of such a folder, or of
            a CSV table `path,label[,split][,group]`; seen from the working folder, or else from the data folder.
        content: digest of what was found there. With it alone, the cache is opened and the path need not be known.
        side: height and width that images are brought to, in pixels.
        fit: `pad`, `stretch` or `crop`, see `decoding.decode`.
        colours: `grey`, `rgb`, or `auto`: grey if the channels of every image are equal.
        group: regular expression on an image's path inside the folder; what its capture groups catch, or else its whole match,
            names the group of images that stay together.
        burst: instead, images are one group whose names' last numbers follow each other by at most so much; 0 is off.
        grouped: False forgets the groups once they are known, to see what a split image by image would have said.

    Raises:
        InputError: see `settle_folder`.
    """
    look = Look(side, fit, colours)
    if path or not content:
        settled = settle_folder(path=path, content=content, side=side, fit=fit, colours=colours, group=group, burst=burst)
        content, look = settled["content"], Look(settled["side"], settled["fit"], settled["colours"])
    found = open_dataset(content, look)
    return found if grouped else replace(found, groups=None)

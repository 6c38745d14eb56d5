"""The dataset of a user's own images. A folder, archive or CSV table is scanned, validated, and decoded once to a cache.

The steps: `file_tree` or `archives` → `layouts` or `csv_tables` → `grouping` → `scanning` (with `decoding`) → `validation` →
`decoded_cache`.
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
    """Read every image of a folder, archive or table once, and report what can be used. Nothing is cached.

    Args:
        path: the path of a folder, a zip or tar archive, or a CSV table.
        group: a regular expression that names the group of an image, see `grouping.with_groups`.
        burst: the largest step between the numbers of one group, see `grouping.with_groups`.
        workers: the number of processes; None chooses it by the amount of work.

    Raises:
        InputError: if there is nothing to read, or no study is possible with these images.
    """
    listing = list_images(path, group=group, burst=burst)
    return judge(listing, inspect_all(listing, CHECKING, workers=workers, sink=None)).scan


def list_images(path: Path, *, group: str = "", burst: int = 0) -> Listing:
    """List all images of a folder, archive or table with class, part and group, without opening the images."""
    if not path.exists():
        raise InputError(f"{str(path)!r} does not exist; allowed: a folder, a zip or tar archive, or a CSV table")
    return with_groups(_list_images(path.resolve()), group=group, burst=burst)


def _list_images(path: Path) -> Listing:
    if path.is_dir():
        return _list_folder(walk(path), path.name)
    if is_archive(path):
        folder, refused = unpack(path)
        return _list_folder(walk(folder, shown=path), title_of(path), refused)
    if path.suffix.lower() == ".csv":
        return read_table(path, path.stem)
    raise InputError(f"{path} is neither a folder nor a file of a supported type; allowed: .zip, .tar (.gz, .xz, .bz2), .csv")


def _list_folder(walked: Walked, title: str, refused: tuple[Quarantined, ...] = ()) -> Listing:
    """List the images of a folder; `refused` are the members of its archive that were left out."""
    walked = unwrap(replace(walked, quarantined=(*refused, *walked.quarantined)))
    tables = image_tables(walked)
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise InputError(f"{walked.place} contains several tables of images: {names}; give the path of one of them")
    if not tables:
        return read_layout(walked, title)
    listing = read_table(tables[0], title, shown=walked.place / tables[0].name)
    return replace(listing, quarantined=(*refused, *listing.quarantined))


def find(path: str) -> Path:
    """Return the absolute path of a given path: relative to the working folder or, if nothing exists there, to the data folder.

    Raises:
        InputError: if nothing exists at either place.
    """
    places = dict.fromkeys(place.absolute() for place in (Path(path).expanduser(), paths.data_folder() / path))
    for place in places:
        if path and place.exists():
            return place.resolve()
    raise InputError(f"path: {path!r} was given; nothing exists at {' or '.join(map(str, places))}")


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
    """Scan and decode the images unless this was done before, and return the options that a run records.

    These options are `content`, `side`, `fit` and `colours`, and `grouped` if the groups are ignored.

    Raises:
        InputError: if there is no path, the images at the path cannot be studied, or they differ from the given content.
    """
    forgotten = {} if grouped else {"grouped": False}
    if content and not path:
        open_dataset(content, Look(side, fit, colours))
        return {"content": content, "side": side, "fit": fit, "colours": colours} | forgotten
    listing = list_images(find(path), group=group, burst=burst)
    found, decided = settle_listing(listing, Look(side, fit, colours), workers=workers)
    if content not in ("", found):
        raise InputError(f"content {content!r} was given; {path!r} now has the content {found!r}: its images have changed since")
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
    """Load a user's own images.

    Args:
        path: the path of a folder with class folders (optionally below `train`, `val` and `test`), of a zip or tar archive of such
            a folder, or of a CSV table `path,label[,split][,group]`. It is relative to the working folder or, if nothing exists
            there, to the data folder.
        content: the digest of the images. If only the content is given, the images come from the cache and no path is needed.
        side: the height and width of the decoded images in pixels.
        fit: `pad`, `stretch` or `crop`, see `decoding.decode`.
        colours: `grey`, `rgb`, or `auto`, which is `grey` if the channels of every image are equal, else `rgb`.
        group: a regular expression that is searched in an image's path inside the folder. The text of its capture groups, or of the
            whole match if it has none, names the group. Images of one group stay together.
        burst: the alternative to `group`: consecutive images form one group if the last numbers in their names differ by at most
            this much; 0 turns it off.
        grouped: False ignores the groups, to show the results of a split image by image.

    Raises:
        InputError: see `settle_folder`.
    """
    look = Look(side, fit, colours)
    if path or not content:
        settled = settle_folder(path=path, content=content, side=side, fit=fit, colours=colours, group=group, burst=burst)
        content, look = settled["content"], Look(settled["side"], settled["fit"], settled["colours"])
    found = open_dataset(content, look)
    return found if grouped else replace(found, groups=None)

"""Find the class and the part of each image by the folders that contain it.

The supported layouts are: class folders; class folders below `train`, `val` and `test`; either of these inside a single wrapping
folder, or inside a folder `images` next to folders such as `masks`.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from imagestudy.core.errors import InputError
from imagestudy.data.datasets import TEST, TRAIN, VALIDATION
from imagestudy.data.folders.csv_tables import is_table
from imagestudy.data.folders.file_tree import File, Walked
from imagestudy.data.folders.listing import PARTS, Listed, Listing, settle_parts
from imagestudy.data.folders.scan_report import Quarantined, say_quarantined

PICTURES = "images"
COMPANIONS = {"mask", "masks", "annotations", "segmentation", "segmentations"}
SHOWN = 5
TABLES_NOTE = "tables without the columns path and label (ignored)"


def unwrap(walked: Walked) -> Walked:
    """Enter folders that contain only one folder, as archives often do, and choose `images` over folders such as `masks`."""
    while not walked.loose() and not image_tables(walked):
        folders, bare = walked.folders(), walked.bare()
        alone = len(folders) == 1 and not _unreadable(walked, bare)
        chosen = next((folder for folder in folders if alone or folder.lower() == PICTURES), "")
        inner = walked.enter(chosen) if chosen else walked
        if not chosen or not (image_tables(inner) or (inner.folders() and not inner.loose())):
            return walked
        if len(folders) > 1:
            others = ", ".join(f for f in folders if f != chosen)
            walked.notes[f"images in folders next to {chosen!r} (ignored: {others})"] += len(walked.images) - len(inner.images)
        if bare:
            walked.notes[f"folders without images next to {chosen!r} (ignored: {', '.join(bare)})"] += len(bare)
        walked = inner
    return walked


def _unreadable(walked: Walked, folders: list[str]) -> list[str]:
    """Return the folders that are quarantined because they cannot be opened."""
    return [folder for folder in folders if any(one.path == folder for one in walked.quarantined)]


def image_tables(walked: Walked) -> list[Path]:
    """Return the tables of images at the top level."""
    return [walked.root / table.path for table in walked.tables if "/" not in table.path and is_table(walked.root / table.path)]


def read_layout(walked: Walked, title: str) -> Listing:
    """Return the listing of class folders, or of class folders below the parts of an official split.

    Raises:
        InputError: if there are no images, or if the folders contain images and masks instead of classes.
    """
    if not walked.images:
        raise InputError(
            f"{walked.place} contains no images; needed: class folders with images in them, or a table of images"
            f"{say_quarantined(walked.quarantined)}"
        )
    _refuse_masks(walked)
    notes = walked.notes + Counter({TABLES_NOTE: len(walked.tables)})
    found, bare = _split_entries(walked) if _is_split(walked.folders()) else _class_entries(walked, notes)
    quarantined = [*walked.quarantined, *(entry for entry in found if isinstance(entry, Quarantined))]
    listed = [entry for entry in found if isinstance(entry, Listed)]
    imageless = _imageless(walked, bare, {image.label for image in listed}, notes)
    listed = settle_parts(listed, notes)
    return Listing(walked.root, title, tuple(listed), tuple(quarantined), notes, imageless, walked.shown)


def _split_entries(walked: Walked) -> tuple[list[Listed | Quarantined], dict[str, str]]:
    """Return an entry for every image, and the class folders without images: name → path."""
    _refuse_unreadable_parts(walked)
    found = [_split_entry(image) for image in walked.images]
    return found, {name: f"{part}/{name}" for part, _, name in (f.partition("/") for f in walked.bare(1)) if part.lower() in PARTS}


def _class_entries(walked: Walked, notes: Counter[str]) -> tuple[list[Listed | Quarantined], dict[str, str]]:
    _check_subfolders(walked, notes)
    return [_class_entry(image, image.path, None) for image in walked.images], {folder: folder for folder in walked.bare()}


def _imageless(walked: Walked, bare: dict[str, str], labels: set[str], notes: Counter[str]) -> dict[str, str]:
    """Return the classes without any image, with the reason. Folders such as `masks` are not classes and are only noted."""
    companions = sorted(label for label in bare if label.lower() in COMPANIONS and label not in labels)
    if companions:
        notes[f"folders without images that are not classes by their names (ignored: {', '.join(companions)})"] += len(companions)
    return {label: walked.why_bare(folder) for label, folder in bare.items() if label not in labels and label not in companions}


def _refuse_unreadable_parts(walked: Walked) -> None:
    """Raise `InputError` if a part of the split cannot be opened; otherwise, another part would be drawn silently."""
    unreadable = _unreadable(walked, [folder for folder in walked.bare() if folder.lower() in PARTS])
    if unreadable:
        place, reason = walked.place / unreadable[0], walked.why_bare(unreadable[0])
        raise InputError(f"{place} is a part of the split, but {reason}; change its permissions")


def _is_split(folders: list[str]) -> bool:
    parts = {PARTS.get(folder.lower()) for folder in folders}
    return TRAIN in parts and bool(parts & {VALIDATION, TEST})


def _check_subfolders(walked: Walked, notes: Counter[str]) -> None:
    """Check top-level folders that contain images only in subfolders: note them, or reject them if they look like a split.

    Raises:
        InputError: if all of them contain the same two or more subfolders, and any of these names is that of a part of a split.
    """
    inside: dict[str, set[str]] = {}
    for image in walked.images:
        first, *below = image.path.split("/")
        if len(below) == 1:
            return
        if below:
            inside.setdefault(first, set()).add(below[0])
    if len(inside) < 2:
        return
    subfolders = next(iter(inside.values()))
    same = len(subfolders) > 1 and all(names == subfolders for names in inside.values())
    if same and any(name.lower() in PARTS for name in (*inside, *subfolders)):
        raise InputError(
            f"{walked.place}: the folders {_some(inside)} all contain the same folders, {_some(subfolders)}, like parts of a "
            "split; allowed names of parts: train or training; val, valid, validation, dev, eval or evaluation; test or testing; "
            "if these folders are not parts, put the images directly into their class folders"
        )
    if same or len(set(map(frozenset, inside.values()))) > 1:
        listed = "; ".join(f"{name!r} contains {_some(inside[name])}" for name in sorted(inside)[:SHOWN])
        notes[f"images in subfolders of the top-level folders, which are the classes: {listed}"] += len(walked.images)


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(map(repr, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")


def _split_entry(image: File) -> Listed | Quarantined:
    first, _, inside = image.path.partition("/")
    part = PARTS.get(first.lower())
    if part is None:
        return Quarantined(image.path, "", "not in a folder of the split")
    return _class_entry(image, inside, part)


def _class_entry(image: File, inside: str, part: int | None) -> Listed | Quarantined:
    label, below, _ = inside.partition("/")
    if not below:
        return Quarantined(image.path, "", "not in a class folder")
    return Listed(image.path, label, part, "", image.size, image.changed)


def _refuse_masks(walked: Walked) -> None:
    """Raise `InputError` if images and their masks would be mistaken for two classes."""
    names = {folder.lower() for part in walked.images for folder in part.path.split("/")[:-1]}
    classes = names - set(PARTS)
    if PICTURES in classes and classes - {PICTURES} and classes <= {PICTURES, *COMPANIONS}:
        raise InputError(
            f"{walked.place} contains images and masks, which are not classes; needed: class folders with images in them"
        )

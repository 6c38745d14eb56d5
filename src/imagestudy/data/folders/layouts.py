"""Which class and part an image belongs to, by the folders that it lies in.

Understood are class folders; `train`, `val` and `test` above them; either of these inside a single wrapping folder, or in `images`
beside folders such as `masks`.
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
TABLES_NOTE = "tables without the columns path and label: left out"


def unwrap(walked: Walked) -> Walked:
    """Look through folders that hold nothing but one folder, as archives tend to have, and choose `images` among its companions."""
    while not walked.loose() and not image_tables(walked):
        folders, bare = walked.folders(), walked.bare()
        alone = len(folders) == 1 and not _closed(walked, bare)
        chosen = next((folder for folder in folders if alone or folder.lower() == PICTURES), "")
        inner = walked.enter(chosen) if chosen else walked
        if not chosen or not (image_tables(inner) or (inner.folders() and not inner.loose())):
            return walked
        if len(folders) > 1:
            others = ", ".join(f for f in folders if f != chosen)
            walked.notes[f"images in folders beside {chosen!r}: left out ({others})"] += len(walked.images) - len(inner.images)
        if bare:
            walked.notes[f"folders without images beside {chosen!r}: left out ({', '.join(bare)})"] += len(bare)
        walked = inner
    return walked


def _closed(walked: Walked, folders: list[str]) -> list[str]:
    """Those that are quarantined themselves, since they cannot be opened."""
    return [folder for folder in folders if any(one.path == folder for one in walked.quarantined)]


def image_tables(walked: Walked) -> list[Path]:
    """Tables of images at the top."""
    return [walked.root / table.path for table in walked.tables if "/" not in table.path and is_table(walked.root / table.path)]


def read_layout(walked: Walked, title: str) -> Listing:
    """The listing of class folders, or of class folders below the parts of an official split.

    Raises:
        InputError: there are no images, or none in a folder.
    """
    if not walked.images:
        raise InputError(
            f"{walked.place} holds no images; expected are class folders with images in them, or a table of images"
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
    """An entry for every image, and the classes' folders without images: name → path."""
    _refuse_closed_parts(walked)
    found = [_split_entry(image) for image in walked.images]
    return found, {name: f"{part}/{name}" for part, _, name in (f.partition("/") for f in walked.bare(1)) if part.lower() in PARTS}


def _class_entries(walked: Walked, notes: Counter[str]) -> tuple[list[Listed | Quarantined], dict[str, str]]:
    _settle_deep(walked, notes)
    return [_class_entry(image, image.path, None) for image in walked.images], {folder: folder for folder in walked.bare()}


def _imageless(walked: Walked, bare: dict[str, str], labels: set[str], notes: Counter[str]) -> dict[str, str]:
    """Classes whose folders hold no image anywhere, and why; folders of companions are none, and noted."""
    beside = sorted(label for label in bare if label.lower() in COMPANIONS and label not in labels)
    if beside:
        notes[f"folders without images that are no classes by their names: left out ({', '.join(beside)})"] += len(beside)
    return {label: walked.why_bare(folder) for label, folder in bare.items() if label not in labels and label not in beside}


def _refuse_closed_parts(walked: Walked) -> None:
    """Raise `InputError` where a part of the split cannot be opened: without it, another one would be drawn in silence."""
    closed = _closed(walked, [folder for folder in walked.bare() if folder.lower() in PARTS])
    if closed:
        raise InputError(f"{walked.place / closed[0]} is a part of the split: {walked.why_bare(closed[0])}; let it be read")


def _is_split(folders: list[str]) -> bool:
    parts = {PARTS.get(folder.lower()) for folder in folders}
    return TRAIN in parts and bool(parts & {VALIDATION, TEST})


def _settle_deep(walked: Walked, notes: Counter[str]) -> None:
    """Look at folders that hold images in further folders alone: that is noted, and refused where it looks like a split.

    Raises:
        InputError: all hold two or more folders of the same names, and some of all these names are those of a split's parts.
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
    held = next(iter(inside.values()))
    alike = len(held) > 1 and all(names == held for names in inside.values())
    if alike and any(name.lower() in PARTS for name in (*inside, *held)):
        raise InputError(
            f"{walked.place}: the folders {_some(inside)} all hold the same folders, {_some(held)}, as the parts of a split do; "
            "allowed above class folders are the names train or training, val, valid, validation, dev, eval or evaluation, and "
            "test or testing; else put images straight into their class folder"
        )
    if alike or len(set(map(frozenset, inside.values()))) > 1:
        said = "; ".join(f"{name!r} holds {_some(inside[name])}" for name in sorted(inside)[:SHOWN])
        notes[f"images in folders below the classes, which are the folders at the top: {said}"] += len(walked.images)


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(map(repr, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")


def _split_entry(image: File) -> Listed | Quarantined:
    first, _, inside = image.path.partition("/")
    part = PARTS.get(first.lower())
    if part is None:
        return Quarantined(image.path, "", "lies beside the folders of the split")
    return _class_entry(image, inside, part)


def _class_entry(image: File, inside: str, part: int | None) -> Listed | Quarantined:
    label, below, _ = inside.partition("/")
    if not below:
        return Quarantined(image.path, "", "lies in no class folder")
    return Listed(image.path, label, part, "", image.size, image.changed)


def _refuse_masks(walked: Walked) -> None:
    """Raise `InputError` where images and their masks would be taken for two classes."""
    names = {folder.lower() for part in walked.images for folder in part.path.split("/")[:-1]}
    classes = names - set(PARTS)
    if PICTURES in classes and classes - {PICTURES} and classes <= {PICTURES, *COMPANIONS}:
        raise InputError(
            f"{walked.place} holds images and masks, which are no classes; expected are class folders with images in them"
        )

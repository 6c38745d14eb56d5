"""Which class and part an image belongs to, by the folders that it lies in.

Understood are class folders; `train`, `val` and `test` above them; either of these inside a single wrapping folder, or in `images`
beside folders such as `masks`.
"""

from collections import Counter
from pathlib import Path

from imagestudy.data.folders.listing import Listed, Listing
from imagestudy.data.folders.parts import PARTS, settle_parts
from imagestudy.data.folders.scans import Quarantined
from imagestudy.data.folders.tables import is_table
from imagestudy.data.folders.walking import File, Walked
from imagestudy.data.sources import TEST, TRAIN, VALIDATION
from imagestudy.errors import InputError

PICTURES = "images"
COMPANIONS = {"mask", "masks", "annotations", "segmentation", "segmentations"}
TABLES_NOTE = "tables without the columns path and label: left out"


def unwrap(walked: Walked) -> Walked:
    """Look through folders that hold nothing but one folder, as archives tend to have, and choose `images` among its companions."""
    while not walked.loose() and not image_tables(walked):
        folders = walked.folders()
        chosen = next((folder for folder in folders if len(folders) == 1 or folder.lower() == PICTURES), "")
        inner = walked.enter(chosen) if chosen else walked
        if not chosen or not (image_tables(inner) or (inner.folders() and not inner.loose())):
            return walked
        if len(folders) > 1:
            others = ", ".join(f for f in folders if f != chosen)
            walked.notes[f"images in folders beside {chosen!r}: left out ({others})"] += len(walked.images) - len(inner.images)
        walked = inner
    return walked


def image_tables(walked: Walked) -> list[Path]:
    """Tables of images at the top."""
    return [walked.root / table.path for table in walked.tables if "/" not in table.path and is_table(walked.root / table.path)]


def read_layout(walked: Walked, title: str) -> Listing:
    """The listing of class folders, or of class folders below the parts of an official split.

    Raises:
        InputError: there are no images, or none in a folder.
    """
    if not walked.images:
        raise InputError(f"{walked.root} holds no images; expected are class folders with images in them, or a table of images")
    _refuse_masks(walked)
    folders = walked.folders()
    if _is_split(folders):
        found = [_split_entry(image) for image in walked.images]
    else:
        found = [_class_entry(image, image.path, None) for image in walked.images]
    quarantined = [entry for entry in found if isinstance(entry, Quarantined)]
    listed = [entry for entry in found if isinstance(entry, Listed)]
    notes = walked.notes + Counter({TABLES_NOTE: len(walked.tables)})
    listed = settle_parts(listed, notes)
    return Listing(walked.root, title, tuple(listed), (*walked.quarantined, *quarantined), notes)


def _is_split(folders: list[str]) -> bool:
    parts = {PARTS.get(folder.lower()) for folder in folders}
    return TRAIN in parts and bool(parts & {VALIDATION, TEST})


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
            f"{walked.root} holds images and masks, which are no classes; expected are class folders with images in them"
        )

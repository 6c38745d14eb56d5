"""The images of a folder with class, part and group, taken from its layout or its table. No image is opened."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagestudy.data.datasets import TEST, TRAIN, VALIDATION
from imagestudy.data.folders.scan_report import Quarantined, digest_of


@dataclass(frozen=True)
class Listed:
    """An image that was not opened yet: path, class, part (0 train, 1 validation, 2 test), group, size, time of last change."""

    path: str
    label: str
    part: int | None
    group: str
    size: int
    changed: int


@dataclass(frozen=True)
class Listing:
    """All images in a layout or a table, sorted by path, with the files that are known to be unusable, and notes.

    `imageless` maps each class without an image to the reason. If given, messages show the path `shown` instead of `root`.
    """

    root: Path
    title: str
    images: tuple[Listed, ...]
    quarantined: tuple[Quarantined, ...]
    notes: Counter[str]
    imageless: dict[str, str] = field(default_factory=dict)
    shown: Path | None = None

    @property
    def place(self) -> Path:
        """Return the root as the user knows it."""
        return self.shown or self.root

    def signature(self) -> str:
        """Return a digest of names, sizes and times. It identifies the content unless someone sets file times by hand."""
        files = [value for i in self.images for value in (i.path, i.label, i.part, i.group, i.size, i.changed)]
        others = [value for q in self.quarantined for value in (q.path, q.reason)]
        return digest_of(
            [self.root, self.title, len(self.images), *files, *others, *sorted(self.notes.items()), *sorted(self.imageless.items())]
        )


PARTS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}

VALIDATION_AS_TEST_NOTE = "images of the validation part (used as the test part, because there is none)"

ONLY_TRAIN_NOTE = "images in a training part (a split is drawn, because there are no other parts)"


def settle_parts(listed: list[Listed], notes: Counter[str]) -> list[Listed]:
    """Return the images with the parts that a study can use, and add what was changed to `notes`.

    If the parts are training and validation, validation becomes the test part. If training is the only part, the part is removed.
    """
    parts = {image.part for image in listed}
    if parts == {TRAIN, VALIDATION}:
        notes[VALIDATION_AS_TEST_NOTE] += sum(image.part == VALIDATION for image in listed)
        return [replace(image, part=TEST if image.part == VALIDATION else TRAIN) for image in listed]
    if parts == {TRAIN}:
        notes[ONLY_TRAIN_NOTE] += len(listed)
        return [replace(image, part=None) for image in listed]
    return listed

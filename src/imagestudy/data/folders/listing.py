"""The images of a folder with class, part and group, as its layout or its table says; no image is opened."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagestudy.data.datasets import TEST, TRAIN, VALIDATION
from imagestudy.data.folders.scan_report import Quarantined, digest_of


@dataclass(frozen=True)
class Listed:
    """An image that has not been looked at: path inside, class, part (0 train, 1 validation, 2 test), group, size, last change."""

    path: str
    label: str
    part: int | None
    group: str
    size: int
    changed: int


@dataclass(frozen=True)
class Listing:
    """All images that a layout or a table names, sorted by path, what is known to be unusable, and notes.

    `imageless` are classes that are named without an image, and why; `shown` is what stands for the root in sentences.
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
        """The root as the user knows it."""
        return self.shown or self.root

    def signature(self) -> str:
        """A digest of names, sizes and times, which stands for the content as long as nobody sets times by hand."""
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

VALIDATION_AS_TEST_NOTE = "images of the validation part: they are the test part, since there is no other"

ONLY_TRAIN_NOTE = "images said to be for training: parts are drawn, since there are no others"


def settle_parts(listed: list[Listed], notes: Counter[str]) -> list[Listed]:
    """The images with the parts that a study can use: a lone validation part becomes the test part, a lone training part none.

    What was changed is added to `notes`.
    """
    parts = {image.part for image in listed}
    if parts == {TRAIN, VALIDATION}:
        notes[VALIDATION_AS_TEST_NOTE] += sum(image.part == VALIDATION for image in listed)
        return [replace(image, part=TEST if image.part == VALIDATION else TRAIN) for image in listed]
    if parts == {TRAIN}:
        notes[ONLY_TRAIN_NOTE] += len(listed)
        return [replace(image, part=None) for image in listed]
    return listed

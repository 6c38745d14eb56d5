"""The parts of an official split, as people name them."""

from collections import Counter
from dataclasses import replace

from imagestudy.data.folders.listing import Listed
from imagestudy.data.sources import TEST, TRAIN, VALIDATION

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

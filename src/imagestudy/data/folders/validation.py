"""Turn the results of reading files into a scan: find duplicates and contradictions, and check whether a study is possible."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from imagestudy.core.errors import InputError
from imagestudy.data.datasets import TEST, TRAIN, VALIDATION
from imagestudy.data.folders.listing import Listing
from imagestudy.data.folders.scan_report import Duplicate, Quarantined, Scan, ScannedImage, digest_of, say_quarantined
from imagestudy.data.folders.scanning import Seen

LEAST_IMAGES = 3
"""The smallest number of images per class: one each to train, validate and test."""
COPY_NOTE = "exact copies of an image in the same class and part (one is kept)"
LEAK_NOTE = "training or validation images that are also in the test part, or training images in the validation part (left out)"
SPREAD_NOTE = "groups in more than one part of the official split (kept, because the owner chose the split)"
SHOWN = 20


@dataclass(frozen=True)
class Judged:
    """A scan, and the row of each of its images in the written pixels, which contain all readable images in order."""

    scan: Scan
    rows: list[int]


def judge(listing: Listing, seen: Sequence[Seen]) -> Judged:
    """Select the images that can be used.

    Of files with the same bytes in one class and part, one is kept. If they are in different parts, the one in the last part is
    kept (test before validation before training). If they are in different classes, none is kept.

    Raises:
        InputError: see `check`.
    """
    usable, broken = _readable(listing, seen)
    duplicates = _duplicates(usable)
    contradictions = [one for pair in duplicates if pair.crosses_classes for one in _contradictions(pair)]
    dropped = {path for pair in duplicates for path in pair.paths if path != pair.kept}
    rows = [row for row, image in enumerate(usable) if image.path not in dropped]
    kept = tuple(usable[row] for row in rows)
    quarantined = sorted((*listing.quarantined, *broken, *contradictions), key=lambda one: one.path)
    labels = {image.label for image in listing.images} | set(listing.imageless)
    check(labels, kept, quarantined, where=str(listing.place), imageless=listing.imageless)
    notes = listing.notes + _notes(seen, duplicates, kept)
    content = digest_of(value for i in kept for value in (i.path, i.label, i.part, i.group, i.digest))
    classes = tuple(sorted(labels, key=natural_key))
    return Judged(Scan(listing.root, listing.title, kept, tuple(quarantined), dict(notes), duplicates, classes, content), rows)


def _readable(listing: Listing, seen: Sequence[Seen]) -> tuple[list[ScannedImage], list[Quarantined]]:
    usable, broken = [], []
    for listed, one in zip(listing.images, seen, strict=True):
        if one.facts is None:
            broken.append(Quarantined(listed.path, listed.label, one.reason))
            continue
        facts = (one.facts.format, one.facts.mode, one.facts.width, one.facts.height)
        usable.append(ScannedImage(listed.path, listed.label, listed.part, listed.group, *facts, listed.size, one.digest))
    return usable, broken


def _duplicates(images: Iterable[ScannedImage]) -> tuple[Duplicate, ...]:
    same: defaultdict[str, list[ScannedImage]] = defaultdict(list)
    for image in images:
        same[image.digest].append(image)
    return tuple(_duplicate(group) for group in same.values() if len(group) > 1)


def _duplicate(images: list[ScannedImage]) -> Duplicate:
    kept = max(images, key=lambda image: -1 if image.part is None else image.part)
    labels = tuple(image.label for image in images)
    paths, parts = tuple(image.path for image in images), tuple(image.part for image in images)
    return Duplicate(paths, labels, parts, kept.path if len(set(labels)) == 1 else "")


def _contradictions(pair: Duplicate) -> Iterator[Quarantined]:
    for path, label in zip(pair.paths, pair.labels, strict=True):
        other = next(i for i, found in enumerate(pair.labels) if found != label)
        reason = f"the same image is also in another class, {pair.labels[other]!r}: {pair.paths[other]}"
        yield Quarantined(path, label, reason)


def _notes(seen: Sequence[Seen], duplicates: Sequence[Duplicate], kept: Sequence[ScannedImage]) -> Counter[str]:
    notes = Counter(note for one in seen if one.facts is not None for note in one.facts.notes)
    for pair in duplicates:
        if not pair.crosses_classes:
            part = pair.parts[pair.paths.index(pair.kept)]
            copies = pair.parts.count(part) - 1
            notes += Counter({COPY_NOTE: copies, LEAK_NOTE: len(pair.parts) - copies - 1})
    sides: defaultdict[str, set[int | None]] = defaultdict(set)
    for image in kept:
        sides[image.group].add(image.part)
    notes += Counter({SPREAD_NOTE: sum(len(parts) > 1 for group, parts in sides.items() if group)})
    return notes


def check(
    labels: set[str],
    images: Sequence[ScannedImage],
    quarantined: Sequence[Quarantined],
    *,
    where: str,
    imageless: Mapping[str, str],
) -> None:
    """Raise `InputError` unless there are two or more classes with clearly different names, each with enough images.

    `imageless` maps each class without any image to the reason.
    """
    tail = say_quarantined(quarantined)
    _refuse_similar_labels(labels, where)
    if len(labels) < 2:
        raise InputError(f"{where} contains one class, {min(labels, default='')!r}; needed: two or more class folders{tail}")
    counts = Counter(image.label for image in images)
    if small := [f"{label!r} ({counts[label]})" for label in sorted(labels, key=natural_key) if counts[label] < LEAST_IMAGES]:
        reasons = [f"{label!r}: {imageless[label]}" for label in sorted(imageless, key=natural_key)]
        why = f" ({_some(reasons, between='; ')})" if reasons else ""
        raise InputError(
            f"{where}: classes with fewer than {LEAST_IMAGES} usable images: {_some(small)}{why}; needed: {LEAST_IMAGES} or "
            f"more, to train, validate and test; add images to these classes, or remove them{tail}"
        )
    if any(image.part is not None for image in images):
        _check_split(labels, images, where=where, tail=tail)


def _refuse_similar_labels(labels: set[str], where: str) -> None:
    similar: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        similar[unicodedata.normalize("NFKC", label).strip().casefold()].append(label)
    if pairs := [" and ".join(map(repr, found)) for found in similar.values() if len(found) > 1]:
        raise InputError(f"{where}: labels that differ only in case, blanks or encoding: {_some(pairs)}; give each class one name")


def _check_split(labels: set[str], images: Sequence[ScannedImage], *, where: str, tail: str) -> None:
    """Raise `InputError` unless every class is in every part, and twice in the training part if there is no validation part."""
    counts = Counter((image.label, image.part) for image in images)
    parts = {part for _, part in counts}
    least = {TRAIN: 1 if VALIDATION in parts else 2, VALIDATION: 1 if VALIDATION in parts else 0, TEST: 1}
    for part, name in ((TRAIN, "training"), (VALIDATION, "validation"), (TEST, "test")):
        if small := [
            f"{label!r} ({counts[label, part]})" for label in sorted(labels, key=natural_key) if counts[label, part] < least[part]
        ]:
            raise InputError(
                f"{where}: classes with too few images in the {name} part: {_some(small)}; needed there: {least[part]} or more; "
                f"move images there, remove these classes, or give the images without a split{tail}"
            )


def _some(names: Sequence[str], *, between: str = ", ") -> str:
    return between.join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a sort key: digits by their value, letters without regard to case, and ties by the plain name."""
    pieces = re.split(r"([0-9]+)", name)
    return tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece.casefold()) for piece in pieces if piece), name

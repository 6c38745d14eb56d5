"""Group images of the same object by their paths: by a regular expression, or by consecutive numbers in the file names."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from imagestudy.core.errors import InputError
from imagestudy.data.folders.listing import Listing

UNMATCHED_NOTE = "images without a match of the group expression (each is its own group)"


def with_groups(listing: Listing, *, group: str, burst: int) -> Listing:
    """Return the listing with a group for each image. The group column of a table has priority, then the expression.

    Args:
        listing: the listing of all images.
        group: a regular expression that is searched in the path inside the folder. The text of its capture groups, or of the whole
            match if it has none, names the group.
        burst: the largest difference between the last numbers of two consecutive file names in one group; 0 turns it off.

    Raises:
        InputError: if the expression is invalid, or if both `group` and `burst` are given.
    """
    if group and burst:
        raise InputError(f"group {group!r} and burst {burst} were given; allowed: only one of them")
    if any(image.group for image in listing.images):
        return listing
    if group:
        return _grouped_by_expression(listing, group)
    if burst:
        named = _bursts([image.path for image in listing.images], burst)
        images = tuple(replace(image, group=name) for image, name in zip(listing.images, named, strict=True))
        return replace(listing, images=images)
    return listing


def _grouped_by_expression(listing: Listing, group: str) -> Listing:
    try:
        expression = re.compile(group)
    except re.error as error:
        raise InputError(f"group: {group!r} was given; allowed: a valid regular expression ({error})") from None
    images = tuple(replace(image, group=_matched_text(expression, image.path)) for image in listing.images)
    notes = listing.notes.copy()
    if unmatched := sum(not image.group for image in images):
        notes[UNMATCHED_NOTE] += unmatched
    return replace(listing, images=images, notes=notes)


def _matched_text(expression: re.Pattern[str], path: str) -> str:
    match = expression.search(path)
    if match is None:
        return ""
    return "|".join(text or "" for text in match.groups()) if expression.groups else match[0]


def _bursts(paths: Sequence[str], burst: int) -> list[str]:
    """Return the group of each path, named by the first number of its chain; a name without a number is its own group."""
    numbers = [int(found[-1]) if (found := re.findall(r"[0-9]+", PurePosixPath(path).stem)) else None for path in paths]
    first: dict[int, int] = {}
    previous: int | None = None
    for number in sorted({number for number in numbers if number is not None}):
        first[number] = first[previous] if previous is not None and number - previous <= burst else number
        previous = number
    return ["" if number is None else f"from {first[number]}" for number in numbers]


def number_groups(groups: Sequence[str]) -> list[int] | None:
    """Number the groups in order of appearance; an image without a group is its own group. None if no image has a group."""
    if not any(groups):
        return None
    known: dict[str | int, int] = {}
    return [known.setdefault(group or row, len(known)) for row, group in enumerate(groups)]

"""Images that show one thing, told by their paths: a regular expression, or numbers that follow each other."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from imagestudy.core.errors import InputError
from imagestudy.data.folders.listing import Listing

UNMATCHED_NOTE = "images in whose path the group's expression finds nothing: each stands for itself"


def with_groups(listing: Listing, *, group: str, burst: int) -> Listing:
    """The listing with a group to each image; a table's own column of groups wins, then the expression.

    Args:
        listing: of all images.
        group: regular expression on the path inside; its capture groups, or its whole match without any, name the group.
        burst: largest difference between the last numbers of two file names that follow each other in one group; 0 is off.

    Raises:
        InputError: the expression is none, or both are given.
    """
    if group and burst:
        raise InputError(f"group {group!r} and burst {burst} were given; allowed is one of them")
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
        raise InputError(f"group: {group!r} was given; allowed is a regular expression: {error}") from None
    images = tuple(replace(image, group=_caught(expression, image.path)) for image in listing.images)
    notes = listing.notes.copy()
    if unmatched := sum(not image.group for image in images):
        notes[UNMATCHED_NOTE] += unmatched
    return replace(listing, images=images, notes=notes)


def _caught(expression: re.Pattern[str], path: str) -> str:
    match = expression.search(path)
    if match is None:
        return ""
    return "|".join(caught or "" for caught in match.groups()) if expression.groups else match[0]


def _bursts(paths: Sequence[str], burst: int) -> list[str]:
    """The group of each path: its chain is named by the first number in it; a name without a number is a group of its own."""
    numbers = [int(found[-1]) if (found := re.findall(r"[0-9]+", PurePosixPath(path).stem)) else None for path in paths]
    first: dict[int, int] = {}
    previous: int | None = None
    for number in sorted({number for number in numbers if number is not None}):
        first[number] = first[previous] if previous is not None and number - previous <= burst else number
        previous = number
    return ["" if number is None else f"from {first[number]}" for number in numbers]


def number_groups(groups: Sequence[str]) -> list[int] | None:
    """A number for each image's group, in order of appearance; images without one are groups of their own. None if none has one."""
    if not any(groups):
        return None
    known: dict[str | int, int] = {}
    return [known.setdefault(group or row, len(known)) for row, group in enumerate(groups)]

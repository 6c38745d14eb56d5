"""The order in which people count: `class2` before `class10`."""

import re


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A key for sorting: digits by their value, letters without regard to case, equal ones by the plain name."""
    pieces = re.split(r"([0-9]+)", name)
    return tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece.casefold()) for piece in pieces if piece), name

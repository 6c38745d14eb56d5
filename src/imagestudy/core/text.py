"""Format numbers and names as text: rounding, signs, missing values, escaping for Markdown, and style classes for tables."""

import html
import re
from collections.abc import Sequence
from math import isfinite, isinf

import pandas as pd

MISSING = "–"

MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$^:@-])")
VERDICTS = ("supported", "contradicted", "equivalent", "undecided", "higher", "lower")
NUMBER = re.compile(r"(?i)(< )?[+−-]?(\d[\d.,]*(e[+−-]?\d+)?|∞|inf|nan|[–—]) ?[%×s]?( ?\[[^\]]*\])?|\[[\d.,; +−-]*\]|-")
LONG = 24
"""A cell with more characters than this is long."""


def escape(text: str) -> str:
    """Escape external text, such as a class or folder name, so that Markdown shows it literally."""
    return MARKUP.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def signed(value: float, *, digits: int = 1) -> str:
    """Format a number with its sign, as `+1.2` or `−0.3`. A number that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def plain(value: float, *, digits: int = 3) -> str:
    """Format a number with fixed digits, as `0.812` or `−∞`. A missing number becomes a dash."""
    if isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}".replace("-", "−") if isfinite(value) else MISSING


def say_p(value: float) -> str:
    """Format a p-value with two significant digits, as `0.031`, `0.42` or `< 0.001`."""
    if not isfinite(value):
        return MISSING
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def fold_share(row: pd.Series) -> str:
    """Format an estimate and its interval, as `0.812 [0.798, 0.825]`."""
    return f"{plain(row['estimate'])} [{plain(row['low'])}, {plain(row['high'])}]"


def fold_points(row: pd.Series) -> str:
    """Format a difference and its interval in percentage points, as `+1.2 [0.4, 2.0]`."""
    return f"{signed(100 * row['difference'])} [{plain(100 * row['low'], digits=1)}, {plain(100 * row['high'], digits=1)}]"


def whole(value: float) -> str:
    """Format a number as an integer with thousands separators, as `39,812`. A missing number becomes a dash."""
    return f"{value:,.0f}" if isfinite(value) else MISSING


def about(value: float) -> str:
    """Format a number with three significant digits, as `12.3`, `0.00456` or `39,800`. A missing number becomes a dash."""
    return f"{float(f'{value:.3g}'):,.10g}".replace("-", "−") if isfinite(value) else MISSING


def say_times(ratio: float) -> str:
    """Say how long something takes in comparison, as `2.3 times as long`; ratios within 5 % of 1 are `about as long`."""
    return "about as long" if abs(ratio - 1) < 0.05 else f"{float(f'{ratio:.2g}'):,.10g} times as long"


def kinds_of_column(texts: Sequence[str]) -> list[str]:
    """Return a style class for each cell of a table column. The first cell is the header.

    The style sheet of the site aligns numbers, highlights verdicts and wraps long text.

    Returns:
        For each cell: "", "number", "long", or "verdict" followed by the verdict. The header is a number cell if all other cells
        are numbers or empty. Otherwise, it has no class.
    """
    body = [" ".join(text.split()) for text in texts[1:]]
    numeric = {_kind(text) for text in body if text} == {"number"}
    return ["number" if numeric else "", *map(_kind, body)]


def _kind(text: str) -> str:
    if text.lower() in VERDICTS:
        return f"verdict {text.lower()}"
    if NUMBER.fullmatch(text):
        return "number"
    return "long" if len(text) > LONG else ""

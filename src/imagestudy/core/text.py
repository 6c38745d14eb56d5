"""Format numbers and names as text: rounding, signs, missing values, and escaping for Markdown."""

import html
import re
from math import isfinite, isinf

import pandas as pd

MISSING = "–"

MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$^:@-])")


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

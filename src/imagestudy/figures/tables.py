"""Show tables as HTML: rounded, escaped, with numbers aligned right, and identical bit for bit on every call.

Timings differ from run to run, so a test that compares notebook outputs would fail on them. `show` therefore leaves them out unless
they are requested by name. The style sheet of the site colors verdicts and wraps long text.
"""

import html
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from IPython.display import HTML

from imagestudy.core.text import about, fold_points, fold_share, kinds_of_column, plain, say_p, signed, whole
from imagestudy.figures.style import name_remedies

TIMINGS = ("seconds", "latency_ms", "images_per_second", "memory_mb")
FOLDED = ("low", "high")
"""Bounds that are not columns of their own."""
FOLDING = ("estimate", "difference")
"""Columns that are written with their bounds."""
NUMBER_STYLE = "text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums"
TEXT_STYLE = "text-align: left"


FORMATS: dict[str, Callable[[float], str]] = {
    "p": say_p,
    "P(A > B)": lambda value: plain(value, digits=2),
    "ratio": lambda value: f"{value:g}",
    "params": whole,
    "flops": whole,
    "parameters": whole,
    **dict.fromkeys(TIMINGS, about),
}


def show(
    frame: pd.DataFrame,
    columns: dict[str, str] | Sequence[str] | None = None,
    *,
    bold: Sequence[bool] | pd.Series | None = None,
    caption: str | None = None,
) -> HTML:
    """Return a table as HTML for a notebook; a table without rows becomes its caption alone.

    The bounds in the columns `low` and `high` are written in the column `estimate` as `0.812 [0.798, 0.825]`, or in the column
    `difference` as `+1.2 [0.4, 2.0]`, in points.

    Args:
        frame: table to show; its index is not shown.
        columns: column name → title of each column to show, or the names alone. None shows all columns except timings.
        bold: for each row, whether its name and score are bold: it is statistically indistinguishable from the best
            (`comparisons.near_best`).
        caption: plain text below the table. None describes the intervals, if the table has any; "" writes nothing.

    Raises:
        KeyError: if a requested column is not in the table.
        ValueError: if `bold` and `frame` differ in length.
    """
    frame = name_remedies(frame)
    titles = _titles(frame, columns)
    heavy = [False] * len(frame) if bold is None else [bool(b) for b in bold]
    if len(heavy) != len(frame):
        raise ValueError(f"bold has {len(heavy)} entries for {len(frame)} rows")
    named = [name for place, name in enumerate(titles) if place == 0 or name in FOLDING]
    if frame.empty:
        return HTML(_foot(caption or ""))
    columns_html = [_column(frame, name, title, heavy if name in named else ()) for name, title in titles.items()]
    head, *body = ["".join(row) for row in zip(*columns_html, strict=True)]
    rows = "\n".join(f"<tr>{row}</tr>" for row in body)
    below = _caption(frame, titles, bold is not None) if caption is None else caption
    table = f'<table class="dataframe">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n'
    return HTML(f"{table}{_foot(below)}")


def _foot(caption: str) -> str:
    return f'<p class="caption">{html.escape(caption)}</p>\n' if caption else ""


def _titles(frame: pd.DataFrame, columns: dict[str, str] | Sequence[str] | None) -> dict[str, str]:
    if isinstance(columns, dict):
        wanted = dict(columns)
    elif columns is not None:
        wanted = {name: name.replace("_", " ") for name in columns}
    else:
        folded = FOLDED if set(FOLDING) & set(frame) else ()
        wanted = {str(name): str(name).replace("_", " ") for name in frame if name not in (*TIMINGS, *folded)}
    unknown = [name for name in wanted if name not in frame]
    if unknown:
        raise KeyError(f"columns {unknown} are not in the table; it has {list(frame)}")
    return wanted


def _format(frame: pd.DataFrame, name: str) -> list[str]:
    bounded = set(FOLDED) <= set(frame)
    if name in FOLDING and bounded:
        fold = fold_share if name == "estimate" else fold_points
        return [fold(row) for _, row in frame.iterrows()]
    column = frame[name]
    if name == "difference":
        return [signed(100.0 * value) for value in column]
    if name in FORMATS:
        return [FORMATS[name](float(value)) for value in column]
    return [_say(value) for value in column]


def _say(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float | np.floating):
        return plain(float(value))
    return "" if value is None else str(value)


def _column(frame: pd.DataFrame, name: str, title: str, heavy: Sequence[bool]) -> list[str]:
    """Return the HTML cells of one column, header first; numbers are aligned right without line breaks, text is aligned left."""
    numbers = pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
    style = NUMBER_STYLE if numbers else TEXT_STYLE
    texts = [title, *_format(frame, name)]
    attributes = [f' style="{style}"' + (f' class="{kind}"' if kind else "") for kind in kinds_of_column(texts)]
    head, *body = [html.escape(text) for text in texts]
    marked = [f"<b>{text}</b>" if bold else text for text, bold in zip(body, heavy or [False] * len(body), strict=True)]
    cells = (f"<td{own}>{text}</td>" for own, text in zip(attributes[1:], marked, strict=True))
    return [f"<th{attributes[0]}>{head}</th>", *cells]


def _caption(frame: pd.DataFrame, titles: dict[str, str], bold: bool) -> str:
    """Return the default caption: confidence level, number of runs and test images, what was redrawn, and what bold means."""
    if not set(FOLDING) & set(titles) or not {*FOLDED, "runs", "images"} <= set(frame):
        return ""
    most = int(frame["comparisons"].max()) if "comparisons" in frame else 1
    level = f"{100 - 5 / most:.3g} % (corrected for {most} comparisons)" if most > 1 else "95 %"
    runs, images = _range(frame["runs"]), _range(frame["images"])
    caption = f"Confidence intervals at {level}, n = {runs} run{'' if runs == '1' else 's'} × {images} test images. "
    caption += "Redrawn: training subset, class order, initialization and batch order in each run, and the test images."
    return f"{caption} Bold: statistically indistinguishable from the best." if bold else caption


def _range(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


NOT_RECORDED = "No runs of this kind are recorded at this effort."
NOT_INSTALLED = "This part needs TensorFlow, which is not installed."


def show_or_say(frame: pd.DataFrame, columns: dict[str, str], *, caption: str = "", otherwise: str = NOT_RECORDED) -> HTML:
    """Return the table as HTML (see `show`), or the sentence `otherwise` if the table has no rows."""
    return show(frame, columns, caption=caption) if len(frame) else HTML(f"<p>{html.escape(otherwise)}</p>")

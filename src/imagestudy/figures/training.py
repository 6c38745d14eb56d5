"""How a model learned, and how it does class by class."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator

from imagestudy.experiments.records import Record
from imagestudy.figures.style import INK, WIDTH, Picture, add_legend, drawable, drawing, named_artists, palette, shorten
from imagestudy.models import models

LOSS, WATCHED = 1, 3
"""Columns of a record's curve: images seen, mean loss, accuracy on the batches, balanced accuracy on validation."""


def draw_curves(cells: dict[str, Iterable[Record]], *, title: str = "") -> Picture:
    """Training loss, and balanced accuracy on validation, against images seen: each run thin, their mean thick.

    Args:
        cells: label → the runs of one cell (`Records` or any of their records); runs without a curve are left out.
        title: above everything.
    """
    runs = {label: [record for record in cell if "curve" in record.arrays] for label, cell in cells.items()}
    runs = {label: records for label, records in runs.items() if records}
    looks = _looks(runs)
    with drawing(4.6 + (0.3 if title else 0), title=title) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for axes, column, name in ((upper, LOSS, "training loss\n(nats)"), (lower, WATCHED, "validation\nbalanced accuracy")):
            for label, records in runs.items():
                _put_runs(axes, [record.arrays["curve"] for record in records], column, label, looks[label])
            axes.set_ylabel(name)
            axes.grid(axis="y")
        lower.set_xlabel("training images seen")
        lower.xaxis.set_major_locator(MaxNLocator(5))
        lower.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        add_legend(figure, named_artists(upper))
    return figure


def _looks(runs: dict[str, list[Record]]) -> dict[str, tuple[str, str]]:
    """Colours by family, where each label is of a family of its own; else in order."""
    families = {label: models.entry(records[0].spec.model.name).facts["family"] for label, records in runs.items()}
    if len(set(families.values())) < len(families):
        return palette(list(runs))
    by_family = palette(list(families.values()))
    return {label: by_family[family] for label, family in families.items()}


def _put_runs(axes: Axes, curves: list[np.ndarray], column: int, label: str, look: tuple[str, str]) -> None:
    for curve in curves:
        axes.plot(curve[:, 0], curve[:, column], color=look[0], linewidth=0.7, alpha=0.45)
    if len({curve.shape for curve in curves}) == 1:
        mean = np.mean(curves, axis=0)
        axes.plot(mean[:, 0], mean[:, column], color=look[0], linewidth=2.2, label=label)


def draw_confusion(matrix: Shaped[np.ndarray, "class class"], classes: Sequence[str], *, title: str = "") -> Picture:
    """How often images of a class (row) are given each class (column); the shade is the share of the row, a 0 is left blank.

    Args:
        matrix: images, by true and predicted class; whole, or a mean over runs.
        classes: their names.
        title: above everything.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    names = [shorten(name, room=14) for name in drawable(classes)]
    with drawing(WIDTH * 0.92 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
        if len(names) <= 16:
            _put_numbers(axes, matrix, share)
        long = max(map(len, names)) > 3
        axes.set_xticks(range(len(names)), names, rotation=60 if long else 0, ha="right" if long else "center")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
    return figure


def _put_numbers(axes: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    whole = np.allclose(matrix, np.rint(matrix))
    size = min(10.0, 110 / len(matrix))
    for (row, column), number in np.ndenumerate(matrix):
        if number:
            color = "white" if share[row, column] > 0.35 else INK
            axes.text(
                column,
                row,
                f"{number:.0f}" if whole or number >= 99.95 else f"{number:.1f}",
                ha="center",
                va="center",
                color=color,
                size=size,
            )


def draw_recall(frame: pd.DataFrame, *, by: str = "model", classes: Sequence[str] | None = None, title: str = "") -> Picture:
    """Recall of each class: every run a small dot, their mean a large one.

    Args:
        frame: one row a run and class, with the columns `class` (its number), `recall` and `by`; with `count`, the class's
            training images stand beside its name where they are the same in all rows.
        by: column whose values are told apart by colour.
        classes: names of the classes.
        title: above everything.
    """
    groups = list(dict.fromkeys(frame[by])) if by in frame else [""]
    looks = palette(groups)
    numbers = sorted(set(frame["class"]))
    with drawing(2.9 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for place, group in enumerate(groups):
            rows = frame[frame[by] == group] if by in frame else frame
            shift = (place - (len(groups) - 1) / 2) * min(0.2, 0.7 / len(groups))
            color, marker = looks[group]
            axes.plot(rows["class"] + shift, rows["recall"], ".", color=color, alpha=0.35, markersize=4)
            mean = rows.groupby("class")["recall"].mean()
            axes.plot(mean.index + shift, mean, marker, color=color, markersize=6, label=str(group))
        written = None if classes is None else drawable(classes)
        names = [str(number) if written is None else shorten(written[number], room=12) for number in numbers]
        long = max(map(len, names)) > 4
        named = [_with_count(frame, number, name, " (%s)" if long else "\n%s") for number, name in zip(numbers, names, strict=True)]
        axes.set_xticks(numbers, named, rotation=60 if long else 0, ha="right" if long else "center")
        axes.set_xlabel("class" if named == names else "class and its training images")
        axes.set_ylabel("recall")
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
    return figure


def _with_count(frame: pd.DataFrame, number: int, name: str, form: str) -> str:
    """The name of a class with its training images, if they are the same in all rows."""
    counts = set(frame.loc[frame["class"] == number, "count"]) if "count" in frame else set()
    return name + form % f"{counts.pop():,}" if len(counts) == 1 else name

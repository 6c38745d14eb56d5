"""Draw how models learned, and their predictions and recall class by class."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator

from imagestudy.experiments.records import Record
from imagestudy.figures.style import (
    INK,
    WIDTH,
    Picture,
    add_legend,
    drawable,
    drawing,
    legend_keys,
    name_remedies,
    named_artists,
    palette,
    shorten,
)
from imagestudy.models import models

LOSS, VALIDATION = 1, 3
"""Columns of a recorded curve that are drawn. All columns: images seen, mean loss, accuracy on the batches, balanced accuracy on
validation."""


def draw_curves(cells: dict[str, Iterable[Record]], *, title: str = "") -> Picture:
    """Draw training loss and validation balanced accuracy against images seen: runs as thin lines, their mean as a thick line.

    Args:
        cells: label → runs of one cell (`Records` or any of their records). Runs without a curve are left out.
        title: title above both panels.
    """
    runs = {label: [record for record in cell if "curve" in record.arrays] for label, cell in cells.items()}
    runs = {label: records for label, records in runs.items() if records}
    styles = _family_styles(runs)
    with drawing(4.6 + (0.3 if title else 0), title=title) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for axes, column, name in ((upper, LOSS, "training loss\n(nats)"), (lower, VALIDATION, "validation\nbalanced accuracy")):
            for label, records in runs.items():
                _put_runs(axes, [record.arrays["curve"] for record in records], column, label, styles[label][0])
            axes.set_ylabel(name)
            axes.grid(axis="y")
        lower.set_xlabel("training images seen")
        lower.xaxis.set_major_locator(MaxNLocator(5))
        lower.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        add_legend(figure, named_artists(upper))
    return figure


def _family_styles(runs: dict[str, list[Record]]) -> dict[str, tuple[str, str]]:
    """Return color and marker for each label: those of its family if no two labels share one, else in order."""
    families = {label: models.entry(records[0].spec.model.name).facts["family"] for label, records in runs.items()}
    if len(set(families.values())) < len(families):
        return palette(list(runs))
    by_family = palette(list(families.values()))
    return {label: by_family[family] for label, family in families.items()}


def _put_runs(axes: Axes, curves: list[np.ndarray], column: int, label: str, color: str) -> None:
    for curve in curves:
        axes.plot(curve[:, 0], curve[:, column], color=color, linewidth=0.7, alpha=0.45)
    if len({curve.shape for curve in curves}) == 1:
        mean = np.mean(curves, axis=0)
        axes.plot(mean[:, 0], mean[:, column], color=color, linewidth=2.2, label=label)


def draw_confusion(matrix: Shaped[np.ndarray, "class class"], classes: Sequence[str], *, title: str = "") -> Picture:
    """Draw a confusion matrix: rows are true classes, columns are predicted classes, and the shade is the share of the row.

    A cell shows its number of images if there are at most 16 classes; a 0 is left blank.

    Args:
        matrix: number of images by true and predicted class, or its mean over runs.
        classes: class names.
        title: title above the matrix.
    """
    import seaborn as sns

    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    names = [shorten(name, room=14) for name in drawable(classes)]
    with drawing(WIDTH * 0.92 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        sns.heatmap(
            share,
            annot=_cell_texts(matrix) if len(names) <= 16 else None,
            fmt="",
            annot_kws={"size": min(10.0, 110 / len(names))},
            cmap="Blues",
            norm=PowerNorm(0.5, 0, 1),
            cbar=False,
            square=True,
            xticklabels=False,
            yticklabels=False,
            ax=axes,
        )
        for text, part in zip(axes.texts, share.flat, strict=False):
            text.set_color("white" if part > 0.35 else INK)  # seaborn's own choice is white on medium blue, which is hard to read
        long = max(map(len, names)) > 3
        axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=60 if long else 0, ha="right" if long else "center")
        axes.set_yticks(np.arange(len(names)) + 0.5, names)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
    return figure


def _cell_texts(matrix: np.ndarray) -> np.ndarray:
    """Return the numbers as text: one decimal for means below 100, none otherwise; a 0 is empty."""
    whole = np.allclose(matrix, np.rint(matrix))
    write = np.vectorize(lambda n: "" if n == 0 else f"{n:.0f}" if whole or n >= 99.95 else f"{n:.1f}", otypes=[object])
    return write(matrix)


def draw_recall(frame: pd.DataFrame, *, by: str = "model", classes: Sequence[str] | None = None, title: str = "") -> Picture:
    """Draw the recall of each class: runs as small dots, their mean as a large marker.

    Args:
        frame: one row per run and class, with the columns `class` (its number), `recall` and optionally `by` and `count`. With
            `count`, the number of training images is written with the class name if it is the same in all rows.
        by: column that sets color and marker.
        classes: class names; None shows the class numbers.
        title: title above the plot.
    """
    import seaborn as sns

    frame = name_remedies(frame) if by in frame else frame.assign(**{by: ""})
    styles = palette(list(frame[by]))
    numbers = sorted(set(frame["class"]))
    shared = {
        "data": frame,
        "x": "class",
        "y": "recall",
        "hue": by,
        "palette": {n: c for n, (c, _) in styles.items()},
        "legend": False,
    }
    with drawing(2.9 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        sns.stripplot(**shared, dodge=True, jitter=False, size=3, alpha=0.35, ax=axes)
        sns.pointplot(**shared, dodge=0.8 - 0.8 / len(styles), markers=[marker for _, marker in styles.values()], markersize=7,
                      markeredgewidth=0, linestyle="none", errorbar=None, ax=axes)  # fmt: skip
        written = None if classes is None else drawable(classes)
        names = [str(number) if written is None else shorten(written[number], room=12) for number in numbers]
        long = max(map(len, names)) > 4
        named = [_with_count(frame, number, name, " (%s)" if long else "\n%s") for number, name in zip(numbers, names, strict=True)]
        axes.set_xticks(range(len(numbers)), named, rotation=60 if long else 0, ha="right" if long else "center")
        axes.set_xlabel("class" if named == names else "class and its training images")
        axes.set_ylabel("recall")
        axes.grid(axis="y")
        add_legend(figure, legend_keys(styles, line=False))
    return figure


def _with_count(frame: pd.DataFrame, number: int, name: str, form: str) -> str:
    """Return the class name with its number of training images, if this number is the same in all rows."""
    counts = set(frame.loc[frame["class"] == number, "count"]) if "count" in frame else set()
    return name + form % f"{counts.pop():,}" if len(counts) == 1 else name

"""Draw the number of images per class."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from imagestudy.figures.style import CYCLE, QUIET, Picture, drawable, drawing, shorten


def draw_counts(
    counts: dict[str, Int64[np.ndarray, " class"]],
    *,
    classes: Sequence[str] | None = None,
    columns: int = 2,
    quantity: str = "training images",
    title: str = "",
) -> Picture:
    """Draw the number of images per class as bars, with one panel per profile.

    Args:
        counts: name of each profile → number of images of each class, in drawing order.
        classes: class names along the axis; None writes ranks, counted from 1.
        columns: number of panels in a row.
        quantity: label of the vertical axis: what is counted.
        title: title above all panels.
    """
    columns = min(columns, len(counts))
    rows = -(-len(counts) // columns)
    classes = None if classes is None else drawable(classes)
    slanted = classes is not None and max(len(str(c)) for c in classes) > 3
    with drawing((2.5 if slanted else 1.75) * rows + 0.3 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(counts) :]:
            axes.set_visible(False)
        for axes, (name, numbers) in zip(grid.flat, counts.items(), strict=False):
            _put_counts(axes, numbers, classes, name)
        figure.supylabel(quantity, fontsize=10)
        figure.supxlabel("class" if classes is not None else "class, by rank", fontsize=10)
    return figure


def _put_counts(axes: Axes, numbers: Int64[np.ndarray, " class"], classes: Sequence[str] | None, name: str) -> None:
    places = np.arange(len(numbers))
    bars = axes.bar(places, numbers, color=CYCLE[0], width=0.8)
    if len(numbers) <= 12:
        axes.bar_label(bars, [f"{n:,}" for n in numbers], fontsize=7.5, padding=1, color=QUIET)
        names = [str(c) for c in classes] if classes is not None else [str(place + 1) for place in places]
        long = max(map(len, names)) > 3
        axes.set_xticks(places, [shorten(n, room=12) for n in names], rotation=60 if long else 0, ha="right" if long else "center")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_title(name)
    axes.margins(y=0.15)

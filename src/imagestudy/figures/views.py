"""Draw one image the way each family of models reads it."""

from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from imagestudy.core.errors import require_known
from imagestudy.figures.images import put_image
from imagestudy.figures.style import CYCLE, FAMILY_COLORS, QUIET, Picture, drawing, hide_frame
from imagestudy.models import views

Image = UInt8[np.ndarray, "height width channel"]

TITLES = {
    "vector": "ANN: one vector of all pixels",
    "grid": "CNN: a window over the grid",
    "rows": "RNN: rows, one time step each",
    "patches": "Transformer: a set of patches",
}
FAMILIES = {"vector": "ann", "grid": "cnn", "rows": "rnn", "patches": "transformer"}
WINDOW = 3
"""Side of the convolution window that is drawn, in pixels."""
FEW = 16
"""Each step or patch is numbered if there are at most this many."""
FEW_PIXELS = 256
"""In the vector view, the ends of rows are marked up to this many values; above it, only the ends of channels are."""
SHARP: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}
"""Options that draw pixels unsmoothed, over the full range of gray values."""


def draw_view(image: Image, view: str, *, title: str = "") -> Picture:
    """Draw an image and, beside it, the form in which one family of models reads it.

    Args:
        image: the image to draw.
        view: "vector" (ANN), "grid" (CNN), "rows" (RNN) or "patches" (Transformer).
        title: title above both panels.

    Raises:
        InputError: if the view is unknown.
    """
    require_known(view, tuple(TITLES), what="view", where="draw_view")
    with drawing(2.75 + (0.3 if title else 0), title=title) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 2 if view == "vector" else 1.15))
        put_image(left, image)
        left.set_title("input image")
        _put(right, image, view)
    return figure


def draw_views(image: Image, *, title: str = "") -> Picture:
    """Draw an image in the four forms in which ANN, CNN, RNN and Transformer read it."""
    with drawing(5.3 + (0.3 if title else 0), title=title) as figure:
        for axes, view in zip(figure.subplots(2, 2).flat, TITLES, strict=True):
            _put(axes, image, view)
    return figure


def _put(axes: Axes, image: Image, view: str) -> None:
    {"vector": _put_vector, "grid": _put_grid, "rows": _put_rows, "patches": _put_patches}[view](axes, image)
    axes.set_title(TITLES[view].replace(": ", ":\n"), color=FAMILY_COLORS[FAMILIES[view]])


def _put_vector(axes: Axes, image: Image) -> None:
    """Draw all pixels as one row, in the order of `models.views.vector`: channel after channel, row after row."""
    height, width, channels = image.shape
    strip = image.transpose(2, 0, 1).reshape(1, -1)
    axes.imshow(strip, **SHARP, aspect="auto", extent=(0, image.size, 0.42, 0.58))
    stretch = width if image.size <= FEW_PIXELS else width * height
    for end in range(stretch, image.size, stretch):
        axes.plot([end] * 2, [0.39, 0.61], color=CYCLE[0], linewidth=1.0)
    rows = f"{height} rows in one line" if channels == 1 else f"{channels} channels × {height} rows in one line"
    for place, words in ((0.64, rows), (0.30, f"{height} × {width} × {channels} = {image.size:,} values")):
        axes.text(0.5, place, words, ha="center", transform=axes.transAxes, fontsize=9.5).set_in_layout(False)
    axes.set_xlim(0, image.size)
    axes.set_ylim(0, 1)
    hide_frame(axes)


def _put_grid(axes: Axes, image: Image) -> None:
    put_image(axes, image)
    height, width, _ = image.shape
    if height <= 16:
        for line in range(1, max(height, width)):
            axes.axhline(line - 0.5, color="#6E6E6E", linewidth=0.5)
            axes.axvline(line - 0.5, color="#6E6E6E", linewidth=0.5)
    for x, y, style in ((0, 0, "-"), (1, 0, "--"), (width - WINDOW, height - WINDOW, "-")):
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), WINDOW, WINDOW, fill=False, edgecolor=CYCLE[1], linewidth=2, linestyle=style))
    start, end = (WINDOW - 0.5, WINDOW / 2 - 0.5), (width - WINDOW / 2 - 0.5, height - WINDOW - 0.5)
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=CYCLE[1], linewidth=1.4, shrinkA=14))
    axes.set_xlabel(f"{WINDOW}×{WINDOW} weights, shared by all positions", fontsize=9)


def _put_rows(axes: Axes, image: Image) -> None:
    """Draw the bands of rows that `models.views.rows` cuts, with gaps between them."""
    height, width, _ = image.shape
    band = views.band(height)
    steps = views.positions(height, band)
    gap = 0.35 * band
    for step in range(steps):
        top = step * (band + gap)
        _put_piece(axes, _cut(image, step, 0, band, width), left=0.0, top=top)
        if steps <= FEW or step % 4 == 0:
            axes.text(-0.03 * width, top + band / 2, f"t = {step + 1}", ha="right", va="center", fontsize=9)
    bottom = steps * (band + gap) - gap
    axes.annotate("", (1.08 * width, bottom), (1.08 * width, 0), arrowprops={"arrowstyle": "-|>", "color": QUIET})
    axes.text(1.12 * width, bottom / 2, "time", rotation=90, va="center", ha="left", fontsize=9, color=QUIET)
    _frame(axes, right=1.25 * width, bottom=bottom, left=-0.25 * width)


def _put_patches(axes: Axes, image: Image) -> None:
    """Draw the grid of patches with gaps between them, numbered in the order of `models.views.patches`."""
    height, width, _ = image.shape
    tall, wide = views.reduction(height), views.reduction(width)
    rows, columns = views.positions(height, tall), views.positions(width, wide)
    gap = 0.35 * max(tall, wide)
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        left, top = column * (wide + gap), row * (tall + gap)
        _put_piece(axes, _cut(image, row, column, tall, wide), left=left, top=top)
        if rows * columns <= FEW:
            axes.text(left + wide / 2, top - 0.04 * gap, f"{place + 1}", ha="center", va="bottom", fontsize=8, color=QUIET)
    _frame(axes, right=columns * (wide + gap) - gap, bottom=rows * (tall + gap) - gap, top=-gap)


def _cut(image: Image, row: int, column: int, tall: int, wide: int) -> UInt8[np.ndarray, "tall wide channel"]:
    """Return one piece of a regular grid; a piece that crosses the right or lower edge is padded with zeros."""
    piece = image[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
    return np.pad(piece, ((0, tall - piece.shape[0]), (0, wide - piece.shape[1]), (0, 0)))


def _put_piece(axes: Axes, piece: Image, *, left: float, top: float) -> None:
    tall, wide, channels = piece.shape
    axes.imshow(
        piece[..., 0] if channels == 1 else piece,
        **SHARP,
        extent=(left, left + wide, top + tall, top),
    )


def _frame(axes: Axes, *, right: float, bottom: float, left: float = 0, top: float = 0) -> None:
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    hide_frame(axes)

"""Images as pictures: a set of them, before and after a step, what a model gets wrong, and how many there are of each class."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from imagestudy.figures.style import CYCLE, QUIET, WIDTH, Picture, draw_sentence, drawable, drawing, hide_frame, shorten

Images = UInt8[np.ndarray, "n height width channel"]

SMALL = 8.5
LETTER = 0.075
"""Inches that a letter of the small font takes."""


def put_image(axes: Axes, image: UInt8[np.ndarray, "height width channel"]) -> None:
    """One image with sharp pixels, grey or in colour, over the whole range of grey values."""
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    hide_frame(axes)


def show_images(
    images: Images,
    labels: Int64[np.ndarray, " n"] | None = None,
    *,
    classes: Sequence[str] | None = None,
    columns: int = 10,
    title: str = "",
) -> Picture:
    """Images side by side, each under the name of its class.

    Args:
        images: as many as are to be shown.
        labels: of the images; None shows no names.
        classes: names of the classes; None shows the numbers of the labels.
        columns: images in a row.
        title: above everything.
    """
    names = [""] * len(images) if labels is None else [str(label) if classes is None else classes[label] for label in labels]
    return _tile(images, names, columns=columns, title=title)


def _tile(images: Images, captions: Sequence[str], *, columns: int, title: str) -> Picture:
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    side = WIDTH / columns * images.shape[1] / images.shape[2]
    lines = max(caption.count("\n") + 1 if caption else 0 for caption in captions)
    room = int(WIDTH / columns / LETTER)
    with drawing(rows * (side + 0.16 * lines) + (0.35 if title else 0.1), title=title, tight=True) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(images) :]:
            axes.set_visible(False)
        for axes, image, caption in zip(grid.flat, images, captions, strict=False):
            put_image(axes, image)
            lines_of = [shorten(line, room=room) for line in caption.splitlines()]
            axes.set_title("\n".join(lines_of), fontsize=SMALL, loc="center", pad=2)
    return figure


def show_steps(images: Images, steps: dict[str, Images], *, title: str = "", first: str = "original") -> Picture:
    """The same images before and after steps of preprocessing: one row a step, one column an image.

    Args:
        images: before any step.
        steps: name of a step, such as "noisy" or "median filter" → the images after it.
        title: above everything.
        first: name of the row of `images`.
    """
    rows = {first: images} | steps
    margin = LETTER * max(map(len, rows)) + 0.1
    side = (WIDTH - margin) / len(images)
    with drawing(
        len(rows) * side * images.shape[1] / images.shape[2] + (0.35 if title else 0.1), title=title, tight=True
    ) as figure:
        grid = figure.subplots(len(rows), len(images), squeeze=False)
        for (name, processed), line in zip(rows.items(), grid, strict=True):
            for axes, image in zip(line, processed, strict=True):
                put_image(axes, image)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9.5)
    return figure


def show_errors(
    images: Images,
    labels: Int64[np.ndarray, " n"],
    predicted: Int64[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n class"],
    *,
    classes: Sequence[str],
    count: int = 12,
    columns: int = 6,
    title: str = "",
) -> Picture:
    """The images that a model names wrongly, those first of which it is most sure: true class, what it said, how sure it was.

    Args:
        images: all that the model was asked about.
        labels: their true classes.
        predicted: the classes that it said.
        probabilities: what it gave each class.
        classes: names of the classes.
        count: how many are shown at most.
        columns: images in a row.
        title: above everything.
    """
    sure = probabilities[np.arange(len(labels)), predicted]
    wrong = np.flatnonzero(predicted != labels)
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    if not len(shown):
        return draw_sentence(f"None of the {len(labels)} images is named wrongly.", title=title)
    named = drawable(classes)
    captions = [f"{named[labels[i]]}\nsaid {named[predicted[i]]}\n{100 * sure[i]:.0f} % sure" for i in shown]
    return _tile(images[shown], captions, columns=columns, title=title)


def draw_counts(
    counts: dict[str, Int64[np.ndarray, " class"]],
    *,
    classes: Sequence[str] | None = None,
    columns: int = 2,
    quantity: str = "training images",
    title: str = "",
) -> Picture:
    """Images of each class, one panel a profile.

    Args:
        counts: name of a profile → images of each class, in the order in which they are to be drawn.
        classes: names along the axis; None writes ranks from 1.
        columns: panels in a row.
        quantity: what is counted.
        title: above everything.
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

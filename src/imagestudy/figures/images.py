"""Draw images of a dataset: a sample, the effect of preprocessing steps, and the errors of a model."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes

from imagestudy.figures.style import WIDTH, Picture, draw_sentence, drawable, drawing, hide_frame, shorten

Images = UInt8[np.ndarray, "n height width channel"]

SMALL = 8.5
"""Font size of captions, in points."""
LETTER = 0.075
"""Width of one letter of a caption, in inches."""


def put_image(axes: Axes, image: UInt8[np.ndarray, "height width channel"]) -> None:
    """Draw one gray or color image with unsmoothed pixels, over the full range of gray values (0 to 255)."""
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
    """Draw images side by side, with the class name above each.

    Args:
        images: images to show; all of them are shown.
        labels: labels of the images; None shows no names.
        classes: class names; None shows the labels as numbers.
        columns: number of images in a row.
        title: title above all images.
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
    """Draw images before and after preprocessing steps, with one row per step and one column per image.

    Args:
        images: images before any step.
        steps: name of each step, such as "noisy" or "median filter" → images after it.
        title: title above all rows.
        first: name of the row that shows `images`.
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
    """Draw misclassified images, most confident errors first, with true class, predicted class and confidence.

    Args:
        images: all images that the model classified.
        labels: true classes of the images.
        predicted: predicted classes of the images.
        probabilities: predicted probability of each class.
        classes: class names.
        count: largest number of images to show.
        columns: number of images in a row.
        title: title above all images.
    """
    confidence = probabilities[np.arange(len(labels)), predicted]
    wrong = np.flatnonzero(predicted != labels)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    if not len(shown):
        return draw_sentence(f"The model classifies all {len(labels)} images correctly.", title=title)
    named = drawable(classes)
    captions = [f"{named[labels[i]]}\npred. {named[predicted[i]]}\n{100 * confidence[i]:.0f} % sure" for i in shown]
    return _tile(images[shown], captions, columns=columns, title=title)

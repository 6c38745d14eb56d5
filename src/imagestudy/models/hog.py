"""Histograms of oriented gradients (Dalal & Triggs 2005), computed for many images at once; they equal those of scikit-image."""

import numpy as np
from jaxtyping import Float, UInt8
from numpy.lib.stride_tricks import sliding_window_view

from imagestudy.models import views

ORIENTATIONS = 9
EPSILON = 1e-5


def hog(images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n feature"]:
    """Return histograms of unsigned gradients in 9 directions, per cell, normalized in blocks of 2×2 cells (L2-Hys).

    A cell is as large as a position of the networks' grids (`views.reduction`): 2 pixels per side for images of 8 pixels, and
    4 pixels per side for images of 28 and 32 pixels.
    """
    size = (views.reduction(images.shape[1]), views.reduction(images.shape[2]))
    cells = _histograms(*_gradients(images / 255.0), cell=size)
    block = (min(2, cells.shape[1]), min(2, cells.shape[2]))
    blocks = sliding_window_view(cells, block, axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    blocks = blocks.reshape(*blocks.shape[:3], -1)
    clipped = np.minimum(_unit(blocks), 0.2)
    return _unit(clipped).reshape(len(images), -1)


def _gradients(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    down, right = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:-1] = images[:, 2:] - images[:, :-2]
    right[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    strength = np.hypot(down, right)
    strongest = strength.argmax(axis=3)[..., None]
    down, right, strength = (np.take_along_axis(a, strongest, axis=3)[..., 0] for a in (down, right, strength))
    return strength, np.rad2deg(np.arctan2(down, right)) % 180


def _histograms(strength: np.ndarray, degrees: np.ndarray, *, cell: tuple[int, int]) -> np.ndarray:
    rows, columns = strength.shape[1] // cell[0], strength.shape[2] // cell[1]
    direction = (degrees // (180 / ORIENTATIONS)).astype(int)
    counted = np.stack([np.where(direction == i, strength, 0.0) for i in range(ORIENTATIONS)], axis=-1)
    counted = counted[:, : rows * cell[0], : columns * cell[1]]
    return counted.reshape(-1, rows, cell[0], columns, cell[1], ORIENTATIONS).mean(axis=(2, 4))


def _unit(blocks: np.ndarray) -> np.ndarray:
    return blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + EPSILON**2)

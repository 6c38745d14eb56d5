"""Layers of Keras that do what their namesakes in PyTorch do, where Keras's own do not."""

from functools import lru_cache
from typing import Any

import numpy as np

from imagestudy.models.base import BatchNorm

TORCH_NORM = BatchNorm(1)
"""Whose settings the Keras one takes."""


@lru_cache(maxsize=1)
def _batch_norm() -> type:
    import keras
    import tensorflow as tf

    class TorchBatchNorm(keras.layers.BatchNormalization):
        """Batch normalisation of grids that keeps the unbiased variance of a batch, and leaves a batch of one image as it is."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            """Normalise by the batch, in one kernel that gives the unbiased variance, or by what is kept."""
            if not training or inputs.shape[0] == 1:
                return super().call(inputs, training=False, mask=mask)
            changed, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=self.gamma.value,
                offset=self.beta.value,
                mean=[],
                variance=[],
                epsilon=self.epsilon,
                is_training=True,
            )
            for kept, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + new * (1 - self.momentum))
            return changed

    return TorchBatchNorm


def batch_norm(name: str) -> Any:
    """Batch normalisation with PyTorch's epsilon, momentum and running variance.

    The momentum of Keras is the share that is kept, that of PyTorch the share that is new.
    """
    assert TORCH_NORM.momentum is not None
    return _batch_norm()(epsilon=TORCH_NORM.eps, momentum=1 - TORCH_NORM.momentum, name=name)


def pool(grid: Any, stride: tuple[int, int], *, mean: bool, name: str) -> Any:
    """Means or maxima over windows side by side, those at the lower and right edge cut: torch's `ceil_mode`.

    The padding "same" of Keras puts half of what is missing before the first window, and so moves all of them.

    Args:
        grid: symbolic, (batch, rows, columns, dim).
        stride: rows and columns of a window.
        mean: or the maximum.
        name: of the layer whose output is the result.
    """
    from keras import layers, ops

    sides = grid.shape[1:3]
    missing = [-side % step for side, step in zip(sides, stride, strict=True)]
    if any(missing):
        if mean:
            # A mean divides by the whole window, padding included: its pixels are raised by what is missing.
            rows, columns = (_windows_over_inside(side, step) for side, step in zip(sides, stride, strict=True))
            grid = ops.multiply(grid, (rows[:, None] * columns)[None, :, :, None])
        widths = ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0))
        grid = ops.pad(grid, widths, constant_values=0.0 if mean else -np.inf)
    return (layers.AveragePooling2D if mean else layers.MaxPooling2D)(stride, name=name)(grid)


def _windows_over_inside(side: int, step: int) -> np.ndarray:
    """For each pixel of a side, the length of its window over the part of it that lies within the side."""
    starts = np.arange(side) // step * step
    return (step / np.minimum(step, side - starts)).astype(np.float32)

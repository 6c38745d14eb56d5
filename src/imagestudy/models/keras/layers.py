"""Keras layers that compute the same as the PyTorch layers of the same name, where Keras's own layers differ."""

from functools import lru_cache
from typing import Any

import numpy as np

from imagestudy.models.base import BatchNorm

TORCH_NORM = BatchNorm(1)
"""The PyTorch layer that supplies the settings of the Keras layer."""


@lru_cache(maxsize=1)
def _batch_norm() -> type:
    import keras
    import tensorflow as tf

    class TorchBatchNorm(keras.layers.BatchNormalization):
        """Batch normalization of grids that keeps the unbiased batch variance.

        A batch of one image is normalized by the running statistics and does not update them.
        """

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            """Normalize by the batch statistics, or by the running statistics in evaluation and for a single image.

            One fused kernel normalizes and returns the unbiased variance.
            """
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
    """Return a batch normalization layer with PyTorch's epsilon, momentum and running variance.

    Keras's momentum is the weight of the old running statistic; PyTorch's momentum is the weight of the new one.
    """
    assert TORCH_NORM.momentum is not None
    return _batch_norm()(epsilon=TORCH_NORM.eps, momentum=1 - TORCH_NORM.momentum, name=name)


def pool(grid: Any, stride: tuple[int, int], *, mean: bool, name: str) -> Any:
    """Apply mean or max pooling over adjacent windows; windows at the lower and right edges are cut, as with torch's `ceil_mode`.

    Keras's padding "same" adds half of the padding before the first window and thus shifts all windows.

    Args:
        grid: symbolic tensor, (batch, rows, columns, dim).
        stride: rows and columns of a window.
        mean: True for mean pooling, False for max pooling.
        name: name of the pooling layer.
    """
    from keras import layers, ops

    sides = grid.shape[1:3]
    missing = [-side % step for side, step in zip(sides, stride, strict=True)]
    if any(missing):
        if mean:
            # Mean pooling divides by the whole window, including the padding. Scaling the pixels of a cut window corrects this.
            rows, columns = (_windows_over_inside(side, step) for side, step in zip(sides, stride, strict=True))
            grid = ops.multiply(grid, (rows[:, None] * columns)[None, :, :, None])
        widths = ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0))
        grid = ops.pad(grid, widths, constant_values=0.0 if mean else -np.inf)
    return (layers.AveragePooling2D if mean else layers.MaxPooling2D)(stride, name=name)(grid)


def _windows_over_inside(side: int, step: int) -> np.ndarray:
    """Return, for each pixel of a side, the window length divided by the length of the part of its window inside the image."""
    starts = np.arange(side) // step * step
    return (step / np.minimum(step, side - starts)).astype(np.float32)

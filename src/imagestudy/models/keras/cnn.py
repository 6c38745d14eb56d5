"""Keras versions of LeNet and the residual network of `models.cnn`.

They have the same layers, sizes, padding and initial distributions.
"""

from math import prod
from typing import Any

from imagestudy.models.base import Shape, Width, models
from imagestudy.models.cnn import grid_size, strides
from imagestudy.models.keras.base import Draws, KerasNetwork
from imagestudy.models.keras.layers import batch_norm, pool
from imagestudy.models.keras.runtime import start


def _input(shape: Shape) -> Any:
    """Return the input of a model, with channels last: TensorFlow is fastest on a CPU in this order."""
    import keras

    channels, height, width = shape
    return keras.Input((height, width, channels), name="images")


@models.register("keras_lenet", family="cnn", era="traditional", kind="keras", twin="lenet")
def keras_lenet(shape: Shape, classes: int) -> KerasNetwork:
    """Build LeNet-5 in Keras, see `models.cnn.lenet`."""
    start()
    import keras
    from keras import layers

    draws, (first, (second, third)) = Draws(), strides(*shape[1:], stages=2)
    images = grid = _input(shape)
    for number, filters, stride in [(1, 6, (first[0] * second[0], first[1] * second[1])), (2, 16, third)]:
        conv = layers.Conv2D(filters, 5, padding="same", kernel_initializer=draws.xavier(), name=f"conv{number}")
        grid = layers.Activation("tanh", name=f"conv{number}_tanh")(conv(grid))
        if stride != (1, 1):
            grid = pool(grid, stride, mean=True, name=f"pool{number}")
    vector = layers.Flatten(name="flatten")(grid)
    for name, units in [("c5", 120), ("f6", 84)]:
        dense = layers.Dense(units, kernel_initializer=draws.xavier(), name=name)
        vector = layers.Activation("tanh", name=f"{name}_tanh")(dense(vector))
    logits = layers.Dense(classes, kernel_initializer=draws.xavier(), name="head")(vector)
    return KerasNetwork(keras.Model(images, logits, name="keras_lenet"), shape, classes)


def _conv(grid: Any, filters: int, kernel: tuple[int, int], stride: tuple[int, int], *, bias: bool, name: str) -> Any:
    """Apply a convolution that is padded by half its kernel on every side at any stride, as in torch."""
    from keras import layers

    draws, padding = Draws(), "same"
    if stride != (1, 1):
        # With a stride above 1, "same" adds as little padding as possible, and more after the image than before it.
        grid, padding = layers.ZeroPadding2D((kernel[0] // 2, kernel[1] // 2), name=f"{name}_pad")(grid), "valid"
    initializers: dict[str, Any] = {"kernel_initializer": draws.he()}
    if bias:
        initializers["bias_initializer"] = draws.plain_bias(prod(kernel) * grid.shape[-1])
    return layers.Conv2D(filters, kernel, stride, padding=padding, use_bias=bias, name=name, **initializers)(grid)


def _activate(grid: Any, *, normalise: bool, name: str) -> Any:
    """Apply batch norm, unless it is left out, and ReLU."""
    from keras import layers

    return layers.ReLU(name=f"{name}_relu")(batch_norm(name)(grid) if normalise else grid)


def _block(grid: Any, *, width: int, shortcut: bool, normalise: bool, name: str) -> Any:
    """Apply batch norm, ReLU and a 3×3 convolution, twice, and add the input, see `models.cnn.Block`."""
    from keras import layers

    changed = grid
    for number in (1, 2):
        changed = _activate(changed, normalise=normalise, name=f"{name}_norm{number}")
        changed = _conv(changed, width, (3, 3), (1, 1), bias=not normalise, name=f"{name}_conv{number}")
    return layers.Add(name=f"{name}_sum")([grid, changed]) if shortcut else changed


@models.register("keras_resnet", family="cnn", era="modern", kind="keras", twin="resnet", step=2)
def keras_resnet(shape: Shape, classes: int, *, width: Width = 32, shortcut: bool = True, normalise: bool = True) -> KerasNetwork:
    """Build the small residual network in Keras, see `models.cnn.resnet`."""
    start()
    import keras
    from keras import layers

    first, later = strides(*shape[1:], stages=2)
    images = _input(shape)
    kernel = (2 * first[0] + 1, 2 * first[1] + 1)
    grid = _conv(images, width, kernel, first, bias=not normalise, name="stem")
    grid = _activate(grid, normalise=normalise, name="stem_norm")
    for number, stride in enumerate(later, start=1):
        if stride != (1, 1):
            grid = pool(grid, stride, mean=False, name=f"pool{number}")
        grid = _block(grid, width=width, shortcut=shortcut, normalise=normalise, name=f"block{number}")
    grid = _activate(grid, normalise=normalise, name="norm")
    vector = layers.Flatten(name="flatten")(_quadrants(grid, *grid_size(*shape[1:])))
    draws, inputs = Draws(), vector.shape[-1]
    head = layers.Dense(classes, kernel_initializer=draws.plain(), bias_initializer=draws.plain_bias(inputs), name="head")
    return KerasNetwork(keras.Model(images, head(vector), name="keras_resnet"), shape, classes)


def _quadrants(grid: Any, rows: int, columns: int) -> Any:
    """Average over each of the four quarters of the grid, see `models.cnn.QuadrantPool`."""
    from keras import layers

    window, step = (-(-rows // 2), -(-columns // 2)), (max(1, rows // 2), max(1, columns // 2))
    return layers.AveragePooling2D(window, step, name="quadrants")(grid)

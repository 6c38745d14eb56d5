"""List the defaults that differ between PyTorch and Keras, read from the installed libraries.

A default that is not part of a signature is measured on a case small enough to isolate it.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from imagestudy.core.specs import ModelSpec
from imagestudy.models import KerasNetwork, build
from imagestudy.models.keras import start
from imagestudy.models.keras.layers import batch_norm, pool
from imagestudy.training.keras.optimizer import adamw, make_optimizer
from imagestudy.training.optimizer import LEARNING_RATE, WEIGHT_DECAY

INPUTS, OUTPUTS = 400, 100
"""The size of the dense layer used to measure initial weights. The largest of 40,000 weights is within 1 % of its limit."""
PIXELS, WINDOW = 9, 4
"""The length of a row of pixels and the pooling window. The row is not a multiple of the window."""

Triple = tuple[Any, Any, Any]
"""PyTorch's default, Keras's default, and the value used in this package."""


def defaults() -> pd.DataFrame:
    """Return a table of the defaults that differ, one row per default.

    Columns are `what`, `PyTorch`, `Keras`, and `here`, the value used by the Keras models and the Keras training of this package.

    Raises:
        InputError: if TensorFlow is not installed.
    """
    start()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows = [(what, *triple()) for what, triple in _ROWS.items()]
    return pd.DataFrame(rows, columns=["what", "PyTorch", "Keras", "here"])


def _default(function: Callable[..., Any], name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def _build_network(*, height: int = 8, **options: Any) -> KerasNetwork:
    network = build(ModelSpec(name="keras_resnet", options=options), shape=(1, height, height), classes=10)
    assert isinstance(network, KerasNetwork)
    return network


def _channel_order() -> Triple:
    import keras

    from_torch = nn.Conv2d(3, 8, (5, 7)).weight.shape
    layer = keras.layers.Conv2D(8, (5, 7))
    layer.build((None, 16, 16, 3))
    model = _build_network().model
    return f"kernel {tuple(from_torch)}", f"kernel {tuple(layer.kernel.shape)}", f"images {model.input.shape[1:]}, channels last"


def _norm_epsilon() -> Triple:
    import keras

    found = _default(nn.BatchNorm2d, "eps"), _default(keras.layers.BatchNormalization, "epsilon"), batch_norm("norm").epsilon
    return f"{found[0]:g}", f"{found[1]:g}", f"{found[2]:g}"


def _norm_momentum() -> Triple:
    """The share of a running statistic that is kept. PyTorch's momentum is the share of the new value instead."""
    import keras

    kept = 1 - _default(nn.BatchNorm2d, "momentum")
    return kept, _default(keras.layers.BatchNormalization, "momentum"), round(batch_norm("norm").momentum, 12)


def _running_variance() -> Triple:
    """The running variance after a batch of the four values −1, 1, −1, 1: 1, or 4/3 if it is the unbiased estimate."""
    import keras

    values = np.array([-1, 1, -1, 1], dtype=np.float32)
    from_torch = nn.BatchNorm2d(1, momentum=1.0)
    from_torch(torch.from_numpy(values.reshape(4, 1, 1, 1)))
    assert from_torch.running_var is not None

    def kept(layer: Any) -> float:
        layer.build((None, 1, 1, 1))
        layer(values.reshape(4, 1, 1, 1), training=True)
        new = (float(layer.moving_variance.numpy()[0]) - layer.momentum) / (1 - layer.momentum)
        return round(new, 4)

    return round(from_torch.running_var.item(), 4), kept(keras.layers.BatchNormalization()), kept(batch_norm("norm"))


def _strided_padding() -> Triple:
    """The pixel under the center of a 3×3 kernel at its first position, with stride 2 on 8 pixels."""
    import keras

    row = np.broadcast_to(np.arange(8, dtype=np.float32), (8, 8))
    kernel = np.zeros((3, 3), dtype=np.float32)
    kernel[1, 1] = 1
    from_torch = functional.conv2d(torch.tensor(row)[None, None], torch.from_numpy(kernel)[None, None], stride=2, padding=1)
    same = keras.ops.conv(row[None, ..., None], kernel[..., None, None], strides=2, padding="same")
    stem = _build_network(height=64, normalise=False).model
    pad, conv = stem.get_layer("stem_pad"), stem.get_layer("stem")
    offset = conv.kernel_size[1] // 2 - pad.padding[1][0]
    return f"pixel {from_torch[0, 0, 0, 0].item():g}", f"pixel {float(same[0, 0, 0, 0]):g} ('same')", f"pixel {offset}"


def _cut_windows() -> Triple:
    """The result of max pooling the pixels 0 to 8 with windows of 4."""
    import keras

    row = np.arange(PIXELS, dtype=np.float32)
    from_torch = functional.max_pool2d(torch.from_numpy(row).reshape(1, 1, 1, -1), (1, WINDOW), ceil_mode=True)
    same = keras.layers.MaxPooling2D((1, WINDOW), padding="same")(row.reshape(1, 1, -1, 1))
    here = pool(keras.ops.convert_to_tensor(row.reshape(1, 1, -1, 1)), (1, WINDOW), mean=False, name="pool")
    return _listed(from_torch.numpy()), f"{_listed(same.numpy())} ('same')", _listed(here.numpy())


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values.ravel())


def _dense_weights() -> Triple:
    """The largest initial weight of a dense layer with 400 inputs and 100 outputs."""
    import keras

    layer = keras.layers.Dense(OUTPUTS)
    layer.build((None, INPUTS))
    head = _build_network(width=100).model.get_layer("head")
    found = [nn.Linear(INPUTS, OUTPUTS).weight.detach().numpy(), layer.kernel.numpy(), head.kernel.numpy()]
    name = _default(keras.layers.Dense, "kernel_initializer")
    from_torch, from_keras, here = (f"±{np.abs(weights).max():.3f}" for weights in found)
    return from_torch, f"{from_keras} ({name})", f"{here} (head)"


def _biases() -> Triple:
    """The largest initial bias of the same layer. The largest of 100 biases is within a few percent of its limit."""
    import keras

    from_torch, head = nn.Linear(INPUTS, OUTPUTS).bias, _build_network(width=100).model.get_layer("head")
    largest = [np.abs(bias).max() for bias in (from_torch.detach().numpy(), head.bias.numpy())]
    return f"±{largest[0]:.3f}", _default(keras.layers.Dense, "bias_initializer"), f"±{largest[1]:.3f} (head)"


def _kernels() -> Triple:
    """The standard deviation of the kernels of a 3×3 convolution from 64 to 64 channels, times √(fan in)."""
    import keras

    layer = keras.layers.Conv2D(64, 3)
    layer.build((None, 8, 8, 64))
    here = _build_network(width=64).model.get_layer("block1_conv1").kernel.numpy()
    found = [nn.Conv2d(64, 64, 3).weight.detach().numpy(), layer.kernel.numpy(), here]
    from_torch, from_keras, set_here = (f"{weights.std() * np.sqrt(9 * 64):.2f}" for weights in found)
    return from_torch, f"{from_keras} ({_default(keras.layers.Conv2D, 'kernel_initializer')})", f"{set_here} (He)"


def _optimizer() -> Any:
    return make_optimizer(_build_network(), steps=1, peak=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def _adam_epsilon() -> Triple:
    import keras

    found = _default(torch.optim.AdamW, "eps"), _default(keras.optimizers.AdamW, "epsilon"), _optimizer().epsilon
    return f"{found[0]:g}", f"{found[1]:g}", f"{found[2]:g}"


def _place_of_epsilon() -> Triple:
    """The size of the first step, in units of the learning rate, for a gradient equal to epsilon."""
    import keras

    gradient = _default(torch.optim.AdamW, "eps")
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.full((1,), gradient)
    torch.optim.AdamW([weight], lr=1.0, eps=gradient, weight_decay=0.0).step()

    def moved(optimizer: Any) -> float:
        variable = keras.Variable([0.0])
        optimizer.build([variable])
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [variable])
        return round(-float(variable.numpy()[0]), 3)

    recipe = {"learning_rate": 1.0, "epsilon": gradient, "weight_decay": 0.0}
    return round(-weight.item(), 3), moved(keras.optimizers.AdamW(**recipe)), moved(adamw()(**recipe))


def _weight_decay() -> Triple:
    import keras

    return _default(torch.optim.AdamW, "weight_decay"), _default(keras.optimizers.AdamW, "weight_decay"), _optimizer().weight_decay


def _coupling() -> Triple:
    """A weight of 1 after one step of Adam (not AdamW) with gradient 0, learning rate 0.1 and weight decay 0.1."""
    import keras

    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.zeros(1)
    torch.optim.Adam([weight], lr=0.1, weight_decay=0.1).step()
    variable = keras.Variable([1.0])
    optimizer = keras.optimizers.Adam(0.1, weight_decay=0.1)
    optimizer.build([variable])
    optimizer.apply([keras.ops.zeros(1)], [variable])
    return f"{weight.item():.2f}, added to the gradient", f"{float(variable.numpy()[0]):.2f}, decoupled", "AdamW, decoupled in both"


def _decaying() -> Triple:
    """The trained variables with weight decay."""
    import keras

    model = _build_network().model
    plain = keras.optimizers.AdamW()
    plain.build(model.trainable_variables)
    optimizer = _optimizer()
    here = [variable for variable in optimizer._trainable_variables if optimizer._use_weight_decay(variable)]
    return "all", f"all {sum(map(plain._use_weight_decay, model.trainable_variables))}", f"{len(here)}: kernels and matrices"


def _clipped() -> Triple:
    """The norm of a gradient of 2 after clipping it to 1."""
    import keras

    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    weight.grad = torch.full((1,), 2.0, dtype=torch.float64)
    nn.utils.clip_grad_norm_([weight], 1.0)
    clipped = keras.optimizers.SGD(1.0, global_clipnorm=1.0)._clip_gradients([keras.ops.convert_to_tensor([2.0])])[0]
    here = _optimizer()._clip_gradients([keras.ops.convert_to_tensor([2.0])])[0]
    return f"{weight.grad.item():.7f}", f"{float(clipped[0]):.7f}", f"{float(here[0]):.7f}"


_ROWS: dict[str, Callable[[], Triple]] = {
    "order of axes": _channel_order,
    "batch norm: epsilon": _norm_epsilon,
    "batch norm: share of a running statistic that is kept": _norm_momentum,
    "batch norm: running variance of −1, 1, −1, 1": _running_variance,
    "convolution with stride 2: center of the first window": _strided_padding,
    "max pooling of the pixels 0 to 8 with windows of 4": _cut_windows,
    "dense layer, 400 to 100: largest initial weight": _dense_weights,
    "dense layer: largest initial bias": _biases,
    "convolution: standard deviation of initial weights × √(fan in)": _kernels,
    "AdamW: epsilon": _adam_epsilon,
    "AdamW: first step for a gradient of epsilon, in learning rates": _place_of_epsilon,
    "AdamW: weight decay": _weight_decay,
    "AdamW: variables with weight decay": _decaying,
    "Adam(weight_decay=0.1): weight of 1 after a step of 0.1 with gradient 0": _coupling,
    "clipping: norm of a gradient of 2 clipped to 1": _clipped,
}

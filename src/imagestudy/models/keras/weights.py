"""Match the weights of a Keras model with those of its PyTorch twin, and copy them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from imagestudy.models.base import BatchNorm, Network
from imagestudy.models.keras.base import KerasNetwork

Order = Callable[[np.ndarray], np.ndarray]
WITH_WEIGHTS = (nn.Conv2d, nn.Linear, BatchNorm)


@dataclass(frozen=True)
class Counterpart:
    """One weight or running statistic in both frameworks.

    Args:
        name: name of the Keras layer and variable, for example `stem/kernel`.
        tensor: the PyTorch parameter or buffer.
        variable: the Keras variable.
        order: function that converts an array from PyTorch's axis order to Keras's.
        trained: True for a parameter, False for a running statistic.
    """

    name: str
    tensor: torch.Tensor
    variable: Any
    order: Order
    trained: bool


def layer_pairs(twin: Network, network: KerasNetwork) -> list[tuple[nn.Module, Any]]:
    """Return pairs of corresponding PyTorch and Keras layers with weights, in the order in which an image passes through them."""
    in_torch = [module for module in twin.modules() if isinstance(module, WITH_WEIGHTS)]
    return list(zip(in_torch, [layer for layer in network.model.layers if layer.weights], strict=True))


def counterparts(twin: Network, network: KerasNetwork) -> list[Counterpart]:
    """Return every weight and running statistic of the two models as pairs.

    Raises:
        ValueError: the shapes of a pair differ.
    """
    found = [one for module, layer in layer_pairs(twin, network) for one in _of_layer(module, layer, network)]
    for one in found:
        given, wanted = one.order(one.tensor.detach().numpy()).shape, tuple(one.variable.shape)
        if given != wanted:
            raise ValueError(
                f"{one.name}: PyTorch's weight has shape {given} in Keras's axis order, but Keras's weight has shape {wanted}"
            )
    return found


def _of_layer(module: nn.Module, layer: Any, network: KerasNetwork) -> Iterator[Counterpart]:
    if isinstance(module, BatchNorm):
        pairs: list[tuple[str, Any]] = [("gamma", module.weight), ("beta", module.bias), ("moving_mean", module.running_mean)]
        pairs.append(("moving_variance", module.running_var))
    else:
        pairs = [("kernel", module.weight), *([] if module.bias is None else [("bias", module.bias)])]
    for name, tensor in pairs:
        order = _order(module, layer, network) if name == "kernel" else np.asarray
        assert isinstance(tensor, torch.Tensor)
        yield Counterpart(f"{layer.name}/{name}", tensor, getattr(layer, name), order, isinstance(tensor, nn.Parameter))


def _order(module: nn.Module, layer: Any, network: KerasNetwork) -> Order:
    """Return the function that converts a kernel from PyTorch's axis order to Keras's.

    Kernels are (out, in, height, width) in PyTorch and (height, width, in, out) in Keras. In a flattened grid, PyTorch has the
    channels first and Keras has them last.
    """
    if isinstance(module, nn.Conv2d):
        return lambda kernel: kernel.transpose(2, 3, 1, 0)
    rows, columns, dim = network.model.get_layer("flatten").input.shape[1:]
    if layer.input is not network.model.get_layer("flatten").output:
        return lambda matrix: matrix.T
    return lambda matrix: matrix.reshape(-1, dim, rows, columns).transpose(2, 3, 1, 0).reshape(rows * columns * dim, -1)


def copy_weights(twin: Network, network: KerasNetwork) -> None:
    """Copy the weights and running statistics of the PyTorch twin into the Keras model."""
    for one in counterparts(twin, network):
        one.variable.assign(one.order(one.tensor.detach().numpy()))

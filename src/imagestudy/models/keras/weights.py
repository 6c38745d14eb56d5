"""Which weight of a Keras model is which of its PyTorch twin, and copying from one to the other."""

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
    """One weight in both frameworks.

    Args:
        name: Keras's layer and variable, such as `stem/kernel`.
        tensor: PyTorch's parameter or buffer.
        variable: Keras's variable.
        order: from the order of axes in PyTorch to that in Keras.
        trained: whether it is a parameter, and no running statistic.
    """

    name: str
    tensor: torch.Tensor
    variable: Any
    order: Order
    trained: bool


def layer_pairs(twin: Network, network: KerasNetwork) -> list[tuple[nn.Module, Any]]:
    """The layers that have weights, in the order in which an image passes them in both."""
    theirs = [module for module in twin.modules() if isinstance(module, WITH_WEIGHTS)]
    return list(zip(theirs, [layer for layer in network.model.layers if layer.weights], strict=True))


def counterparts(twin: Network, network: KerasNetwork) -> list[Counterpart]:
    """Every weight and running statistic of the two models, in pairs."""
    found = [one for module, layer in layer_pairs(twin, network) for one in _of_layer(module, layer, network)]
    for one in found:
        given, wanted = one.order(one.tensor.detach().numpy()).shape, tuple(one.variable.shape)
        if given != wanted:
            raise ValueError(f"{one.name}: PyTorch's weight is {given} in Keras's order, Keras's is {wanted}")
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
    """Kernels are (out, in, height, width) in PyTorch, (height, width, in, out) in Keras; of a flattened grid PyTorch has the
    channels first, Keras last.
    """
    if isinstance(module, nn.Conv2d):
        return lambda kernel: kernel.transpose(2, 3, 1, 0)
    rows, columns, dim = network.model.get_layer("flatten").input.shape[1:]
    if layer.input is not network.model.get_layer("flatten").output:
        return lambda matrix: matrix.T
    return lambda matrix: matrix.reshape(-1, dim, rows, columns).transpose(2, 3, 1, 0).reshape(rows * columns * dim, -1)


def copy_weights(twin: Network, network: KerasNetwork) -> None:
    """Give the Keras model the weights and running statistics of its PyTorch twin."""
    for one in counterparts(twin, network):
        one.variable.assign(one.order(one.tensor.detach().numpy()))

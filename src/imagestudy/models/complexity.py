"""Complexity of a network: a table of its layers, and the floating-point operations, counted from the shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from imagestudy.core.errors import InputError
from imagestudy.core.specs import ModelSpec
from imagestudy.models import KerasNetwork, build, twin
from imagestudy.models.base import Network, Shape
from imagestudy.models.transformer import Attention


@dataclass(frozen=True)
class Layer:
    """One row of the layer-by-layer table.

    Args:
        name: path of the layer in the network.
        kind: class name of the layer.
        output: output shape for one image, without the batch axis.
        parameters: number of the layer's own trainable parameters.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int


def describe(network: Network, shape: Shape) -> list[Layer]:
    """Return the layers in the order in which an image passes through them; their parameters add up to those of the network."""
    parts: dict[nn.Module, str] = {m: name for name, m in network.named_modules() if _is_layer(m)}
    rows: list[Layer] = []

    def add_row(module: nn.Module, _inputs: tuple, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        own = sum(p.numel() for p in module.parameters() if p.requires_grad)
        rows.append(Layer(parts[module], type(module).__name__, tuple(first.shape[1:]), own))

    _pass_one_image(network, shape, list(parts), add_row)
    return rows


def count_flops(network: Network, shape: Shape) -> int:
    """Return the number of floating-point operations of a forward pass of one image; a multiply-accumulate counts as two.

    The count includes matrix products: linear and convolutional layers, the gates of recurrent layers, and the two products of
    attention. As usual, it leaves out biases, activations, normalization and pooling. Padding counts like image pixels.
    """
    total = 0

    def add(module: nn.Module, inputs: tuple, output: Any) -> None:
        nonlocal total
        total += 2 * _products(module, inputs[0], output)

    counted: list[nn.Module] = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.RNNBase | Attention)]
    _pass_one_image(network, shape, counted, add)
    return total


def _is_layer(module: nn.Module) -> bool:
    return not any(True for _ in module.children()) and not isinstance(module, nn.Identity)


@torch.no_grad()
def _pass_one_image(network: Network, shape: Shape, parts: list[nn.Module], hook: Callable[..., None]) -> None:
    device, training = next(network.parameters()).device, network.training
    handles = [part.register_forward_hook(hook) for part in parts]
    try:
        network.eval()(torch.zeros(1, *shape, device=device))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()


def _products(module: nn.Module, given: torch.Tensor, output: Any) -> int:
    """Return the multiply-accumulates of one module for a batch of one image, without those of its child modules."""
    if isinstance(module, nn.Linear):
        return output.numel() * given.shape[-1]
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.weight[0].numel()
    if isinstance(module, nn.RNNBase):
        return given.shape[1] * sum(w.numel() for name, w in module.named_parameters() if name.startswith("weight"))
    _, tokens, dim = given.shape
    return 2 * tokens * tokens * dim


def in_torch(network: Network | KerasNetwork, spec: ModelSpec) -> Network:
    """Return a PyTorch network unchanged, and for a Keras network its PyTorch twin.

    The twin has the same layers, sizes and operations.
    """
    if isinstance(network, Network):
        return network
    with torch.random.fork_rng(devices=[]):
        made = build(twin(spec), shape=network.shape, classes=network.classes)
    assert isinstance(made, Network)
    return made


def layers(spec: ModelSpec, *, shape: Shape, classes: int) -> list[Layer]:
    """Build a network and return its layers, see `describe`; for a Keras model, build its PyTorch twin.

    The state of torch's global generator does not change.

    Raises:
        InputError: the model is not a network.
    """
    with torch.random.fork_rng(devices=[]):
        network = build(twin(spec), shape=shape, classes=classes)
    if not isinstance(network, Network):
        raise InputError(f"model {spec.name!r} is not a network and has no layers; only networks are allowed")
    return describe(network, shape)

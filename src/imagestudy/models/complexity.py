"""What a network costs: its layers one by one, and floating-point operations counted from the shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from imagestudy.core.errors import InputError
from imagestudy.core.specs import ModelSpec
from imagestudy.models import KerasNetwork, build, twin
from imagestudy.models.base import Network, Shape
from imagestudy.models.heads import CosineHead
from imagestudy.models.transformer import Attention


@dataclass(frozen=True)
class Layer:
    """One row of the layer-by-layer table.

    Args:
        name: where the layer is in the network.
        kind: its class.
        output: shape of its output for one image, without the batch.
        parameters: number of its own trained parameters.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int


def describe(network: Network, shape: Shape) -> list[Layer]:
    """The layers in the order in which an image passes them; their parameters add up to the network's."""
    parts: dict[nn.Module, str] = {m: name for name, m in network.named_modules() if _is_layer(m)}
    rows: list[Layer] = []

    def note(module: nn.Module, _inputs: tuple, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        own = sum(p.numel() for p in module.parameters() if p.requires_grad)
        rows.append(Layer(parts[module], type(module).__name__, tuple(first.shape[1:]), own))

    _pass_one_image(network, shape, list(parts), note)
    return rows


def count_flops(network: Network, shape: Shape) -> int:
    """Floating-point operations of one image's way forward: two a multiply-accumulate.

    Counted are matrix products: linear and convolutional layers, the gates of recurrent ones, the two products of attention.
    Left out, as is usual, are biases, activations, normalisation and pooling. Padding counts as if it were image.
    """
    total = 0

    def add(module: nn.Module, inputs: tuple, output: Any) -> None:
        nonlocal total
        total += 2 * _products(module, inputs[0], output)

    counted: list[nn.Module] = [
        m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.RNNBase | Attention | CosineHead)
    ]
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
    """Multiply-accumulates of one module for a batch of one image, those of its children left out."""
    if isinstance(module, nn.Linear | CosineHead):
        return output.numel() * given.shape[-1]
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.weight[0].numel()
    if isinstance(module, nn.RNNBase):
        return given.shape[1] * sum(w.numel() for name, w in module.named_parameters() if name.startswith("weight"))
    _, tokens, dim = given.shape
    return 2 * tokens * tokens * dim


def in_torch(network: Network | KerasNetwork, spec: ModelSpec) -> Network:
    """A network as it is; of one in Keras its PyTorch twin, whose layers, sizes and operations are the same."""
    if isinstance(network, Network):
        return network
    with torch.random.fork_rng(devices=[]):
        made = build(twin(spec), shape=network.shape, classes=network.classes)
    assert isinstance(made, Network)
    return made


def layers(spec: ModelSpec, *, shape: Shape, classes: int) -> list[Layer]:
    """`describe` of a network built for the purpose, for one in Keras of its twin; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        network = build(twin(spec), shape=shape, classes=classes)
    if not isinstance(network, Network):
        raise InputError(f"model {spec.name!r} has no layers; allowed: a network")
    return describe(network, shape)

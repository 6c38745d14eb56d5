"""Measure how much a Keras model differs from its PyTorch twin with the same weights, in each layer, gradient and training step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import nn
from torch.nn import functional

from imagestudy.core.specs import ModelSpec
from imagestudy.models import KerasNetwork, build, twin
from imagestudy.models.base import Network, Shape
from imagestudy.models.cnn import QuadrantPool
from imagestudy.models.keras import copy_weights, counterparts, start
from imagestudy.models.keras.weights import layer_pairs
from imagestudy.training.keras.losses import plain
from imagestudy.training.keras.optimizer import KerasDescent
from imagestudy.training.optimizer import LEARNING_RATE, WEIGHT_DECAY, Descent

STEPS = 10
"""The number of optimizer steps after which the weights are compared."""
ONE_STEP, ALL_STEPS = "weights after 1 step", f"weights after {STEPS} steps"
ALLOWED = {
    "activation": 1e-4,
    "logits": 1e-4,
    "running statistic": 1e-4,
    "gradient": 1e-3,
    ONE_STEP: 1e-4,
    ALL_STEPS: 3e-3,
}
"""The tolerance of each comparison.

It applies to the largest absolute difference or, for weights after a step, to the root mean square difference.

The two frameworks add the same products in different orders. AdamW divides a gradient by its own size. If the gradient of a weight
is only a rounding error, the weight may therefore move up in one framework and down in the other, by a whole learning rate. Single
weights after a step are therefore not compared; single gradients are.
"""

Images = Float[np.ndarray, "batch channel height width"]
Labels = Int64[np.ndarray, " batch"]


def draw_batch(shape: Shape, *, classes: int, size: int = 64, seed: int = 0) -> tuple[Images, Labels]:
    """Draw normally distributed images and uniformly distributed labels."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, *shape), dtype=np.float32), rng.integers(0, classes, size)


def make_pair(spec: ModelSpec, *, shape: Shape, classes: int, seed: int = 0) -> tuple[Network, KerasNetwork]:
    """Build a PyTorch network and its Keras twin with the same weights. The global generator of torch is not changed.

    Args:
        spec: the Keras model.
        shape: the shape of an image, channels first.
        classes: the number of classes.
        seed: the seed of the weights.
    """
    start()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch_network, keras_network = build(twin(spec), shape=shape, classes=classes), build(spec, shape=shape, classes=classes)
    assert isinstance(torch_network, Network)
    assert isinstance(keras_network, KerasNetwork)
    copy_weights(torch_network, keras_network)
    return torch_network, keras_network


def measure(
    model: str, images: Images, labels: Labels, *, classes: int, params: int | None = None, seed: int = 0, steps: int = STEPS
) -> pd.DataFrame:
    """Measure the differences between a Keras model and its PyTorch twin with the same weights, on one batch.

    Args:
        model: the name of a Keras model.
        images: normalized images, channels first.
        labels: the labels of the images.
        classes: the number of classes.
        params: the target number of parameters. None takes the default size of the model.
        seed: the seed of the weights.
        steps: the number of optimizer steps, all on this batch, within a schedule of `STEPS` steps; at least 1.

    Returns:
        A table with the columns `what` (see `ALLOWED`), `part` (the layer or weight, in the order in which an image passes them),
        `difference` (the largest absolute difference), `typical` (the root mean square difference), `size` (the largest absolute
        value in PyTorch), `held` (`difference` or `typical`, whichever is compared with the tolerance), `allowed` (the tolerance),
        and `within` (whether `held` is at most `allowed`).
    """
    _, channel, height, width = images.shape
    pair = make_pair(ModelSpec(name=model, params=params), shape=(channel, height, width), classes=classes, seed=seed)
    rows = [*_activations(*pair, images), *_logits(*pair, images), *_trained(*pair, images, labels, steps)]
    frame = pd.DataFrame([vars(row) for row in rows])
    held = frame["typical"].where(frame["what"].isin([ONE_STEP, ALL_STEPS]), frame["difference"])
    allowed = frame["what"].map(ALLOWED)
    return frame.assign(held=held, allowed=allowed, within=held <= allowed)


@dataclass(frozen=True)
class Difference:
    """One measured difference. See `measure` for the fields."""

    what: str
    part: str
    difference: float
    typical: float
    size: float


def _compare(what: str, part: str, expected: np.ndarray, given: np.ndarray) -> Difference:
    """Compare an array of PyTorch with the same array of Keras."""
    apart = np.abs(expected.astype(np.float64) - given)
    return Difference(what, part, float(apart.max()), float(np.sqrt((apart**2).mean())), float(np.abs(expected).max()))


def _channels_last(images: np.ndarray) -> np.ndarray:
    """Convert images from channels first to channels last; other arrays are returned unchanged."""
    return np.ascontiguousarray(np.moveaxis(images, 1, -1)) if images.ndim == 4 else images


def _activations(torch_network: Network, keras_network: KerasNetwork, images: Images) -> Iterator[Difference]:
    """Compare the outputs of all layers with weights and of all pooling layers, in evaluation mode."""
    import keras

    pairs = [*layer_pairs(torch_network, keras_network), *_pool_pairs(torch_network, keras_network)]
    place = {layer.name: number for number, layer in enumerate(keras_network.model.layers)}
    pairs.sort(key=lambda pair: place[pair[1].name])
    seen: dict[nn.Module, np.ndarray] = {}
    handles = [m.register_forward_hook(lambda m, _, out: seen.__setitem__(m, out.detach().numpy().copy())) for m, _ in pairs]
    with torch.no_grad():
        torch_network.eval()(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    outputs = keras.Model(keras_network.model.input, [layer.output for _, layer in pairs])(_channels_last(images), training=False)
    for (module, layer), output in zip(pairs, outputs, strict=True):
        given = seen[module]
        is_average_pool = isinstance(module, nn.AvgPool2d)
        expected = given.reshape(given.shape[0], output.shape[-1], *output.shape[1:3]) if is_average_pool else given
        yield _compare("activation", layer.name, _channels_last(expected), output.numpy())


def _pool_pairs(torch_network: Network, keras_network: KerasNetwork) -> list[tuple[nn.Module, Any]]:
    """The pooling layers of the PyTorch network, each with its Keras counterpart."""
    modules = [m for m in torch_network.modules() if isinstance(m, nn.AvgPool2d | nn.MaxPool2d)]
    quadrants = any(isinstance(m, QuadrantPool) for m in torch_network.modules())
    numbered = [f"pool{number}" for number in (1, 2)]
    known = {layer.name: layer for layer in keras_network.model.layers}
    names = [name for name in (*numbered, *(["quadrants"] if quadrants else [])) if name in known]
    return list(zip(modules, [known[name] for name in names], strict=True))


def _logits(torch_network: Network, keras_network: KerasNetwork, images: Images) -> Iterator[Difference]:
    """Compare the logits in both modes.

    In training mode, the running statistics change. They are compared after three batches.
    """
    given, transposed = torch.from_numpy(images), _channels_last(images)
    with torch.no_grad():
        for mode, training in [("evaluation", False), ("training", True)]:
            yield _compare(
                "logits",
                mode,
                torch_network.train(training)(given).numpy(),
                keras_network.model(transposed, training=training).numpy(),
            )
        for part in (0.5 * images - 1, 2 * images + 1):
            torch_network(torch.from_numpy(part))
            keras_network.model(_channels_last(part), training=True)
    for one in counterparts(torch_network, keras_network):
        if not one.trained:
            yield _compare("running statistic", one.name, one.order(one.tensor.numpy()), one.variable.numpy())


def _trained(
    torch_network: Network, keras_network: KerasNetwork, images: Images, labels: Labels, steps: int
) -> Iterator[Difference]:
    """Compare the gradients of the first batch, and the weights after one step and after all steps."""
    import tensorflow as tf

    recipe: dict[str, Any] = {"steps": STEPS, "peak": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    descent, keras_descent = Descent(torch_network, **recipe), KerasDescent(keras_network, plain, **recipe)
    given, targets = torch.from_numpy(images), torch.from_numpy(labels)
    batch, wanted = tf.constant(_channels_last(images)), tf.constant(labels)
    found = [one for one in counterparts(torch_network, keras_network) if one.trained]
    torch_network.train()
    functional.cross_entropy(torch_network(given), targets).backward()
    gradients = tf.function(keras_descent.slope, autograph=False)(batch, wanted)[2]
    by_variable = {id(v): g for v, g in zip(keras_network.model.trainable_variables, gradients, strict=True)}
    for one in found:
        assert one.tensor.grad is not None
        yield _compare("gradient", one.name, one.order(one.tensor.grad.numpy()), by_variable[id(one.variable)].numpy())
    take = tf.function(keras_descent.take, autograph=False)
    for step in range(steps):
        descent.take(step, functional.cross_entropy(torch_network(given), targets))
        take(batch, wanted)
        if step + 1 in (1, STEPS):
            what = ONE_STEP if step == 0 else ALL_STEPS
            yield from (_compare(what, one.name, one.order(one.tensor.detach().numpy()), one.variable.numpy()) for one in found)

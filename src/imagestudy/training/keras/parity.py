"""By how much a model in Keras differs from its PyTorch twin with the same weights: layer by layer, in slopes and in steps."""

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
ONE_STEP, ALL_STEPS = "weights after 1 step", f"weights after {STEPS} steps"
ALLOWED = {
    "activation": 1e-4,
    "logits": 1e-4,
    "running statistic": 1e-4,
    "gradient": 1e-3,
    ONE_STEP: 1e-4,
    ALL_STEPS: 3e-3,
}
"""What counts as the same: the largest absolute difference, of weights after a step the root of the mean square.

Two frameworks add the same products in another order. AdamW divides a slope by its own size, so that a weight whose slope is only
rounding may go up in one and down in the other, by a whole learning rate; what holds for single weights holds for slopes alone.
"""

Images = Float[np.ndarray, "batch channel height width"]
Labels = Int64[np.ndarray, " batch"]


def draw_batch(shape: Shape, *, classes: int, size: int = 64, seed: int = 0) -> tuple[Images, Labels]:
    """Normally distributed images and uniform labels."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, *shape), dtype=np.float32), rng.integers(0, classes, size)


def make_pair(spec: ModelSpec, *, shape: Shape, classes: int, seed: int = 0) -> tuple[Network, KerasNetwork]:
    """A Keras model with the weights of its PyTorch twin, and the twin; torch's global generator is left as it was."""
    start()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theirs, ours = build(twin(spec), shape=shape, classes=classes), build(spec, shape=shape, classes=classes)
    assert isinstance(theirs, Network)
    assert isinstance(ours, KerasNetwork)
    copy_weights(theirs, ours)
    return theirs, ours


def measure(
    model: str, images: Images, labels: Labels, *, classes: int, params: int | None = None, seed: int = 0, steps: int = STEPS
) -> pd.DataFrame:
    """How far a Keras model is from its PyTorch twin with the same weights, on one batch.

    Args:
        model: a Keras model.
        images: normalised, channels first.
        labels: theirs.
        classes: number of classes.
        params: budget of parameters; None is the model's own size.
        seed: of the weights.
        steps: of the optimiser, all on this batch, within a schedule of `STEPS`; at least 1.

    Returns:
        `what` (see `ALLOWED`), `part` (layer or weight, in the order in which an image passes them), `difference` (the largest
        absolute one), `typical` (the root of the mean square), `size` (the largest absolute value in PyTorch), `held` (that of the
        first two which is held to what is allowed), `allowed`, and whether it is `within` that.
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
    """One measured difference; for the fields see `measure`."""

    what: str
    part: str
    difference: float
    typical: float
    size: float


def _compare(what: str, part: str, theirs: np.ndarray, ours: np.ndarray) -> Difference:
    apart = np.abs(theirs.astype(np.float64) - ours)
    return Difference(what, part, float(apart.max()), float(np.sqrt((apart**2).mean())), float(np.abs(theirs).max()))


def _last(images: np.ndarray) -> np.ndarray:
    """Channels last."""
    return np.ascontiguousarray(np.moveaxis(images, 1, -1)) if images.ndim == 4 else images


def _activations(theirs: Network, ours: KerasNetwork, images: Images) -> Iterator[Difference]:
    """The outputs of all layers with weights and of all poolings, in evaluation mode."""
    import keras

    pairs = [*layer_pairs(theirs, ours), *_pool_pairs(theirs, ours)]
    place = {layer.name: number for number, layer in enumerate(ours.model.layers)}
    pairs.sort(key=lambda pair: place[pair[1].name])
    seen: dict[nn.Module, np.ndarray] = {}
    handles = [m.register_forward_hook(lambda m, _, out: seen.__setitem__(m, out.detach().numpy().copy())) for m, _ in pairs]
    with torch.no_grad():
        theirs.eval()(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    said = keras.Model(ours.model.input, [layer.output for _, layer in pairs])(_last(images), training=False)
    for (module, layer), output in zip(pairs, said, strict=True):
        given = seen[module]
        wanted = given.reshape(given.shape[0], output.shape[-1], *output.shape[1:3]) if isinstance(module, nn.AvgPool2d) else given
        yield _compare("activation", layer.name, _last(wanted), output.numpy())


def _pool_pairs(theirs: Network, ours: KerasNetwork) -> list[tuple[nn.Module, Any]]:
    modules = [m for m in theirs.modules() if isinstance(m, nn.AvgPool2d | nn.MaxPool2d)]
    quadrants = any(isinstance(m, QuadrantPool) for m in theirs.modules())
    numbered = [f"pool{number}" for number in (1, 2)]
    known = {layer.name: layer for layer in ours.model.layers}
    names = [name for name in (*numbered, *(["quadrants"] if quadrants else [])) if name in known]
    return list(zip(modules, [known[name] for name in names], strict=True))


def _logits(theirs: Network, ours: KerasNetwork, images: Images) -> Iterator[Difference]:
    """In both modes; in training mode the running statistics move, and are compared after three batches."""
    given, channels_last = torch.from_numpy(images), _last(images)
    with torch.no_grad():
        for mode, training in [("evaluation", False), ("training", True)]:
            yield _compare(
                "logits", mode, theirs.train(training)(given).numpy(), ours.model(channels_last, training=training).numpy()
            )
        for part in (0.5 * images - 1, 2 * images + 1):
            theirs(torch.from_numpy(part))
            ours.model(_last(part), training=True)
    for one in counterparts(theirs, ours):
        if not one.trained:
            yield _compare("running statistic", one.name, one.order(one.tensor.numpy()), one.variable.numpy())


def _trained(theirs: Network, ours: KerasNetwork, images: Images, labels: Labels, steps: int) -> Iterator[Difference]:
    """Gradients of the first batch, and the weights after one step and after all."""
    import tensorflow as tf

    recipe: dict[str, Any] = {"steps": STEPS, "peak": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    descent, keras_descent = Descent(theirs, **recipe), KerasDescent(ours, plain, **recipe)
    given, targets = torch.from_numpy(images), torch.from_numpy(labels)
    batch, wanted = tf.constant(_last(images)), tf.constant(labels)
    found = [one for one in counterparts(theirs, ours) if one.trained]
    theirs.train()
    functional.cross_entropy(theirs(given), targets).backward()
    slopes = tf.function(keras_descent.slope, autograph=False)(batch, wanted)[2]
    by_variable = {id(v): g for v, g in zip(ours.model.trainable_variables, slopes, strict=True)}
    for one in found:
        assert one.tensor.grad is not None
        yield _compare("gradient", one.name, one.order(one.tensor.grad.numpy()), by_variable[id(one.variable)].numpy())
    take = tf.function(keras_descent.take, autograph=False)
    for step in range(steps):
        descent.take(step, functional.cross_entropy(theirs(given), targets))
        take(batch, wanted)
        if step + 1 in (1, STEPS):
            what = ONE_STEP if step == 0 else ALL_STEPS
            yield from (_compare(what, one.name, one.order(one.tensor.detach().numpy()), one.variable.numpy()) for one in found)

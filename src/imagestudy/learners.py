"""The training loop, and its sibling for classical models, behind scikit-learn's interface: `fit(images, labels)`, `predict_proba`.

Images stay one `uint8` array in memory; the whole schedule of batches is drawn beforehand as one array of indices; normalisation
and augmentation work on whole batches. Inside the loop nothing waits for the device.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, Real, UInt8
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from imagestudy import metrics
from imagestudy.data import augment
from imagestudy.models import Classical, Network, build, models
from imagestudy.remedies import remedy, require_classical
from imagestudy.seeding import generator, make_torch_deterministic, torch_generator
from imagestudy.specs import RunSpec

LEARNING_RATE = 1e-2
"""Of all networks alike; validation preferred it on the whole (`grids.recipes`, shown in 07_accuracy)."""
WEIGHT_DECAY = 0.05
WARM_UP = 0.1
CLIP_NORM = 1.0
CURVE_POINTS = 20
PREDICT_BATCH = 512

Images = UInt8[np.ndarray, "n height width channel"]
Labels = Int64[np.ndarray, " n"]


class DivergedError(RuntimeError):
    """The loss was no finite number."""


@runtime_checkable
class Learner(Protocol):
    """What every learner offers, whatever is behind it.

    `seconds` is the time that `fit` took; `curve` has a row for each of `CURVE_POINTS` stretches of training (images seen, mean
    loss, training accuracy on the batches, balanced accuracy on the watched images), none for a model that is not trained in steps.
    """

    seconds: float
    curve: Float[np.ndarray, "point 4"]

    def fit(self, images: Images, labels: Labels) -> "Learner":
        """Learn from images and labels."""
        ...

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Log-probabilities, one row an image."""
        ...

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Probabilities, one row an image."""
        ...


def learning_rate_at(step: int, steps: int) -> float:
    """The share of the peak learning rate at a step: linear warm-up, then half a cosine to zero (Loshchilov & Hutter 2017).

    Args:
        step: 0 to steps - 1.
        steps: of the whole training.
    """
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices and kernels decay; biases, norms, positions and other vectors do not."""
    decaying = [p for p in network.parameters() if p.ndim >= 2 and not getattr(p, "no_decay", False)]
    known = {id(p) for p in decaying}
    others = [p for p in network.parameters() if id(p) not in known]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _layout(network: nn.Module) -> torch.memory_format:
    """Convolutions run faster with the channels last; a network without any has no use for a reordered batch."""
    convolves = any(isinstance(part, nn.Conv2d) for part in network.modules())
    return torch.channels_last if convolves else torch.contiguous_format


def count_values(images: Images) -> Int64[np.ndarray, "channel 256"]:
    """How often each of the 256 values occurs in each channel, counted in slices so that memory stays bounded."""
    channels = images.shape[3]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), 1_024):
        for channel in range(channels):
            counts[channel] += np.bincount(images[start : start + 1_024, :, :, channel].ravel(), minlength=256)
    return counts


def log_softmax(decision: Float[np.ndarray, "n class"]) -> Float[np.ndarray, "n class"]:
    """Decision values as log-probabilities."""
    shifted = decision - decision.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@dataclass
class TorchLearner:
    """A neural network trained as its run says.

    Args:
        spec: model, remedy, training recipe and seeds.
        classes: number of classes.
        flips: directions in which a flip keeps the class, for augmentation.
        watch: images and labels whose balanced accuracy is followed while training; they never change what is learned.
    """

    spec: RunSpec
    classes: int
    flips: tuple[str, ...] = ()
    watch: tuple[Images, Labels] | None = None
    network: Network = field(init=False)
    mean: Tensor = field(init=False)
    deviation: Tensor = field(init=False)
    layout: torch.memory_format = field(init=False)
    seconds: float = field(init=False, default=0.0)
    curve: Float[np.ndarray, "point 4"] = field(init=False)

    def fit(self, images: Images, labels: Labels) -> "TorchLearner":
        """Train for the run's budget; the last weights are kept.

        Raises:
            DivergedError: the loss was no finite number.
        """
        training = self.spec.training
        make_torch_deterministic(self.spec.seed_of("init"), "init", threads=training.threads)
        device = torch.device(training.device)
        _, height, width, channel = images.shape
        self.network = cast(Network, build(self.spec.model, shape=(channel, height, width), classes=self.classes))
        self.layout = _layout(self.network)
        self.network.to(device).to(memory_format=self.layout)
        started = time.perf_counter()
        self._measure(images)
        self._train(self._to_device(images), torch.tensor(labels, device=device), labels)
        self.seconds = time.perf_counter() - started
        return self

    def _to_device(self, images: Images) -> UInt8[Tensor, "n channel height width"]:
        pixels = np.require(images.transpose(0, 3, 1, 2), requirements=["C", "W"])
        return torch.from_numpy(pixels).to(self.spec.training.device)

    def _measure(self, images: Images) -> None:
        """Mean and standard deviation a channel, of the training images only, in units of the full range, from exact counts."""
        values = np.arange(256) / 255
        shares = count_values(images) / (images.size / images.shape[3])
        mean = shares @ values
        deviation = np.sqrt(shares @ values**2 - mean**2).clip(1e-3)
        device, row = self.spec.training.device, (1, -1, 1, 1)
        self.mean, self.deviation = (torch.tensor(v, dtype=torch.float32, device=device).view(row) for v in (mean, deviation))
        self._offset, self._scale, self._byte_scale = -self.mean / self.deviation, 1 / self.deviation, 1 / (255 * self.deviation)

    def _normalised(self, batch: Real[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        """(x − mean) / deviation of floats in [0, 1], or of bytes as if they were that, in the network's layout."""
        scale = self._scale if batch.is_floating_point() else self._byte_scale
        return torch.addcmul(self._offset, batch.contiguous(memory_format=self.layout).float(), scale)

    def _batches(
        self, pixels: UInt8[Tensor, "n channel height width"], targets: Int64[Tensor, " n"], plan: Int64[Tensor, "step batch"]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        draws = torch_generator(self.spec.seed_of("batches"), "augment", self.spec.training.device)
        augmented = augment.bind(self.spec.preprocessing.augment, flips=self.flips)
        for chosen in plan:
            yield self._normalised(augmented(pixels.index_select(0, chosen), draws)), targets.index_select(0, chosen)

    def _train(self, pixels: UInt8[Tensor, "n channel height width"], targets: Int64[Tensor, " n"], labels: Labels) -> None:
        training, chosen = self.spec.training, remedy(self.spec.remedy)
        order = generator(self.spec.seed_of("batches"), "batches")
        plan = chosen.plan(labels, images_seen=training.images_seen, batch=training.batch, rng=order)
        pay = chosen.loss(np.bincount(labels, minlength=self.classes).astype(np.int64), device=pixels.device)
        peak = training.learning_rate or models.entry(self.spec.model.name).facts.get("learning_rate", LEARNING_RATE)
        decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
        optimizer = torch.optim.AdamW(_parameter_groups(self.network, decay), lr=peak, fused=True)
        tracker = _Tracker(steps=len(plan), batch=training.batch, score=self._watched_score)
        parameters = list(self.network.parameters())
        self.network.train()
        batches = self._batches(pixels, targets, torch.from_numpy(plan).to(pixels.device))
        for step, (batch, target) in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = peak * learning_rate_at(step, len(plan))
            with torch.autocast(training.device, dtype=torch.bfloat16, enabled=training.dtype == "bfloat16"):
                logits = self.network(batch)
            loss = pay(logits, target, step / len(plan))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP_NORM, foreach=True)
            optimizer.step()
            tracker.follow(step, loss.detach(), logits.detach(), target)
        self.curve = tracker.curve()

    def _watched_score(self) -> float:
        if self.watch is None:
            return math.nan
        images, labels = self.watch
        predicted = self.predict_log_proba(images).argmax(axis=1)
        self.network.train()
        return metrics.balanced_accuracy(predicted, labels, classes=self.classes)

    @torch.inference_mode()
    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Log-probabilities in batches of a fixed size, so that an image's do not depend on how many are asked for."""
        self.network.eval()
        rows = []
        for pixels in self._to_device(images).split(PREDICT_BATCH):
            with torch.autocast(self.spec.training.device, dtype=torch.bfloat16, enabled=self.spec.training.dtype == "bfloat16"):
                logits = self.network(self._normalised(pixels))
            rows.append(logits.double().log_softmax(dim=1).cpu())
        return torch.cat(rows).numpy()

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Probabilities, one row an image."""
        return np.exp(self.predict_log_proba(images))


@dataclass
class _Tracker:
    """Follows the loss and the accuracy on the batches, and reads them off the device only at the points of the curve."""

    steps: int
    batch: int
    score: Callable[[], float]
    points: list[tuple[float, float, float, float]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    hits: list[Tensor] = field(default_factory=list)

    def follow(self, step: int, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        self.losses.append(loss)
        self.hits.append((logits.argmax(dim=1) == target).float().mean())
        if (step + 1) * CURVE_POINTS // self.steps > step * CURVE_POINTS // self.steps:
            self._read((step + 1) * self.batch)

    def _read(self, seen: int) -> None:
        loss = torch.stack(self.losses).mean().item()
        if not math.isfinite(loss):
            raise DivergedError(f"the loss was {loss} after {seen} images")
        self.points.append((seen, loss, torch.stack(self.hits).mean().item(), self.score()))
        self.losses.clear()
        self.hits.clear()

    def curve(self) -> Float[np.ndarray, "point 4"]:
        return np.array(self.points, dtype=np.float64).reshape(-1, 4)


@lru_cache(maxsize=1)
def thread_pools() -> ThreadpoolController:
    """The thread pools behind NumPy and scikit-learn, whose size can change the last bits of a result."""
    return ThreadpoolController()


@dataclass
class ClassicalLearner:
    """A classical model behind the same interface: probabilities are the softmax of its decision values at a fitted temperature.

    Args:
        spec: model, remedy and seeds.
        classes: number of classes.
        watch: validation images and labels on which the temperature is fitted; without them it is 1.
    """

    spec: RunSpec
    classes: int
    watch: tuple[Images, Labels] | None = None
    model: Classical = field(init=False)
    temperature: float = field(init=False, default=1.0)
    seconds: float = field(init=False, default=0.0)
    curve: Float[np.ndarray, "point 4"] = field(init=False)

    def fit(self, images: Images, labels: Labels) -> "ClassicalLearner":
        """Fit on the images that the remedy chooses, with the weights that it gives."""
        with thread_pools().limit(limits=self.spec.training.threads):
            return self._fit(images, labels)

    def _fit(self, images: Images, labels: Labels) -> "ClassicalLearner":
        chosen = require_classical(self.spec.remedy)
        order = generator(self.spec.seed_of("batches"), "batches")
        _, height, width, channel = images.shape
        started = time.perf_counter()
        self.model = cast(Classical, build(self.spec.model, shape=(channel, height, width), classes=self.classes))
        taken = chosen.resample(labels, rng=order)
        weights = chosen.sample_weights(np.bincount(labels, minlength=self.classes).astype(np.int64))
        self.model.fit(images[taken], labels[taken], sample_weight=None if weights is None else weights[labels[taken]])
        if self.watch is not None:
            self.temperature = metrics.fit_temperature(log_softmax(self.model.decision(self.watch[0])), self.watch[1])
        self.seconds = time.perf_counter() - started
        self.curve = np.empty((0, 4))
        return self

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Log-probabilities, one row an image."""
        with thread_pools().limit(limits=self.spec.training.threads):
            return log_softmax(self.model.decision(images) / self.temperature)

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Probabilities, one row an image."""
        return np.exp(self.predict_log_proba(images))


def make_learner(
    spec: RunSpec, *, classes: int, flips: tuple[str, ...] = (), watch: tuple[Images, Labels] | None = None
) -> TorchLearner | ClassicalLearner:
    """The learner that trains the run's model."""
    if models.entry(spec.model.name).facts["kind"] == "classical":
        return ClassicalLearner(spec, classes, watch)
    return TorchLearner(spec, classes, flips, watch)

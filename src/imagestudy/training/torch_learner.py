"""The learner for PyTorch networks."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int64, Real, UInt8
from torch import Tensor, nn

from imagestudy.core.errors import InputError
from imagestudy.core.seeding import generator, make_torch_deterministic, torch_generator
from imagestudy.core.specs import RunSpec
from imagestudy.data import augmentation
from imagestudy.metrics import classification
from imagestudy.models import Network, build
from imagestudy.models.pretrained import load_weights, starting_weights
from imagestudy.models.pretrained_weights import fetch_weights
from imagestudy.remedies import remedy
from imagestudy.remedies.decoupling import Features
from imagestudy.remedies.losses import Loss, plain_cross_entropy
from imagestudy.remedies.mixing import Mixture
from imagestudy.remedies.sampling import Sampling, count_steps
from imagestudy.training.history import CURVE_POINTS, Tracker
from imagestudy.training.memory import keep_freed_memory
from imagestudy.training.optimizer import LEARNING_RATE, WEIGHT_DECAY, Descent
from imagestudy.training.sklearn_learner import Beside, Images, Labels

PREDICT_BATCH = 512
"""The batch size of predictions."""


class Batch(NamedTuple):
    """The training batch of one step.

    If images are mixed, `partner_labels` are the labels of the images mixed in, and `shares` the weights of the images' own labels.
    """

    images: Float[Tensor, "batch channel height width"]
    labels: Int64[Tensor, " batch"]
    partner_labels: Int64[Tensor, " batch"] | None = None
    shares: Float[Tensor, " batch"] | None = None


def count_values(images: Images) -> Int64[np.ndarray, "channel 256"]:
    """Count how often each of the 256 pixel values occurs in each channel. Counting in slices bounds the memory."""
    channels = images.shape[3]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), 1_024):
        for channel in range(channels):
            counts[channel] += np.bincount(images[start : start + 1_024, :, :, channel].ravel(), minlength=256)
    return counts


def measure_channels(images: Images) -> tuple[Float[np.ndarray, " channel"], Float[np.ndarray, " channel"]]:
    """Return the mean and the standard deviation (at least 0.001) of each channel, as shares of the full pixel range.

    Both are computed from exact counts of pixel values.
    """
    values = np.arange(256) / 255
    shares = count_values(images) / (images.size / images.shape[3])
    mean = shares @ values
    return mean, np.sqrt(shares @ values**2 - mean**2).clip(1e-3)


def channels_first(images: Images) -> UInt8[Tensor, "n channel height width"]:
    """Return the images as a tensor with channels first.

    Images in memory are copied, which makes drawing batches fast. A memory-mapped array that is writable is not copied; the result
    is a view of it.
    """
    pixels = images.transpose(0, 3, 1, 2)
    if not (isinstance(images, np.memmap) and images.flags.writeable):
        pixels = np.require(pixels, requirements=["C", "W"])
    return torch.from_numpy(pixels)


def _layout(network: nn.Module) -> torch.memory_format:
    """The memory format for a network: channels last for networks with convolutions, which run faster with it."""
    convolves = any(isinstance(part, nn.Conv2d) for part in network.modules())
    return torch.channels_last if convolves else torch.contiguous_format


@dataclass
class TorchLearner:
    """The learner for a PyTorch network.

    Args:
        spec: the model, remedy, training recipe and seeds.
        classes: the number of classes.
        flips: the directions in which a flip keeps the class, for augmentation.
        watch: validation images and labels. Their balanced accuracy is recorded during training, and a remedy may choose settings
            on them after training. They never influence how the features are learned.
        beside: further images and labels whose balanced accuracy is recorded. Nothing is chosen on them.
        points: the number of points of the training curve. 0 records no curve.
    """

    spec: RunSpec
    classes: int
    flips: tuple[str, ...] = ()
    watch: tuple[Images, Labels] | None = None
    beside: Beside | None = None
    points: int = CURVE_POINTS
    network: Network = field(init=False)
    mean: Tensor = field(init=False)
    deviation: Tensor = field(init=False)
    layout: torch.memory_format = field(init=False)
    seconds: float = field(init=False, default=0.0)
    curve: Float[np.ndarray, "point column"] = field(init=False)
    chosen: dict[str, float] = field(init=False, default_factory=dict)

    def fit(self, images: Images, labels: Labels) -> "TorchLearner":
        """Train for the whole budget of the run and keep the last weights.

        Raises:
            DivergedError: if the loss becomes NaN or infinite.
            InputError: if the budget is too small for the remedy, the remedy needs validation images and `watch` is None, or the
                pretrained weights are not in the data folder and cannot be downloaded.
        """
        training = self.spec.training
        self._require_validation()
        make_torch_deterministic(self.spec.seed_of("init"), "init", threads=training.threads)
        keep_freed_memory()
        device = torch.device(training.device)
        _, height, width, channel = images.shape
        self._shape = (channel, height, width)
        self.network = self._build()
        if weights := starting_weights(self.spec.model.name):
            load_weights(self.network, fetch_weights(weights))
        self.layout = _layout(self.network)
        self.network.to(device).to(memory_format=self.layout)
        started = time.perf_counter()
        self._measure(images)
        self._train(images, self._to_device(images), torch.tensor(labels, device=device), labels)
        self.seconds = time.perf_counter() - started
        return self

    def _require_validation(self) -> None:
        if self.watch is None and remedy(self.spec.remedy).head.needs_validation:
            raise InputError(f"remedy {self.spec.remedy.name!r} needs validation images, and none were given; pass them as watch")

    def _build(self) -> Network:
        network = cast(Network, build(self.spec.model, shape=self._shape, classes=self.classes))
        network.head = remedy(self.spec.remedy).head.start(cast(nn.Linear, network.head))
        return network

    def _to_device(self, images: Images) -> UInt8[Tensor, "n channel height width"]:
        return channels_first(images).to(self.spec.training.device)

    def _measure(self, images: Images) -> None:
        """Compute the mean and standard deviation of each channel, from the training images only."""
        mean, deviation = measure_channels(images)
        device, row = self.spec.training.device, (1, -1, 1, 1)
        self.mean, self.deviation = (torch.tensor(v, dtype=torch.float32, device=device).view(row) for v in (mean, deviation))
        self._offset, self._scale, self._byte_scale = -self.mean / self.deviation, 1 / self.deviation, 1 / (255 * self.deviation)

    def _normalized(self, batch: Real[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        """Normalize a batch to (x − mean) / deviation, in the memory format of the network.

        Floats are in [0, 1]. Bytes are treated as if they were scaled to [0, 1].
        """
        scale = self._scale if batch.is_floating_point() else self._byte_scale
        return torch.addcmul(self._offset, batch.contiguous(memory_format=self.layout).float(), scale)

    def _batches(
        self,
        pixels: UInt8[Tensor, "n channel height width"],
        targets: Int64[Tensor, " n"],
        plan: Int64[np.ndarray, "step batch"],
        mixture: Mixture | None,
        draws: torch.Generator,
    ) -> Iterator[Batch]:
        """Yield the training batches in the order of `plan`: augmented, normalized, and mixed if `mixture` is given."""
        augment = augmentation.bind(self.spec.preprocessing.augment, flips=self.flips)

        def load(chosen: Int64[Tensor, " batch"]) -> Float[Tensor, "batch channel height width"]:
            return self._normalized(augment(pixels.index_select(0, chosen), draws))

        rows = torch.from_numpy(plan).to(pixels.device)
        if mixture is None:
            for chosen in rows:
                yield Batch(load(chosen), targets.index_select(0, chosen))
            return
        partners = torch.from_numpy(mixture.partners).to(pixels.device)
        shares = torch.tensor(mixture.shares, dtype=torch.float32, device=pixels.device)
        for step, (chosen, partner) in enumerate(zip(rows, partners, strict=True)):
            images = mixture.mix(load(chosen), load(partner), step)
            yield Batch(images, targets.index_select(0, chosen), targets.index_select(0, partner), shares[step])

    def _train(
        self,
        images: Images,
        pixels: UInt8[Tensor, "n channel height width"],
        targets: Int64[Tensor, " n"],
        labels: Labels,
    ) -> None:
        training, chosen = self.spec.training, remedy(self.spec.remedy)
        order = generator(self.spec.seed_of("batches"), "batches")
        draws = torch_generator(self.spec.seed_of("batches"), "augment", training.device)
        steps = count_steps(labels, images_seen=training.images_seen, batch=training.batch)
        late = chosen.head.steps(steps)
        plan = chosen.plan(labels, images_seen=(steps - late) * training.batch, batch=training.batch, rng=order)
        size = (pixels.shape[2], pixels.shape[3])
        mixture = None if chosen.mixing is None else chosen.mixing.schedule(plan, labels, size=size, rng=order.spawn(1)[0])
        loss_of = chosen.loss(np.bincount(labels, minlength=self.classes).astype(np.int64), device=pixels.device)
        tracker = Tracker(steps=steps, batch=training.batch, scores=self._scores, points=self.points)
        self.network.train()
        self._optimize(
            self.network, self.network, self._batches(pixels, targets, plan, mixture, draws), len(plan), loss_of, tracker
        )

        def train_head(sampling: Sampling) -> None:
            again = sampling.plan(labels, images_seen=late * training.batch, batch=training.batch, rng=order)
            batches = self._batches(pixels, targets, again, None, draws)
            self._optimize(self.network.head, self._frozen_logits, batches, late, plain_cross_entropy, tracker)

        self.network.head, self.chosen = chosen.head.apply(_Learned(self, images, labels, train_head))
        self.curve = tracker.curve()

    def _optimize(
        self,
        trained: nn.Module,
        logits_of: Callable[[Tensor], Tensor],
        batches: Iterator[Batch],
        steps: int,
        loss_of: Loss,
        tracker: Tracker,
    ) -> None:
        """Train a part of the network on batches.

        Args:
            trained: the part that is trained.
            logits_of: the function from images to logits.
            batches: the batches, one per step.
            steps: the number of batches.
            loss_of: the function that returns the loss of each image.
            tracker: records the training curve.
        """
        training = self.spec.training
        peak = training.learning_rate or LEARNING_RATE
        decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
        descent = Descent(trained, steps=steps, peak=peak, weight_decay=decay)
        for step, batch in enumerate(batches):
            with torch.autocast(training.device, dtype=torch.bfloat16, enabled=training.dtype == "bfloat16"):
                logits = logits_of(batch.images)
            loss = loss_of(logits, batch.labels, step / steps)
            if batch.partner_labels is not None and batch.shares is not None:
                loss = torch.lerp(loss_of(logits, batch.partner_labels, step / steps), loss, batch.shares)
            mean = loss.mean()
            descent.take(step, mean)
            tracker.follow(mean.detach(), logits.detach(), batch.labels)

    def _frozen_logits(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch class"]:
        """The logits of a batch, without gradients for the features."""
        with torch.no_grad():
            pooled = self.network.pool(self.network.features(images))
        return self.network.head(pooled)

    def _scores(self) -> tuple[float, ...]:
        """The balanced accuracy on the images of `watch` and, if given, of `beside`. It is NaN if `watch` is None."""
        followed = [self.watch] if self.beside is None else [self.watch, self.beside]
        return tuple(math.nan if part is None else self._score(*part) for part in followed)

    def _score(self, images: Images, labels: Labels) -> float:
        training = self.network.training
        predicted = self.predict_log_proba(images).argmax(axis=1)
        self.network.train(training)
        return classification.balanced_accuracy(predicted, labels, classes=self.classes)

    @torch.inference_mode()
    def _pooled(self, images: Images) -> Float[Tensor, "n dim"]:
        """The pooled features, computed in batches of a fixed size."""
        self.network.eval()
        parts = []
        for pixels in self._to_device(images).split(PREDICT_BATCH):
            with torch.autocast(self.spec.training.device, dtype=torch.bfloat16, enabled=self.spec.training.dtype == "bfloat16"):
                parts.append(self.network.pool(self.network.features(self._normalized(pixels))).float())
        return torch.cat(parts)

    @torch.inference_mode()
    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the log-probabilities, one row per image.

        The batch size is fixed, so that the result of an image does not depend on how many images are given. All results are
        written into one array. Separate arrays would lie between the batches in memory and make memory grow with every batch.
        """
        self.network.eval()
        log_probabilities = np.empty((len(images), self.classes))
        for place, pixels in enumerate(self._to_device(images).split(PREDICT_BATCH)):
            with torch.autocast(self.spec.training.device, dtype=torch.bfloat16, enabled=self.spec.training.dtype == "bfloat16"):
                logits = self.network(self._normalized(pixels))
            start = place * PREDICT_BATCH
            log_probabilities[start : start + len(pixels)] = logits.double().log_softmax(dim=1).cpu().numpy()
        return log_probabilities

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the probabilities, one row per image."""
        return np.exp(self.predict_log_proba(images))


@dataclass
class _Learned:
    """The features that a learner has learned, see `remedies.decoupling.LearnedFeatures`."""

    learner: TorchLearner
    images: Images
    labels: Labels
    train: Callable[[Sampling], None]

    @property
    def head(self) -> nn.Module:
        return self.learner.network.head

    @property
    def classes(self) -> int:
        return self.learner.classes

    def new_head(self) -> nn.Module:
        return self.learner._build().head

    def train_head(self, head: nn.Module, sampling: Sampling) -> None:
        network = self.learner.network
        network.head = head.to(self.learner.spec.training.device)
        network.eval()
        self.train(sampling)

    def training_features(self) -> Features:
        return self.learner._pooled(self.images), self.labels

    def validation_features(self) -> Features:
        images, labels = cast(tuple[Images, Labels], self.learner.watch)
        return self.learner._pooled(images), labels

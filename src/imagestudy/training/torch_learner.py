"""The training loop of networks."""

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
from imagestudy.models.heads import CosineHead, ScaledHead
from imagestudy.models.pretrained import load_weights, starting_weights
from imagestudy.models.pretrained_weights import fetch_weights
from imagestudy.remedies import COSINE_SCALE, remedy
from imagestudy.remedies.decoupling import ClassMeans, Normalization, Retraining
from imagestudy.remedies.losses import Loss, plain_cross_entropy
from imagestudy.remedies.mixing import Mixture
from imagestudy.remedies.sampling import count_steps
from imagestudy.training.heads import class_means, normalize_head
from imagestudy.training.history import CURVE_POINTS, Tracker
from imagestudy.training.memory import keep_freed_memory
from imagestudy.training.optimizer import LEARNING_RATE, WEIGHT_DECAY, Descent
from imagestudy.training.sklearn_learner import Beside, Images, Labels

PREDICT_BATCH = 512


class Batch(NamedTuple):
    """What one step sees: images, their labels, and where images are mixed the partners' labels and the own labels' shares."""

    images: Float[Tensor, "batch channel height width"]
    labels: Int64[Tensor, " batch"]
    partner_labels: Int64[Tensor, " batch"] | None = None
    shares: Float[Tensor, " batch"] | None = None


def count_values(images: Images) -> Int64[np.ndarray, "channel 256"]:
    """How often each of the 256 values occurs in each channel, counted in slices so that memory stays bounded."""
    channels = images.shape[3]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), 1_024):
        for channel in range(channels):
            counts[channel] += np.bincount(images[start : start + 1_024, :, :, channel].ravel(), minlength=256)
    return counts


def measure_channels(images: Images) -> tuple[Float[np.ndarray, " channel"], Float[np.ndarray, " channel"]]:
    """Mean and standard deviation (at least 0.001) a channel, in units of the full range, from exact counts."""
    values = np.arange(256) / 255
    shares = count_values(images) / (images.size / images.shape[3])
    mean = shares @ values
    return mean, np.sqrt(shares @ values**2 - mean**2).clip(1e-3)


def channels_first(images: Images) -> UInt8[Tensor, "n channel height width"]:
    """A copy with the channels first, from which batches are drawn fast; what lies on the disk stays there, seen that way."""
    pixels = images.transpose(0, 3, 1, 2)
    if not (isinstance(images, np.memmap) and images.flags.writeable):
        pixels = np.require(pixels, requirements=["C", "W"])
    return torch.from_numpy(pixels)


def _layout(network: nn.Module) -> torch.memory_format:
    """Convolutions run faster with the channels last; a network without any has no use for a reordered batch."""
    convolves = any(isinstance(part, nn.Conv2d) for part in network.modules())
    return torch.channels_last if convolves else torch.contiguous_format


@dataclass
class TorchLearner:
    """A neural network trained as its run says.

    Args:
        spec: model, remedy, training recipe and seeds.
        classes: number of classes.
        flips: directions in which a flip keeps the class, for augmentation.
        watch: images and labels whose balanced accuracy is followed while training, and on which a remedy chooses what it has to
            choose afterwards; they never change how the features are learned.
        beside: images and labels that are followed too, and choose nothing.
        points: of the curve; 0 follows nothing.
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
        """Train for the run's budget; the last weights are kept.

        Raises:
            DivergedError: the loss was no finite number.
            InputError: the budget is too small for the remedy, or it has to choose and there are no watched images; or the
                weights that the model starts from are not there and cannot be fetched.
        """
        training = self.spec.training
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
        self._train(self._to_device(images), torch.tensor(labels, device=device), labels)
        self._end(images, labels)
        self.seconds = time.perf_counter() - started
        return self

    def _build(self) -> Network:
        network = cast(Network, build(self.spec.model, shape=self._shape, classes=self.classes))
        if remedy(self.spec.remedy).head == "cosine":
            dim = cast(nn.Linear, network.head).in_features
            network.head = CosineHead(dim, self.classes, scale=COSINE_SCALE)
        return network

    def _to_device(self, images: Images) -> UInt8[Tensor, "n channel height width"]:
        return channels_first(images).to(self.spec.training.device)

    def _measure(self, images: Images) -> None:
        """Mean and standard deviation a channel, of the training images only."""
        mean, deviation = measure_channels(images)
        device, row = self.spec.training.device, (1, -1, 1, 1)
        self.mean, self.deviation = (torch.tensor(v, dtype=torch.float32, device=device).view(row) for v in (mean, deviation))
        self._offset, self._scale, self._byte_scale = -self.mean / self.deviation, 1 / self.deviation, 1 / (255 * self.deviation)

    def _normalised(self, batch: Real[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        """(x − mean) / deviation of floats in [0, 1], or of bytes as if they were that, in the network's layout."""
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
        augmented = augmentation.bind(self.spec.preprocessing.augment, flips=self.flips)

        def see(chosen: Int64[Tensor, " batch"]) -> Float[Tensor, "batch channel height width"]:
            return self._normalised(augmented(pixels.index_select(0, chosen), draws))

        rows = torch.from_numpy(plan).to(pixels.device)
        if mixture is None:
            for chosen in rows:
                yield Batch(see(chosen), targets.index_select(0, chosen))
            return
        partners = torch.from_numpy(mixture.partners).to(pixels.device)
        shares = torch.tensor(mixture.shares, dtype=torch.float32, device=pixels.device)
        for step, (chosen, partner) in enumerate(zip(rows, partners, strict=True)):
            images = mixture.mix(see(chosen), see(partner), step)
            yield Batch(images, targets.index_select(0, chosen), targets.index_select(0, partner), shares[step])

    def _train(self, pixels: UInt8[Tensor, "n channel height width"], targets: Int64[Tensor, " n"], labels: Labels) -> None:
        training, chosen = self.spec.training, remedy(self.spec.remedy)
        order = generator(self.spec.seed_of("batches"), "batches")
        draws = torch_generator(self.spec.seed_of("batches"), "augment", training.device)
        steps = count_steps(labels, images_seen=training.images_seen, batch=training.batch)
        late = chosen.ending.steps(steps) if isinstance(chosen.ending, Retraining) else 0
        plan = chosen.plan(labels, images_seen=(steps - late) * training.batch, batch=training.batch, rng=order)
        size = (pixels.shape[2], pixels.shape[3])
        mixture = None if chosen.mixing is None else chosen.mixing.schedule(plan, labels, size=size, rng=order.spawn(1)[0])
        pay = chosen.loss(np.bincount(labels, minlength=self.classes).astype(np.int64), device=pixels.device)
        tracker = Tracker(steps=steps, batch=training.batch, scores=self._scores, points=self.points)
        self.network.train()
        self._descend(self.network, self.network, self._batches(pixels, targets, plan, mixture, draws), len(plan), pay, tracker)
        if isinstance(chosen.ending, Retraining):
            self._exchange_head(chosen.ending)
            again = chosen.ending.sampling.plan(labels, images_seen=late * training.batch, batch=training.batch, rng=order)
            batches = self._batches(pixels, targets, again, None, draws)
            self._descend(self.network.head, self._speak_frozen, batches, late, plain_cross_entropy, tracker)
        self.curve = tracker.curve()

    def _descend(
        self,
        trained: nn.Module,
        speak: Callable[[Tensor], Tensor],
        batches: Iterator[Batch],
        steps: int,
        pay: Loss,
        tracker: Tracker,
    ) -> None:
        """Train a part of the network on batches: `speak` gives the logits, `pay` the loss of each image."""
        training = self.spec.training
        peak = training.learning_rate or LEARNING_RATE
        decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
        descent = Descent(trained, steps=steps, peak=peak, weight_decay=decay)
        for step, batch in enumerate(batches):
            with torch.autocast(training.device, dtype=torch.bfloat16, enabled=training.dtype == "bfloat16"):
                logits = speak(batch.images)
            loss = pay(logits, batch.labels, step / steps)
            if batch.partner_labels is not None and batch.shares is not None:
                loss = torch.lerp(pay(logits, batch.partner_labels, step / steps), loss, batch.shares)
            mean = loss.mean()
            descent.take(step, mean)
            tracker.follow(mean.detach(), logits.detach(), batch.labels)

    def _exchange_head(self, ending: Retraining) -> None:
        """A new head, drawn as the model draws its own, or factors on the old one; the features are frozen from here on."""
        network = self.network
        if ending.part == "scales":
            network.head = ScaledHead(network.head, self.classes).to(self.spec.training.device)
        else:
            network.head = self._build().head.to(self.spec.training.device)
        network.eval()

    def _speak_frozen(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch class"]:
        with torch.no_grad():
            pooled = self.network.pool(self.network.features(images))
        return self.network.head(pooled)

    def _end(self, images: Images, labels: Labels) -> None:
        """What a remedy does to the head of a trained network without training it."""
        ending = remedy(self.spec.remedy).ending
        if isinstance(ending, Normalization | ClassMeans):
            if self.watch is None:
                raise InputError(f"remedy {self.spec.remedy.name!r} chooses on validation images, and none were given")
            shown = self._pooled(self.watch[0]), self.watch[1]
            if isinstance(ending, Normalization):
                linear = cast(nn.Linear, self.network.head)
                self.network.head, self.chosen = normalize_head(linear, *shown, taus=ending.taus)
            else:
                self.network.head, self.chosen = class_means(self._pooled(images), labels, *shown, classes=self.classes)

    def _scores(self) -> tuple[float, ...]:
        """Balanced accuracy on the watched images and on those beside."""
        followed = [self.watch] if self.beside is None else [self.watch, self.beside]
        return tuple(math.nan if part is None else self._score(*part) for part in followed)

    def _score(self, images: Images, labels: Labels) -> float:
        training = self.network.training
        predicted = self.predict_log_proba(images).argmax(axis=1)
        self.network.train(training)
        return classification.balanced_accuracy(predicted, labels, classes=self.classes)

    @torch.inference_mode()
    def _pooled(self, images: Images) -> Float[Tensor, "n dim"]:
        """The pooled features, in batches of a fixed size."""
        self.network.eval()
        parts = []
        for pixels in self._to_device(images).split(PREDICT_BATCH):
            with torch.autocast(self.spec.training.device, dtype=torch.bfloat16, enabled=self.spec.training.dtype == "bfloat16"):
                parts.append(self.network.pool(self.network.features(self._normalised(pixels))).float())
        return torch.cat(parts)

    @torch.inference_mode()
    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Log-probabilities in batches of a fixed size, so that an image's do not depend on how many are asked for.

        They are written into one array: kept apart, they would lie between batches in memory and let it grow with every batch.
        """
        self.network.eval()
        said = np.empty((len(images), self.classes))
        for place, pixels in enumerate(self._to_device(images).split(PREDICT_BATCH)):
            with torch.autocast(self.spec.training.device, dtype=torch.bfloat16, enabled=self.spec.training.dtype == "bfloat16"):
                logits = self.network(self._normalised(pixels))
            start = place * PREDICT_BATCH
            said[start : start + len(pixels)] = logits.double().log_softmax(dim=1).cpu().numpy()
        return said

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Probabilities, one row an image."""
        return np.exp(self.predict_log_proba(images))

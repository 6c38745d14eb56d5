"""The training loop of networks in Keras: that of `network`, batch for batch, around a step that TensorFlow compiles."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int64

from imagestudy.core.errors import InputError, place
from imagestudy.core.seeding import generator, make_torch_deterministic, torch_generator
from imagestudy.core.specs import Choice, RunSpec
from imagestudy.data import augmentation
from imagestudy.metrics import classification
from imagestudy.models import KerasNetwork, build
from imagestudy.models.keras import start
from imagestudy.remedies import Remedy, losses, remedies, remedy
from imagestudy.remedies.sampling import count_steps
from imagestudy.training.history import CURVE_POINTS, Tracker
from imagestudy.training.keras.losses import KERAS_COSTS, keras_loss
from imagestudy.training.keras.optimizer import KerasDescent
from imagestudy.training.memory import keep_freed_memory
from imagestudy.training.optimizer import LEARNING_RATE, WEIGHT_DECAY
from imagestudy.training.sklearn_learner import Beside, Images, Labels, log_softmax
from imagestudy.training.torch_learner import PREDICT_BATCH, channels_first, measure_channels


def _lacking(found: Remedy) -> str:
    """What a remedy works on that only the PyTorch learner has; empty if a Keras model can follow it."""
    wanted = {
        "images mixed batch by batch": found.mixing is not None,
        "a head of its own": found.ending is not None or found.head != "linear",
        f"the loss {type(found.cost).__name__}": not _is_written(found.cost),
    }
    return next((what for what, is_wanted in wanted.items() if is_wanted), "")


def _is_written(cost: losses.Cost) -> bool:
    inner = {losses.Deferred: ("first", "then"), losses.Weighted: ("cost",)}.get(type(cost), ())
    return isinstance(cost, KERAS_COSTS) and all(_is_written(getattr(cost, name)) for name in inner)


def keras_remedies() -> tuple[str, ...]:
    """The names of the remedies that a Keras model can follow."""
    return tuple(name for name in remedies.names() if not _lacking(remedy(Choice(name=name))))


def require_keras(choice: Choice, *, where: str = "") -> Remedy:
    """The remedy of a name, for a Keras model; one that it cannot follow raises `InputError`."""
    found = remedy(choice, where=where)
    if lacking := _lacking(found):
        allowed = ", ".join(keras_remedies())
        raise InputError(
            f"remedy {choice.name!r} needs {lacking}, which the Keras models do not have{place(where)}; allowed: {allowed}"
        )
    return found


@dataclass
class KerasLearner:
    """A Keras model trained as its run says; for the arguments see `network.TorchLearner`.

    Batches, augmentation (torch's own, on the CPU) and normalisation are those of the PyTorch twin of the same run; the initial
    weights are drawn by Keras, from the same distributions. TensorFlow is started when the learner is made, so that its import
    enters neither `seconds` nor the memory of a training.

    Raises:
        InputError: TensorFlow is not installed; a device, type or number of threads that it does not serve here.
    """

    spec: RunSpec
    classes: int
    flips: tuple[str, ...] = ()
    watch: tuple[Images, Labels] | None = None
    beside: Beside | None = None
    points: int = CURVE_POINTS
    network: KerasNetwork = field(init=False)
    mean: Float[np.ndarray, " channel"] = field(init=False)
    deviation: Float[np.ndarray, " channel"] = field(init=False)
    seconds: float = field(init=False, default=0.0)
    curve: Float[np.ndarray, "point column"] = field(init=False)
    chosen: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        training = self.spec.training
        for what, given, allowed in [("device", training.device, "cpu"), ("dtype", training.dtype, "float32")]:
            if given != allowed:
                raise InputError(f"{what} {given!r} was given for model {self.spec.model.name!r}; allowed for Keras: {allowed!r}")
        start(threads=training.threads)

    def fit(self, images: Images, labels: Labels) -> "KerasLearner":
        """Train for the run's budget; the last weights are kept.

        Raises:
            DivergedError: the loss was no finite number.
            InputError: the budget is too small, or the remedy is one that a Keras model cannot follow.
        """
        import keras

        chosen = require_keras(self.spec.remedy)
        # What TensorFlow compiled for the run before stays in memory otherwise, some megabytes a run.
        keras.utils.clear_session()
        make_torch_deterministic(self.spec.seed_of("init"), "init", threads=self.spec.training.threads)
        keep_freed_memory()
        _, height, width, channel = images.shape
        self.network = cast(KerasNetwork, build(self.spec.model, shape=(channel, height, width), classes=self.classes))
        started = time.perf_counter()
        self.mean, self.deviation = measure_channels(images)
        self._speak = self._compile_speaking()
        self._train(chosen, images, labels)
        self.seconds = time.perf_counter() - started
        return self

    def _normalised(self, batch: Any) -> Any:
        """(x − mean) / deviation of floats in [0, 1], or of bytes as if they were that."""
        import tensorflow as tf

        scale = 1 / self.deviation if batch.dtype.is_floating else 1 / (255 * self.deviation)
        return tf.cast(batch, tf.float32) * tf.constant(scale, tf.float32) + tf.constant(-self.mean / self.deviation, tf.float32)

    def _train(self, chosen: Remedy, images: Images, labels: Labels) -> None:
        training = self.spec.training
        order = generator(self.spec.seed_of("batches"), "batches")
        steps = count_steps(labels, images_seen=training.images_seen, batch=training.batch)
        plan = chosen.plan(labels, images_seen=training.images_seen, batch=training.batch, rng=order)
        pay = keras_loss(chosen.cost, np.bincount(labels, minlength=self.classes).astype(np.int64))
        peak = training.learning_rate or LEARNING_RATE
        decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
        descent = KerasDescent(self.network, pay, steps=steps, peak=peak, weight_decay=decay)
        tracker = Tracker(steps=steps, batch=training.batch, scores=self._scores, points=self.points)
        for taken, (loss, logits) in zip(plan, self._steps(descent, images, labels, plan), strict=True):
            tracker.follow(torch.tensor(loss.numpy()), torch.from_numpy(logits.numpy()), torch.from_numpy(labels[taken]))
        self.curve = tracker.curve()

    def _steps(
        self, descent: KerasDescent, images: Images, labels: Labels, plan: Int64[np.ndarray, "step batch"]
    ) -> Iterator[tuple[Any, Any]]:
        """Mean loss and logits of every step; images in memory that are not augmented are drawn inside the compiled step."""
        import tensorflow as tf

        targets = tf.constant(labels)
        if (see := self._outside(images)) is not None:

            @tf.function(autograph=False)
            def by_image(batch: Any, taken: Any) -> tuple[Any, Any]:
                return descent.take(self._normalised(batch), tf.gather(targets, taken))

            for taken in plan:
                yield by_image(see(taken), tf.constant(taken))
            return
        pixels = tf.constant(images)

        @tf.function(autograph=False)
        def by_index(taken: Any) -> tuple[Any, Any]:
            return descent.take(self._normalised(tf.gather(pixels, taken)), tf.gather(targets, taken))

        for taken in plan:
            yield by_index(tf.constant(taken))

    def _outside(self, images: Images) -> Callable[[Int64[np.ndarray, " batch"]], Any] | None:
        """Indices → their images, where TensorFlow cannot draw them itself: torch augments them, or they lie on the disk."""
        import tensorflow as tf

        if self.spec.preprocessing.augment:
            return self._augmented(images)
        return (lambda taken: tf.constant(images[taken])) if isinstance(images, np.memmap) else None

    def _augmented(self, images: Images) -> Callable[[Int64[np.ndarray, " batch"]], Any]:
        """Indices → their images, augmented by torch with the same draws as for the PyTorch twin."""
        import tensorflow as tf

        changed = augmentation.bind(self.spec.preprocessing.augment, flips=self.flips)
        draws = torch_generator(self.spec.seed_of("batches"), "augment", "cpu")
        pixels = channels_first(images)

        def see(taken: Int64[np.ndarray, " batch"]) -> Any:
            return tf.constant(changed(pixels.index_select(0, torch.from_numpy(taken)), draws).permute(0, 2, 3, 1).numpy())

        return see

    def _compile_speaking(self) -> Callable[[Any], Any]:
        """Bytes → logits, in evaluation mode, compiled once for batches of any length."""
        import tensorflow as tf

        channel, height, width = self.network.shape

        @tf.function(input_signature=[tf.TensorSpec((None, height, width, channel), tf.uint8)], autograph=False)
        def speak(batch: Any) -> Any:
            return self.network.model(self._normalised(batch), training=False)

        return speak

    def _scores(self) -> tuple[float, ...]:
        """Balanced accuracy on the watched images and on those beside."""
        followed = [self.watch] if self.beside is None else [self.watch, self.beside]
        return tuple(math.nan if part is None else self._score(*part) for part in followed)

    def _score(self, images: Images, labels: Labels) -> float:
        return classification.balanced_accuracy(self.predict_log_proba(images).argmax(axis=1), labels, classes=self.classes)

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Log-probabilities in batches of a fixed size, so that an image's do not depend on how many are asked for."""
        starts = range(0, len(images), PREDICT_BATCH)
        logits = [self._speak(images[start : start + PREDICT_BATCH]).numpy() for start in starts]
        return log_softmax(np.concatenate(logits).astype(np.float64))

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Probabilities, one row an image."""
        return np.exp(self.predict_log_proba(images))

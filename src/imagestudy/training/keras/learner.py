"""The learner for Keras networks.

It trains on the same batches as `torch_learner`, with a step that TensorFlow compiles.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.special import log_softmax

from imagestudy.core.errors import InputError, place
from imagestudy.core.seeding import generator, make_torch_deterministic, torch_generator
from imagestudy.core.specs import Choice, RunSpec
from imagestudy.data import augmentation
from imagestudy.metrics import classification
from imagestudy.models import KerasNetwork, build
from imagestudy.models.keras import start
from imagestudy.remedies import Remedy, losses, remedies, remedy
from imagestudy.remedies.decoupling import HeadRemedy
from imagestudy.remedies.sampling import count_steps
from imagestudy.training.history import CURVE_POINTS, Tracker
from imagestudy.training.keras.losses import KERAS_CRITERIA, keras_loss
from imagestudy.training.keras.optimizer import KerasDescent
from imagestudy.training.memory import keep_freed_memory
from imagestudy.training.optimizer import LEARNING_RATE, WEIGHT_DECAY
from imagestudy.training.sklearn_learner import Beside, Images, Labels
from imagestudy.training.torch_learner import PREDICT_BATCH, channels_first, measure_channels


def _missing_feature(found: Remedy) -> str:
    """The feature of the PyTorch learner that this remedy needs; empty if Keras models support the remedy."""
    torch_only = {
        "images mixed batch by batch": found.mixing is not None,
        "a head of its own": found.head != HeadRemedy(),
        f"the loss {type(found.criterion).__name__}": not _is_supported(found.criterion),
    }
    return next((feature for feature, is_used in torch_only.items() if is_used), "")


def _is_supported(criterion: losses.Criterion) -> bool:
    """Whether the loss, with all losses inside it, is available in Keras."""
    inner = {losses.Deferred: ("first", "then"), losses.Weighted: ("criterion",)}.get(type(criterion), ())
    return isinstance(criterion, KERAS_CRITERIA) and all(_is_supported(getattr(criterion, name)) for name in inner)


def keras_remedies() -> tuple[str, ...]:
    """Return the names of the remedies that Keras models support."""
    return tuple(name for name in remedies.names() if not _missing_feature(remedy(Choice(name=name))))


def require_keras(choice: Choice, *, where: str = "") -> Remedy:
    """Return the remedy with this name and these options for a Keras model.

    Raises:
        InputError: if the name is unknown, an option is not allowed, or Keras models do not support the remedy.
    """
    found = remedy(choice, where=where)
    if missing := _missing_feature(found):
        allowed = ", ".join(keras_remedies())
        raise InputError(
            f"remedy {choice.name!r} needs {missing}, which Keras models do not support{place(where)}; allowed: {allowed}"
        )
    return found


@dataclass
class KerasLearner:
    """The learner for a Keras network. See `torch_learner.TorchLearner` for the arguments.

    The batches, the augmentation (done by torch on the CPU) and the normalization equal those of the PyTorch twin in the same run.
    Keras draws the initial weights, from the same distributions as PyTorch. TensorFlow is imported when the learner is created, so
    that the import counts neither in `seconds` nor in the memory of training.

    Raises:
        InputError: if TensorFlow is not installed, or the device, data type or number of threads is not supported.
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
                raise InputError(
                    f"{what} {given!r} was given for model {self.spec.model.name!r}; allowed for Keras models: {allowed!r}"
                )
        start(threads=training.threads)

    def fit(self, images: Images, labels: Labels) -> "KerasLearner":
        """Train for the whole budget of the run and keep the last weights.

        Raises:
            DivergedError: if the loss becomes NaN or infinite.
            InputError: if the budget is too small, or Keras models do not support the remedy.
        """
        import keras

        chosen = require_keras(self.spec.remedy)
        # Otherwise the functions that TensorFlow compiled for the previous run stay in memory, a few megabytes per run.
        keras.utils.clear_session()
        make_torch_deterministic(self.spec.seed_of("init"), "init", threads=self.spec.training.threads)
        keep_freed_memory()
        _, height, width, channel = images.shape
        self.network = cast(KerasNetwork, build(self.spec.model, shape=(channel, height, width), classes=self.classes))
        started = time.perf_counter()
        self.mean, self.deviation = measure_channels(images)
        self._logits = self._compile_logits()
        self._train(chosen, images, labels)
        self.seconds = time.perf_counter() - started
        return self

    def _normalized(self, batch: Any) -> Any:
        """Normalize a batch to (x − mean) / deviation. Floats are in [0, 1]; bytes are treated as if they were scaled to [0, 1]."""
        import tensorflow as tf

        scale = 1 / self.deviation if batch.dtype.is_floating else 1 / (255 * self.deviation)
        return tf.cast(batch, tf.float32) * tf.constant(scale, tf.float32) + tf.constant(-self.mean / self.deviation, tf.float32)

    def _train(self, chosen: Remedy, images: Images, labels: Labels) -> None:
        training = self.spec.training
        order = generator(self.spec.seed_of("batches"), "batches")
        steps = count_steps(labels, images_seen=training.images_seen, batch=training.batch)
        plan = chosen.plan(labels, images_seen=training.images_seen, batch=training.batch, rng=order)
        loss_of = keras_loss(chosen.criterion, np.bincount(labels, minlength=self.classes).astype(np.int64))
        peak = training.learning_rate or LEARNING_RATE
        decay = WEIGHT_DECAY if training.weight_decay is None else training.weight_decay
        descent = KerasDescent(self.network, loss_of, steps=steps, peak=peak, weight_decay=decay)
        tracker = Tracker(steps=steps, batch=training.batch, scores=self._scores, points=self.points)
        for taken, (loss, logits) in zip(plan, self._steps(descent, images, labels, plan), strict=True):
            tracker.follow(torch.tensor(loss.numpy()), torch.from_numpy(logits.numpy()), torch.from_numpy(labels[taken]))
        self.curve = tracker.curve()

    def _steps(
        self, descent: KerasDescent, images: Images, labels: Labels, plan: Int64[np.ndarray, "step batch"]
    ) -> Iterator[tuple[Any, Any]]:
        """Train and yield the mean loss and the logits of every step.

        If the images are in memory and not augmented, the compiled step selects the images of a batch itself.
        """
        import tensorflow as tf

        targets = tf.constant(labels)
        if (load := self._loader(images)) is not None:

            @tf.function(autograph=False)
            def by_image(batch: Any, taken: Any) -> tuple[Any, Any]:
                return descent.take(self._normalized(batch), tf.gather(targets, taken))

            for taken in plan:
                yield by_image(load(taken), tf.constant(taken))
            return
        pixels = tf.constant(images)

        @tf.function(autograph=False)
        def by_index(taken: Any) -> tuple[Any, Any]:
            return descent.take(self._normalized(tf.gather(pixels, taken)), tf.gather(targets, taken))

        for taken in plan:
            yield by_index(tf.constant(taken))

    def _loader(self, images: Images) -> Callable[[Int64[np.ndarray, " batch"]], Any] | None:
        """A function from indices to images, for images that are augmented by torch or memory-mapped; otherwise None."""
        import tensorflow as tf

        if self.spec.preprocessing.augment:
            return self._augmented(images)
        return (lambda taken: tf.constant(images[taken])) if isinstance(images, np.memmap) else None

    def _augmented(self, images: Images) -> Callable[[Int64[np.ndarray, " batch"]], Any]:
        """A function from indices to images that torch augments, with the same random numbers as for the PyTorch twin."""
        import tensorflow as tf

        augment = augmentation.bind(self.spec.preprocessing.augment, flips=self.flips)
        draws = torch_generator(self.spec.seed_of("batches"), "augment", "cpu")
        pixels = channels_first(images)

        def load(taken: Int64[np.ndarray, " batch"]) -> Any:
            return tf.constant(augment(pixels.index_select(0, torch.from_numpy(taken)), draws).permute(0, 2, 3, 1).numpy())

        return load

    def _compile_logits(self) -> Callable[[Any], Any]:
        """A function from bytes to logits in evaluation mode, compiled once for batches of any length."""
        import tensorflow as tf

        channel, height, width = self.network.shape

        @tf.function(input_signature=[tf.TensorSpec((None, height, width, channel), tf.uint8)], autograph=False)
        def logits(batch: Any) -> Any:
            return self.network.model(self._normalized(batch), training=False)

        return logits

    def _scores(self) -> tuple[float, ...]:
        """The balanced accuracy on the images of `watch` and, if given, of `beside`. It is NaN if `watch` is None."""
        followed = [self.watch] if self.beside is None else [self.watch, self.beside]
        return tuple(math.nan if part is None else self._score(*part) for part in followed)

    def _score(self, images: Images, labels: Labels) -> float:
        return classification.balanced_accuracy(self.predict_log_proba(images).argmax(axis=1), labels, classes=self.classes)

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the log-probabilities, one row per image.

        The batch size is fixed, so that the result of an image does not depend on how many images are given.
        """
        starts = range(0, len(images), PREDICT_BATCH)
        logits = [self._logits(images[start : start + PREDICT_BATCH]).numpy() for start in starts]
        return log_softmax(np.concatenate(logits).astype(np.float64), axis=1)

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the probabilities, one row per image."""
        return np.exp(self.predict_log_proba(images))

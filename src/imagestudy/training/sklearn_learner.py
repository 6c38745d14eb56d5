"""The learner for classical models."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import numpy as np
from jaxtyping import Float, Int64, UInt8
from scipy.special import log_softmax
from threadpoolctl import ThreadpoolController

from imagestudy.core.seeding import generator
from imagestudy.core.specs import RunSpec
from imagestudy.data.arrays import gather
from imagestudy.metrics import classification
from imagestudy.models import Classical, build
from imagestudy.remedies import require_classical

Images = UInt8[np.ndarray, "n height width channel"]
Labels = Int64[np.ndarray, " n"]
Beside = tuple[UInt8[np.ndarray, "m height width channel"], Int64[np.ndarray, " m"]]
"""Images and labels. The number of images may differ from that of `watch`."""


@lru_cache(maxsize=1)
def thread_pools() -> ThreadpoolController:
    """Return the controller of the thread pools of NumPy and scikit-learn.

    The number of threads can change the last bits of a result.
    """
    return ThreadpoolController()


@dataclass
class ClassicalLearner:
    """The learner for a classical model.

    The probabilities are the softmax of the decision values, divided by a fitted temperature.

    Args:
        spec: the model, remedy and seeds.
        classes: the number of classes.
        watch: the validation images and labels on which the temperature is fitted. Without them, the temperature is 1.
    """

    spec: RunSpec
    classes: int
    watch: tuple[Images, Labels] | None = None
    model: Classical = field(init=False)
    temperature: float = field(init=False, default=1.0)
    seconds: float = field(init=False, default=0.0)
    curve: Float[np.ndarray, "point column"] = field(init=False)
    chosen: dict[str, float] = field(init=False, default_factory=dict)

    def fit(self, images: Images, labels: Labels) -> "ClassicalLearner":
        """Fit the model on the images that the remedy samples, with the sample weights of the remedy."""
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
        self.model.fit(gather(images, taken), labels[taken], sample_weight=None if weights is None else weights[labels[taken]])
        if self.watch is not None:
            self.temperature = classification.fit_temperature(
                log_softmax(self.model.decision(self.watch[0]), axis=1), self.watch[1]
            )
        self.seconds = time.perf_counter() - started
        self.curve = np.empty((0, 4))
        return self

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the log-probabilities, one row per image."""
        with thread_pools().limit(limits=self.spec.training.threads):
            return log_softmax(self.model.decision(images) / self.temperature, axis=1)

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the probabilities, one row per image."""
        return np.exp(self.predict_log_proba(images))

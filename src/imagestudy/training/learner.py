"""The common interface of all learners, in the style of scikit-learn: `fit(images, labels)`, `predict_proba(images)`.

Images are kept as one `uint8` array, in memory or, for a large dataset, memory-mapped from disk. All batches are drawn before
training as one array of indices. Normalization and augmentation process whole batches. The training loop never waits for the
device between the points of the training curve.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from imagestudy.core.specs import RunSpec
from imagestudy.models import models
from imagestudy.remedies import classical_remedies, remedies
from imagestudy.training.history import CURVE_POINTS
from imagestudy.training.keras.learner import KerasLearner, keras_remedies
from imagestudy.training.sklearn_learner import Beside, ClassicalLearner, Images, Labels
from imagestudy.training.torch_learner import TorchLearner


@runtime_checkable
class Learner(Protocol):
    """The interface of every learner.

    `seconds` is the duration of `fit`. `curve` has one row for each of `CURVE_POINTS` intervals of training. Its columns are the
    images seen, the mean loss, the accuracy on the training batches, the balanced accuracy on the images of `watch`, and, if
    given, the balanced accuracy on the images of `beside`. A model that is not trained in steps has no rows. `chosen` contains the
    values that were chosen on the images of `watch`.
    """

    seconds: float
    curve: Float[np.ndarray, "point column"]
    chosen: dict[str, float]

    def fit(self, images: Images, labels: Labels) -> "Learner":
        """Train on images and labels and return the learner."""
        ...

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the log-probabilities, one row per image."""
        ...

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Return the probabilities, one row per image."""
        ...


def make_learner(
    spec: RunSpec,
    *,
    classes: int,
    flips: tuple[str, ...] = (),
    watch: tuple[Images, Labels] | None = None,
    beside: Beside | None = None,
    points: int = CURVE_POINTS,
) -> TorchLearner | KerasLearner | ClassicalLearner:
    """Return the untrained learner for the model of a run. See `TorchLearner` for the arguments."""
    kind = models.entry(spec.model.name).facts["kind"]
    if kind == "classical":
        return ClassicalLearner(spec, classes, watch)
    return (KerasLearner if kind == "keras" else TorchLearner)(spec, classes, flips, watch, beside, points)


def followed_remedies(model: str) -> tuple[str, ...]:
    """Return the names of the remedies that a model supports."""
    following = {"classical": classical_remedies, "keras": keras_remedies, "neural": remedies.names}
    return following[models.entry(model).facts["kind"]]()

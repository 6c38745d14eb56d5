"""Learners behind scikit-learn's interface: `fit(images, labels)`, `predict_proba(images)`.

Images stay one `uint8` array, in memory or, where the set is large, mapped from the disk. The whole schedule of batches is drawn
beforehand as one array of indices; normalisation and augmentation work on whole batches. Inside the loop nothing waits for the
device.
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
    """What every learner offers, whatever is behind it.

    `seconds` is the time that `fit` took; `curve` has a row for each of `CURVE_POINTS` stretches of training (images seen, mean
    loss, training accuracy on the batches, balanced accuracy on the watched images, and on those beside if there are any), none for
    a model that is not trained in steps. `chosen` holds what was chosen on the watched images.
    """

    seconds: float
    curve: Float[np.ndarray, "point column"]
    chosen: dict[str, float]

    def fit(self, images: Images, labels: Labels) -> "Learner":
        """Learn from images and labels."""
        ...

    def predict_log_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Log-probabilities, one row an image."""
        ...

    def predict_proba(self, images: Images) -> Float[np.ndarray, "n class"]:
        """Probabilities, one row an image."""
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
    """The learner that trains the run's model; for the arguments see `TorchLearner`."""
    kind = models.entry(spec.model.name).facts["kind"]
    if kind == "classical":
        return ClassicalLearner(spec, classes, watch)
    return (KerasLearner if kind == "keras" else TorchLearner)(spec, classes, flips, watch, beside, points)


def followed_remedies(model: str) -> tuple[str, ...]:
    """The names of the remedies that a model can follow."""
    following = {"classical": classical_remedies, "keras": keras_remedies, "neural": remedies.names}
    return following[models.entry(model).facts["kind"]]()

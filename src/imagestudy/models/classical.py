"""Classical learners behind one small interface: `fit`, and decision values that a temperature turns into probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int64, UInt8
from pydantic import Field
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import has_fit_parameter

from imagestudy.core.errors import InputError
from imagestudy.models.base import Shape, models
from imagestudy.models.hog import hog

MOST_BYTES = 2**32
"""Of the pixels of all training images as numbers: a pipeline holds them, and a copy or two, in memory."""
SLICE = 4_096
"""Images that are decided at a time."""
Positive = Annotated[float, Field(gt=0)]


class Classical(ABC):
    """A learner that is fitted once to all images: no epochs, no budget of images seen.

    Args:
        name: as registered, for errors.
        classes: the number of classes; each needs an image to be fitted.
    """

    weighs = True

    def __init__(self, name: str, classes: int):
        self.name = name
        self.classes = classes

    def fit(
        self,
        images: UInt8[np.ndarray, "n height width channel"],
        labels: Int64[np.ndarray, " n"],
        *,
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        """Fit to the images, each counted with its weight.

        Raises:
            InputError: a class without an image; weights for a learner that cannot use them.
        """
        empty = sorted(set(range(self.classes)) - set(np.unique(labels).tolist()))
        if empty:
            raise InputError(f"model {self.name!r} needs an image of each of the {self.classes} classes; class {empty[0]} has none")
        if sample_weight is not None and not self.weighs:
            raise InputError(f"model {self.name!r} takes no weights of images; a remedy that samples serves it instead")
        self._fit(images, labels, sample_weight)

    @abstractmethod
    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """A value an image and class, whose softmax at some temperature is a probability."""

    @abstractmethod
    def _fit(self, images: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None) -> None: ...


class Majority(Classical):
    """The classes' shares of the training set, whatever the image: the least that a learner has to beat."""

    def _fit(self, images: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None) -> None:  # noqa: ARG002
        counts = np.bincount(labels, weights=sample_weight, minlength=self.classes)
        self.log_prior = np.log(counts / counts.sum())

    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Log π_c, for each image alike."""
        return np.tile(self.log_prior, (len(images), 1))


class Pixels(Classical):
    """A scikit-learn pipeline from images to a classifier with a decision function."""

    def __init__(self, name: str, classes: int, pipeline: Pipeline):
        super().__init__(name, classes)
        self.pipeline = pipeline

    def _fit(self, images: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None) -> None:
        if (size := np.dtype(np.float64).itemsize * images.size) > MOST_BYTES:
            raise InputError(
                f"model {self.name!r} holds all training images in memory as numbers, which takes {size / 1e9:.1f} GB; allowed are "
                f"{MOST_BYTES / 1e9:.1f} GB: fewer images or a smaller side; networks have no such bound"
            )
        takers = [name for name, step in self.pipeline.steps if has_fit_parameter(step, "sample_weight")]
        weights = {} if sample_weight is None else {f"{name}__sample_weight": sample_weight for name in takers}
        self.pipeline.fit(images, labels, **weights)

    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """The classifier's decision values; of two classes, the one value is set against its opposite."""
        values = _by_slices(self.pipeline.decision_function, images)
        return np.stack([-values, values], axis=1) / 2 if values.ndim == 1 else values


def _by_slices(decide: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """What is decided of images, so many at a time: as numbers, all test images may be too much for the memory."""
    starts = range(0, max(len(images), 1), SLICE)
    return np.concatenate([decide(images[start : start + SLICE]) for start in starts])


class Neighbours(Pixels):
    """k-NN: how many of the k nearest training images are of each class, Laplace-smoothed."""

    weighs = False

    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Log (k_c + 1) / (k + K)."""
        k = self.pipeline[-1].n_neighbors
        return np.log((_by_slices(self.pipeline.predict_proba, images) * k + 1) / (k + self.classes))


def scaled_pixels(images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n pixel"]:
    """The pixels of each image in one row, in [0, 1]."""
    return images.reshape(len(images), -1) / 255.0


def _pipeline(describe: Callable[[np.ndarray], np.ndarray], *steps: BaseEstimator) -> Pipeline:
    return make_pipeline(FunctionTransformer(describe), *steps)


Trials = tuple[dict[str, float], ...]
"""Settings among which tuning chooses on validation, the default first: as many as a network gets."""

LOGISTIC_TRIALS: Trials = tuple({"C": c} for c in (1.0, 0.1, 10.0, 0.01, 100.0, 0.03, 0.3, 3.0))
NEIGHBOUR_TRIALS: Trials = tuple({"neighbours": k} for k in (3, 1, 5, 7, 2, 9, 11, 15))
SVM_TRIALS: Trials = tuple({"C": c} | gamma for gamma in ({}, {"gamma": 0.1}) for c in (10.0, 1.0, 100.0, 1000.0))


@models.register("majority", family="classical", era="traditional", kind="classical", trials=({},))
def majority(shape: Shape, classes: int) -> Classical:  # noqa: ARG001
    """The majority class: the baseline below all others."""
    return Majority("majority", classes)


@models.register("logistic", family="classical", era="traditional", kind="classical", trials=LOGISTIC_TRIALS)
def logistic(shape: Shape, classes: int, *, C: Positive = 1.0) -> Classical:  # noqa: ARG001, N803
    """Multinomial logistic regression on standardised pixels; C is the inverse strength of its L2 penalty."""
    return Pixels("logistic", classes, _pipeline(scaled_pixels, StandardScaler(), LogisticRegression(C=C, max_iter=2000)))


@models.register("knn", family="classical", era="traditional", kind="classical", trials=NEIGHBOUR_TRIALS)
def knn(shape: Shape, classes: int, *, neighbours: Annotated[int, Field(gt=0)] = 3) -> Classical:  # noqa: ARG001
    """The k nearest neighbours by Euclidean distance between pixels (Cover & Hart 1967)."""
    return Neighbours("knn", classes, _pipeline(scaled_pixels, KNeighborsClassifier(neighbours, algorithm="brute")))


@models.register("svm", family="classical", era="traditional", kind="classical", trials=SVM_TRIALS)
def svm(
    shape: Shape,  # noqa: ARG001
    classes: int,
    *,
    C: Positive = 10.0,  # noqa: N803
    gamma: Positive | None = None,
) -> Classical:
    """A support vector machine with RBF kernel on pixels (Cortes & Vapnik 1995); gamma None is 1 / (pixels · variance)."""
    return Pixels("svm", classes, _pipeline(scaled_pixels, SVC(C=C, gamma="scale" if gamma is None else gamma)))


@models.register("hog_svm", family="classical", era="traditional", kind="classical", trials=SVM_TRIALS)
def hog_svm(
    shape: Shape,  # noqa: ARG001
    classes: int,
    *,
    C: Positive = 10.0,  # noqa: N803
    gamma: Positive | None = None,
) -> Classical:
    """The same support vector machine on histograms of oriented gradients (Dalal & Triggs 2005)."""
    return Pixels("hog_svm", classes, _pipeline(hog, SVC(C=C, gamma="scale" if gamma is None else gamma)))

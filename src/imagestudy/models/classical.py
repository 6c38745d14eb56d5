"""Classical models with one small interface: `fit` and `decision`.

A softmax with a temperature turns the decision values into probabilities.
"""

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
"""The largest size, in bytes, of all training images as float64 numbers. A pipeline keeps them, and a copy or two, in memory."""
SLICE = 4_096
"""The number of images that are evaluated at a time."""
Positive = Annotated[float, Field(gt=0)]


class Classical(ABC):
    """A model that is fitted once to all training images, without epochs and without a budget of images seen.

    Args:
        name: the registered name, for error messages.
        classes: the number of classes; each class needs at least one training image.
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
        """Fit the model to the images, with an optional weight for each image.

        Raises:
            InputError: a class has no image, or weights were given to a model that does not support them.
        """
        empty = sorted(set(range(self.classes)) - set(np.unique(labels).tolist()))
        if empty:
            raise InputError(
                f"model {self.name!r} needs at least 1 image of each of the {self.classes} classes; class {empty[0]} has none"
            )
        if sample_weight is not None and not self.weighs:
            raise InputError(f"model {self.name!r} does not support image weights; use a sampling remedy instead")
        self._fit(images, labels, sample_weight)

    @abstractmethod
    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Return one value per image and class; the softmax of these values at some temperature gives probabilities."""

    @abstractmethod
    def _fit(self, images: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None) -> None: ...


class Majority(Classical):
    """A baseline that predicts the class frequencies of the training set for every image. Every other model should beat it."""

    def _fit(self, images: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None) -> None:  # noqa: ARG002
        counts = np.bincount(labels, weights=sample_weight, minlength=self.classes)
        self.log_prior = np.log(counts / counts.sum())

    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Return log π_c, the same values for every image."""
        return np.tile(self.log_prior, (len(images), 1))


class Pixels(Classical):
    """A scikit-learn pipeline that takes images and ends in a classifier with a decision function."""

    def __init__(self, name: str, classes: int, pipeline: Pipeline):
        super().__init__(name, classes)
        self.pipeline = pipeline

    def _fit(self, images: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None) -> None:
        if (size := np.dtype(np.float64).itemsize * images.size) > MOST_BYTES:
            raise InputError(
                f"model {self.name!r} keeps all training images in memory as numbers, which takes {size / 1e9:.1f} GB; at most "
                f"{MOST_BYTES / 1e9:.1f} GB are allowed; use fewer images, smaller images or a network, which has no such limit"
            )
        weighted_steps = [name for name, step in self.pipeline.steps if has_fit_parameter(step, "sample_weight")]
        weights = {} if sample_weight is None else {f"{name}__sample_weight": sample_weight for name in weighted_steps}
        self.pipeline.fit(images, labels, **weights)

    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Return the classifier's decision values; for two classes, the single value v becomes −v/2 and v/2."""
        values = _by_slices(self.pipeline.decision_function, images)
        return np.stack([-values, values], axis=1) / 2 if values.ndim == 1 else values


def _by_slices(decide: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Apply `decide` to slices of the images and join the results; all test images as numbers may not fit into memory."""
    starts = range(0, max(len(images), 1), SLICE)
    return np.concatenate([decide(images[start : start + SLICE]) for start in starts])


class Neighbors(Pixels):
    """k-nearest-neighbors classifier: the number of neighbors in each class, with Laplace smoothing."""

    weighs = False

    def decision(self, images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n class"]:
        """Return log((k_c + 1) / (k + K)), where k_c of the k nearest training images are of class c, of K classes."""
        k = self.pipeline[-1].n_neighbors
        return np.log((_by_slices(self.pipeline.predict_proba, images) * k + 1) / (k + self.classes))


def scaled_pixels(images: UInt8[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n pixel"]:
    """Return the pixels of each image as one row, scaled to [0, 1]."""
    return images.reshape(len(images), -1) / 255.0


def _pipeline(describe: Callable[[np.ndarray], np.ndarray], *steps: BaseEstimator) -> Pipeline:
    return make_pipeline(FunctionTransformer(describe), *steps)


Trials = tuple[dict[str, float], ...]
"""The settings that tuning compares on validation images, the default first. A classical model gets as many as a network."""

LOGISTIC_TRIALS: Trials = tuple({"C": c} for c in (1.0, 0.1, 10.0, 0.01, 100.0, 0.03, 0.3, 3.0))
NEIGHBOR_TRIALS: Trials = tuple({"neighbours": k} for k in (3, 1, 5, 7, 2, 9, 11, 15))
SVM_TRIALS: Trials = tuple({"C": c} | gamma for gamma in ({}, {"gamma": 0.1}) for c in (10.0, 1.0, 100.0, 1000.0))


@models.register("majority", family="classical", era="traditional", kind="classical", trials=({},))
def majority(shape: Shape, classes: int) -> Classical:  # noqa: ARG001
    """Build the majority-class baseline, the weakest baseline."""
    return Majority("majority", classes)


@models.register("logistic", family="classical", era="traditional", kind="classical", trials=LOGISTIC_TRIALS)
def logistic(shape: Shape, classes: int, *, C: Positive = 1.0) -> Classical:  # noqa: ARG001, N803
    """Build a multinomial logistic regression on standardized pixels; C is the inverse strength of the L2 penalty."""
    return Pixels("logistic", classes, _pipeline(scaled_pixels, StandardScaler(), LogisticRegression(C=C, max_iter=2000)))


@models.register("knn", family="classical", era="traditional", kind="classical", trials=NEIGHBOR_TRIALS)
def knn(shape: Shape, classes: int, *, neighbours: Annotated[int, Field(gt=0)] = 3) -> Classical:  # noqa: ARG001
    """Build a k-nearest-neighbors classifier with the Euclidean distance between pixels (Cover & Hart 1967)."""
    return Neighbors("knn", classes, _pipeline(scaled_pixels, KNeighborsClassifier(neighbours, algorithm="brute")))


@models.register("svm", family="classical", era="traditional", kind="classical", trials=SVM_TRIALS)
def svm(
    shape: Shape,  # noqa: ARG001
    classes: int,
    *,
    C: Positive = 10.0,  # noqa: N803
    gamma: Positive | None = None,
) -> Classical:
    """Build a support vector machine with an RBF kernel on pixels (Cortes & Vapnik 1995).

    A gamma of None means 1 / (number of pixels · variance).
    """
    return Pixels("svm", classes, _pipeline(scaled_pixels, SVC(C=C, gamma="scale" if gamma is None else gamma)))


@models.register("hog_svm", family="classical", era="traditional", kind="classical", trials=SVM_TRIALS)
def hog_svm(
    shape: Shape,  # noqa: ARG001
    classes: int,
    *,
    C: Positive = 10.0,  # noqa: N803
    gamma: Positive | None = None,
) -> Classical:
    """Build the same support vector machine as `svm`, on histograms of oriented gradients (Dalal & Triggs 2005)."""
    return Pixels("hog_svm", classes, _pipeline(hog, SVC(C=C, gamma="scale" if gamma is None else gamma)))

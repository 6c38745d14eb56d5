"""The losses of the remedies in TensorFlow, with the same formulas as in `remedies.losses`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int64

from imagestudy.remedies.losses import (
    Criterion,
    CrossEntropy,
    Deferred,
    Focal,
    LogitAdjusted,
    Smoothed,
    Weighted,
    with_image_mean_one,
)
from imagestudy.remedies.priors import relative_log_prior

KerasLoss = Callable[[Any, Any, Any], Any]
"""A function (logits, labels, progress) → loss of each image.

The shapes are (batch, class), (batch,) and (), and (batch,) for the result. Progress is the completed share of the training.
"""

Counts = Int64[np.ndarray, " class"]


def keras_loss(criterion: Criterion, counts: Counts) -> KerasLoss:
    """Return the loss function for the class counts n_c of a training set. See `remedies.losses` for the formulas.

    Raises:
        KeyError: if the type of `criterion` is not one of `KERAS_CRITERIA`.
    """
    return _LOSSES[type(criterion)](criterion, counts)


def plain(logits: Any, labels: Any, _progress: Any) -> Any:
    """Return the cross-entropy −log p_y of each image."""
    import tensorflow as tf

    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _times(inner: KerasLoss, weights: np.ndarray) -> KerasLoss:
    """A loss multiplied by the weight of each image's class."""
    import tensorflow as tf

    known = tf.constant(weights, tf.float32)
    return lambda logits, labels, progress: tf.gather(known, labels) * inner(logits, labels, progress)


def _cross_entropy(criterion: CrossEntropy, counts: Counts) -> KerasLoss:
    weights = criterion.class_weights(counts)
    return plain if weights is None else _times(plain, weights)


def _focal(criterion: Focal, _counts: Counts) -> KerasLoss:
    import tensorflow as tf

    def focal(logits: Any, labels: Any, progress: Any) -> Any:
        cross_entropy = plain(logits, labels, progress)
        # At p_y = 1 the gradient of a power below 1 is infinite. With the smallest positive float, its product with 0 stays 0.
        wrong = tf.maximum(-tf.math.expm1(-cross_entropy), np.finfo(np.float32).tiny)
        return wrong**criterion.gamma * cross_entropy

    return focal


def _adjusted(criterion: LogitAdjusted, counts: Counts) -> KerasLoss:
    import tensorflow as tf

    log_prior = tf.constant(criterion.tau * relative_log_prior(counts), tf.float32)
    return lambda logits, labels, progress: plain(logits + log_prior, labels, progress)


def _smoothed(criterion: Smoothed, counts: Counts) -> KerasLoss:
    import tensorflow as tf

    epsilon, classes = criterion.smoothing(counts)[:, None], len(counts)
    soft = tf.constant(np.where(np.eye(classes) == 1, 1 - epsilon, epsilon / (classes - 1)), tf.float32)

    def smoothed(logits: Any, labels: Any, _progress: Any) -> Any:
        return tf.nn.softmax_cross_entropy_with_logits(labels=tf.gather(soft, labels), logits=logits)

    return smoothed


def _deferred(criterion: Deferred, counts: Counts) -> KerasLoss:
    import tensorflow as tf

    early, late = keras_loss(criterion.first, counts), keras_loss(criterion.then, counts)

    def deferred(logits: Any, labels: Any, progress: Any) -> Any:
        return tf.where(progress < criterion.after, early(logits, labels, progress), late(logits, labels, progress))

    return deferred


def _weighted(criterion: Weighted, counts: Counts) -> KerasLoss:
    return _times(keras_loss(criterion.criterion, counts), with_image_mean_one(criterion.weigh(counts), counts))


_LOSSES: dict[type, Callable[[Any, Counts], KerasLoss]] = {
    CrossEntropy: _cross_entropy,
    Focal: _focal,
    LogitAdjusted: _adjusted,
    Smoothed: _smoothed,
    Deferred: _deferred,
    Weighted: _weighted,
}
KERAS_CRITERIA = tuple(_LOSSES)

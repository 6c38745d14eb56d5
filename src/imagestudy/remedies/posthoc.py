"""Post-hoc corrections of finished predictions, computed from stored log-probabilities without training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.special import log_softmax

from imagestudy.core.errors import InputError
from imagestudy.metrics import classification
from imagestudy.remedies.priors import relative_log_prior

TAUS = tuple(step / 20 for step in range(61))
"""The strengths τ that are compared on validation images: 0 to 3 in steps of 0.05."""

SAME_SCORE = 1e-12
"""Scores that differ by less than this differ only by rounding."""


@dataclass(frozen=True)
class Adjustment:
    """Post-hoc logit adjustment with a fixed strength, or with one chosen on validation images.

    Args:
        tau: the strength, at least 0; None chooses it on validation images.
    """

    tau: float | None

    def choose(
        self,
        log_probabilities: Float[np.ndarray, "n class"],
        labels: Int64[np.ndarray, " n"],
        counts: Int64[np.ndarray, " class"],
    ) -> float:
        """Return the strength to use, given the *validation* predictions and labels and the *training* counts."""
        return pick_tau(log_probabilities, labels, counts) if self.tau is None else self.tau

    def apply(
        self, log_probabilities: Float[np.ndarray, "n class"], counts: Int64[np.ndarray, " class"], tau: float
    ) -> Float64[np.ndarray, "n class"]:
        """Return the predictions adjusted by the chosen strength, see `adjust`."""
        return adjust(log_probabilities, counts, tau=tau)


def adjust(
    log_probabilities: Float[np.ndarray, "n class"], counts: Int64[np.ndarray, " class"], *, tau: float
) -> Float64[np.ndarray, "n class"]:
    """Remove the training prior from predictions: return log p_c − τ log π_c, normalized again.

    τ = 1 turns posteriors under the training prior into posteriors under a uniform prior. With τ = 0 or uniform counts, predictions
    are only normalized. Two adjustments in a row add their τ.

    Args:
        log_probabilities: log p(c | image), any float type; minus infinity is allowed if another class of the image is finite.
        counts: n_c of the training set, at least 1.
        tau: strength, any number; a negative one adds the prior.

    Returns:
        Log-probabilities in float64.

    Raises:
        InputError: a class has no training image.

    Reference: Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021; at τ = 1 the thresholding of Buda et al. 2018.
    """
    return log_softmax(_shift(log_probabilities, counts, tau=tau), axis=1)


def pick_tau(
    log_probabilities: Float[np.ndarray, "n class"],
    labels: Int64[np.ndarray, " n"],
    counts: Int64[np.ndarray, " class"],
    *,
    grid: Sequence[float] = TAUS,
) -> float:
    """Return the τ of the grid with the best balanced accuracy on validation images.

    On a small validation set, neighboring τ have the same score, so the best score is a plateau or several: see `steadiest`.
    The score ignores classes without a validation image.

    Args:
        log_probabilities: log-probabilities of the validation images, by the model trained without adjustment.
        labels: labels of the validation images.
        counts: n_c of the *training* set, at least 1.
        grid: strengths to compare, ascending.

    Raises:
        InputError: there are no validation images, or a class has no training image.
    """
    if not len(labels):
        raise InputError("there are no validation images to choose tau on; use remedy 'logit_adjustment' with a fixed tau instead")
    predicted = (_shift(log_probabilities, counts, tau=tau).argmax(axis=1) for tau in grid)
    scores = np.array([np.nanmean(classification.per_class_recall(found, labels, classes=len(counts))) for found in predicted])
    return float(grid[steadiest(scores)])


def _shift(
    log_probabilities: Float[np.ndarray, "n class"], counts: Int64[np.ndarray, " class"], *, tau: float
) -> Float64[np.ndarray, "n class"]:
    return log_probabilities.astype(np.float64) - tau * relative_log_prior(counts)


def steadiest(scores: Float[np.ndarray, " setting"]) -> int:
    """Return the index of the setting in the middle of the widest plateau of best scores.

    This setting changes least if a few images change. Of equally wide plateaus, the first counts; of two middles, the earlier one.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], scores >= scores.max() - SAME_SCORE, [0]))))
    starts, ends = edges[::2], edges[1::2]
    widest = np.argmax(ends - starts)
    return int((starts[widest] + ends[widest] - 1) // 2)

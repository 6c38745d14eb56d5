"""What the learner says: corrections of finished predictions, computed from stored log-probabilities, without training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.special import log_softmax

from imagestudy.core.errors import InputError
from imagestudy.metrics import classification
from imagestudy.remedies.priors import relative_log_prior

TAUS = tuple(step / 20 for step in range(61))
"""The strengths that are tried on validation: 0 to 3 in steps of 0.05."""

SAME_SCORE = 1e-12
"""Scores closer than this differ by rounding only."""


@dataclass(frozen=True)
class Adjustment:
    """Post-hoc logit adjustment of a fixed strength, or of one picked on validation.

    Args:
        tau: the strength, at least 0; None picks it on validation.
    """

    tau: float | None

    def choose(
        self,
        log_probabilities: Float[np.ndarray, "n class"],
        labels: Int64[np.ndarray, " n"],
        counts: Int64[np.ndarray, " class"],
    ) -> float:
        """The strength to use, given the *validation* predictions and labels and the *training* counts."""
        return pick_tau(log_probabilities, labels, counts) if self.tau is None else self.tau

    def apply(
        self, log_probabilities: Float[np.ndarray, "n class"], counts: Int64[np.ndarray, " class"], tau: float
    ) -> Float64[np.ndarray, "n class"]:
        """Predictions adjusted by the chosen strength, see `adjust`."""
        return adjust(log_probabilities, counts, tau=tau)


def adjust(
    log_probabilities: Float[np.ndarray, "n class"], counts: Int64[np.ndarray, " class"], *, tau: float
) -> Float64[np.ndarray, "n class"]:
    """Take the training prior out of predictions: log p_c − τ log π_c, normalised again.

    τ = 1 turns posteriors under the training prior into those under a uniform prior; τ = 0 and uniform counts change nothing
    but normalise. Two adjustments in a row add their τ.

    Args:
        log_probabilities: log p(c | image), any float type; minus infinity is allowed where another class of the image is finite.
        counts: n_c of the training set, at least 1.
        tau: strength, any number; negative puts the prior back in.

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
    """The τ of the grid with the best balanced accuracy on validation.

    A small validation set cannot tell neighbours apart, so the best score is a plateau, or several: see `steadiest`.
    Classes without a validation image do not enter the score.

    Args:
        log_probabilities: of the validation images, by the model trained without adjustment.
        labels: of the validation images.
        counts: n_c of the *training* set, at least 1.
        grid: strengths to try, ascending.

    Raises:
        InputError: there is no validation image, or a class has no training image.
    """
    if not len(labels):
        raise InputError("there is no validation image to pick tau on; use logit_adjustment with a fixed tau instead")
    predicted = (_shift(log_probabilities, counts, tau=tau).argmax(axis=1) for tau in grid)
    scores = np.array([np.nanmean(classification.per_class_recall(said, labels, classes=len(counts))) for said in predicted])
    return float(grid[steadiest(scores)])


def _shift(
    log_probabilities: Float[np.ndarray, "n class"], counts: Int64[np.ndarray, " class"], *, tau: float
) -> Float64[np.ndarray, "n class"]:
    return log_probabilities.astype(np.float64) - tau * relative_log_prior(counts)


def steadiest(scores: Float[np.ndarray, " setting"]) -> int:
    """The setting in the middle of the widest plateau of best scores: the one that moves least when a few images change.

    The first of equally wide plateaus, the earlier of two middles.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], scores >= scores.max() - SAME_SCORE, [0]))))
    starts, ends = edges[::2], edges[1::2]
    widest = np.argmax(ends - starts)
    return int((starts[widest] + ends[widest] - 1) // 2)

"""How the head is changed after the features have been learned. This module holds the settings; the learner applies them.

Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020. They find that features are
learned best from the images in their original frequencies, and that imbalance harms the head.
"""

from dataclasses import dataclass, field
from typing import Literal

from imagestudy.core.errors import InputError
from imagestudy.remedies.sampling import ClassSampler, Sampling, power_shares

TAUS = tuple(step / 10 for step in range(21))
"""The exponents that τ-normalization compares on validation images: 21 values in [0, 2]."""


@dataclass(frozen=True)
class Retraining:
    """Retraining of the head alone, on frozen features, in the last part of the budget.

    Args:
        part: "head" trains a newly initialized head (cRT); "scales" keeps the head and learns one factor per class that multiplies
            its logits (LWS).
        share: fraction of the budget that trains the head, in (0, 1).
        sampling: which images train the head.
    """

    part: Literal["head", "scales"]
    share: float = 0.15
    sampling: Sampling = field(default_factory=lambda: ClassSampler(power_shares(0.0)))

    def steps(self, total: int) -> int:
        """Return the number of steps that train the head, out of all training steps.

        Raises:
            InputError: there are fewer than two steps; the features and the head need at least one step each.
        """
        if total < 2:
            raise InputError(f"training steps: {total} was given; at least 2 are needed, for the features and then for the head")
        return min(max(1, round(self.share * total)), total - 1)


@dataclass(frozen=True)
class Normalization:
    """τ-normalization: the head weights become w_c / ‖w_c‖^τ, without bias.

    The τ with the best balanced accuracy on validation images is used.

    Args:
        taus: exponents to compare, ascending.
    """

    taus: tuple[float, ...] = TAUS


@dataclass(frozen=True)
class ClassMeans:
    """NCM: predicts the class with the nearest mean feature, by cosine.

    The scale of the cosine minimizes the negative log-likelihood (NLL) on validation images.
    """


Ending = Retraining | Normalization | ClassMeans
"""Any change to the head after the features have been learned."""

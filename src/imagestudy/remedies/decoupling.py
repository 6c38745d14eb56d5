"""What is done to the head after the features have been learned, declared; the learner does it.

Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020: features learn best from the images as
they are, and it is the head that imbalance spoils.
"""

from dataclasses import dataclass, field
from typing import Literal

from imagestudy.core.errors import InputError
from imagestudy.remedies.sampling import ClassSampler, Sampling, power_shares

TAUS = tuple(step / 10 for step in range(21))
"""Exponents that τ-normalisation tries on validation: 21 points in [0, 2]."""


@dataclass(frozen=True)
class Retraining:
    """The last share of the budget trains the head alone, on frozen features.

    Args:
        part: "head" draws a new head and trains it (cRT); "scales" keeps it and learns one factor a class for its logits (LWS).
        share: of the budget, in (0, 1).
        sampling: what the head sees.
    """

    part: Literal["head", "scales"]
    share: float = 0.15
    sampling: Sampling = field(default_factory=lambda: ClassSampler(power_shares(0.0)))

    def steps(self, total: int) -> int:
        """How many of all steps train the head.

        Raises:
            InputError: there are fewer than two steps, one for the features and one for the head.
        """
        if total < 2:
            raise InputError(f"{total} step of training was given; needed are 2 or more, to learn the features and then the head")
        return min(max(1, round(self.share * total)), total - 1)


@dataclass(frozen=True)
class Normalization:
    """τ-normalisation: w_c / ‖w_c‖^τ without bias, τ picked by balanced accuracy on validation.

    Args:
        taus: exponents to try, ascending.
    """

    taus: tuple[float, ...] = TAUS


@dataclass(frozen=True)
class ClassMeans:
    """NCM: the class whose mean feature is nearest by cosine; the scale of the cosine is fitted by NLL on validation."""


Ending = Retraining | Normalization | ClassMeans
"""What may follow the features."""

"""Remedies of the head. Each one applies itself in training, describes the head it made, and restores it in a saved model.

Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020. They find that features are
learned best from the images in their original frequencies, and that imbalance harms the head.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from imagestudy.core.errors import InputError
from imagestudy.metrics import classification
from imagestudy.remedies.heads import CosineHead, SavedHead, ScaledHead, describe, normalized, rebuild
from imagestudy.remedies.posthoc import steadiest
from imagestudy.remedies.sampling import ClassSampler, Sampling, power_shares

TAUS = tuple(step / 10 for step in range(21))
"""The exponents that τ-normalization compares on validation images: 21 values in [0, 2]."""

Features = tuple[Float[Tensor, "n dim"], Int64[np.ndarray, " n"]]
"""Pooled features of images, and their labels."""


@runtime_checkable
class LearnedFeatures(Protocol):
    """A network whose features have been learned, as a remedy sees it that changes the head."""

    @property
    def head(self) -> nn.Module:
        """The head as training left it."""

    @property
    def classes(self) -> int:
        """The number of classes."""

    def new_head(self) -> nn.Module:
        """Return a head that is initialized like the one training started with."""

    def train_head(self, head: nn.Module, sampling: Sampling) -> None:
        """Train a head on the frozen features with plain cross-entropy, in the steps that `HeadRemedy.steps` reserves."""

    def training_features(self) -> Features:
        """Return the pooled features and the labels of the training images."""

    def validation_features(self) -> Features:
        """Return the pooled features and the labels of the validation images; see `HeadRemedy.needs_validation`."""


@dataclass(frozen=True)
class HeadRemedy:
    """What a remedy does with the head of a network. This base class leaves the linear head unchanged."""

    needs_validation: ClassVar[bool] = False
    """Whether `apply` chooses something on validation images."""
    kind: ClassVar[str] = "linear"
    """The kind of the head that `apply` returns, as in `SavedHead`."""

    def start(self, head: nn.Linear) -> nn.Module:
        """Return the head with which training starts, given the newly initialized linear head of the model."""
        return head

    def steps(self, total: int) -> int:  # noqa: ARG002
        """Return how many of all training steps are reserved for the head alone.

        Raises:
            InputError: there are too few steps.
        """
        return 0

    def apply(self, learned: LearnedFeatures) -> tuple[nn.Module, dict[str, float]]:
        """Return the head to predict with, and by name what was chosen on validation images."""
        return learned.head, {}

    def save(self, head: nn.Module) -> SavedHead:
        """Return the description of a head that `apply` returned. A remedy that makes a head of its own kind overrides this."""
        return describe(head)

    def restore(self, saved: SavedHead, head: nn.Linear) -> nn.Module:
        """Return the head that was saved, with weights that are not yet loaded, given the newly built linear head of the model.

        Raises:
            InputError: this remedy makes no head of this kind.
        """
        if saved.kind != self.kind:
            raise InputError(f"a head of kind {saved.kind!r} was given; this remedy makes {self.kind!r}")
        return rebuild(saved, head)


@dataclass(frozen=True)
class Cosine(HeadRemedy):
    """A cosine head from the beginning of training.

    Args:
        scale: the scale s of its logits, above 0.
    """

    kind: ClassVar[str] = "cosine"
    scale: float

    def start(self, head: nn.Linear) -> nn.Module:
        """Return a new cosine head of the same size."""
        return CosineHead(head.in_features, head.out_features, scale=self.scale)


@dataclass(frozen=True)
class Retraining(HeadRemedy):
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

    @property
    def kind(self) -> str:  # type: ignore[override]
        """A linear head, or a scaled one."""
        return "linear" if self.part == "head" else "scaled"

    def steps(self, total: int) -> int:
        """Return the share of all training steps, at least one, and leave at least one for the features.

        Raises:
            InputError: there are fewer than two steps; the features and the head need at least one step each.
        """
        if total < 2:
            raise InputError(f"training steps: {total} was given; at least 2 are needed, for the features and then for the head")
        return min(max(1, round(self.share * total)), total - 1)

    def apply(self, learned: LearnedFeatures) -> tuple[nn.Module, dict[str, float]]:
        """Train a new head, or factors for the old one."""
        head = learned.new_head() if self.part == "head" else ScaledHead(learned.head, learned.classes)
        learned.train_head(head, self.sampling)
        return head, {}


@dataclass(frozen=True)
class Normalization(HeadRemedy):
    """τ-normalization: the head weights become w_c / ‖w_c‖^τ, without bias.

    The τ with the best balanced accuracy on validation images is used. The score leaves out classes without a validation image.
    If several neighboring exponents are equally good, the middle one is taken.

    Args:
        taus: exponents to compare, ascending.
    """

    needs_validation: ClassVar[bool] = True
    taus: tuple[float, ...] = TAUS

    def apply(self, learned: LearnedFeatures) -> tuple[nn.Module, dict[str, float]]:
        """Return the normalized head and its exponent, `norm_tau`."""
        features, labels = learned.validation_features()
        made = [normalized(cast(nn.Linear, learned.head), tau=tau) for tau in self.taus]
        with torch.inference_mode():
            all_predicted = [one(features).argmax(dim=1).cpu().numpy() for one in made]
        recalls = [classification.per_class_recall(predicted, labels, classes=learned.classes) for predicted in all_predicted]
        best = steadiest(np.array([np.nanmean(recall) for recall in recalls]))
        return made[best], {"norm_tau": self.taus[best]}


@dataclass(frozen=True)
class ClassMeans(HeadRemedy):
    """NCM: predicts the class with the nearest mean feature, by cosine.

    The scale of the cosine minimizes the negative log-likelihood (NLL) on validation images.
    """

    needs_validation: ClassVar[bool] = True
    kind: ClassVar[str] = "cosine"

    def apply(self, learned: LearnedFeatures) -> tuple[nn.Module, dict[str, float]]:
        """Return a cosine head whose weights are the directions of the class means, and its scale, `cosine_scale`."""
        (features, labels), (shown, shown_labels) = learned.training_features(), learned.validation_features()
        member = torch.as_tensor(np.eye(learned.classes)[labels], dtype=features.dtype, device=features.device)
        head = CosineHead(features.shape[1], learned.classes, scale=1.0).to(features.device)
        with torch.inference_mode():
            means = member.T @ features / member.sum(dim=0)[:, None]
        with torch.no_grad():
            head.weight.copy_(F.normalize(means))
            cosines = head(shown).double().cpu().numpy()
        head.scale = 1 / classification.fit_temperature(log_softmax(cosines, axis=1), shown_labels)
        return head, {"cosine_scale": head.scale}

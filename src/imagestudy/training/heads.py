"""Compute a new head for a trained network from its pooled features, without training."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from imagestudy.metrics import classification
from imagestudy.models.heads import CosineHead, normalized
from imagestudy.remedies.posthoc import steadiest
from imagestudy.training.sklearn_learner import log_softmax


def normalize_head(
    head: nn.Linear, watched: Float[Tensor, "n dim"], labels: Int64[np.ndarray, " n"], *, taus: tuple[float, ...]
) -> tuple[nn.Linear, dict[str, float]]:
    """Apply τ-normalization (Kang et al. 2020) and return the new head and the chosen exponent.

    The exponent with the best balanced accuracy on the validation images is chosen.

    Args:
        head: the head of the trained network.
        watched: the pooled features of the validation images.
        labels: the labels of the validation images. Classes without an image are left out of the score.
        taus: the exponents to try, ascending. If several neighboring exponents are equally good, the middle one is taken.
    """
    made = [normalized(head, tau=tau) for tau in taus]
    with torch.inference_mode():
        all_predicted = [one(watched).argmax(dim=1).cpu().numpy() for one in made]
    recalls = [classification.per_class_recall(predicted, labels, classes=head.out_features) for predicted in all_predicted]
    best = steadiest(np.array([np.nanmean(recall) for recall in recalls]))
    return made[best], {"norm_tau": taus[best]}


def class_means(
    pooled: Float[Tensor, "n dim"],
    labels: Int64[np.ndarray, " n"],
    watched: Float[Tensor, "m dim"],
    watched_labels: Int64[np.ndarray, " m"],
    *,
    classes: int,
) -> tuple[CosineHead, dict[str, float]]:
    """Return a nearest-class-mean head (Kang et al. 2020) and its scale.

    The head compares features with the mean feature of each class by cosine similarity. The scale is fitted on the validation
    images.

    Args:
        pooled: the pooled features of the training images.
        labels: the labels of the training images. Every class has at least one image.
        watched: the pooled features of the validation images.
        watched_labels: the labels of the validation images.
        classes: the number of classes.
    """
    member = torch.as_tensor(np.eye(classes)[labels], dtype=pooled.dtype, device=pooled.device)
    head = CosineHead(pooled.shape[1], classes, scale=1.0).to(pooled.device)
    with torch.inference_mode():
        means = member.T @ pooled / member.sum(dim=0)[:, None]
    with torch.no_grad():
        head.weight.copy_(F.normalize(means))
        cosines = head(watched).double().cpu().numpy()
    head.scale = 1 / classification.fit_temperature(log_softmax(cosines), watched_labels)
    return head, {"cosine_scale": head.scale}

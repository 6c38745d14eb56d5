"""New heads for a trained network, without training: from its pooled features."""

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
    """τ-normalisation (Kang et al. 2020) with the exponent of the best balanced accuracy on the watched images, and that exponent.

    Args:
        head: of the trained network.
        watched: pooled features of validation images.
        labels: theirs; classes without an image do not enter the score.
        taus: exponents to try, ascending; of a plateau of equals the middle is taken.
    """
    made = [normalized(head, tau=tau) for tau in taus]
    with torch.inference_mode():
        predicted = [one(watched).argmax(dim=1).cpu().numpy() for one in made]
    recalls = [classification.per_class_recall(said, labels, classes=head.out_features) for said in predicted]
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
    """The head that compares with each class's mean feature by cosine (Kang et al. 2020), and its scale, fitted on watched images.

    Args:
        pooled: pooled features of the training images.
        labels: theirs; every class has an image.
        watched: pooled features of validation images.
        watched_labels: theirs.
        classes: number of classes.
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

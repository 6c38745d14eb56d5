"""Class counts and priors, the one thing that all remedies know of the training set."""

import numpy as np
from jaxtyping import Float, Int64

from imagestudy.core.errors import InputError


def require_every_class(counts: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " class"]:
    """Return the counts if every class has a training image, since weights and priors divide by them.

    Raises:
        InputError: a class without a training image, by its index in label order.
    """
    empty = np.flatnonzero(counts < 1)
    if empty.size:
        raise InputError(
            f"class {empty[0]} has no training image (counts {counts.tolist()}); this remedy needs at least one of every class"
        )
    return counts


def relative_log_prior(counts: Int64[np.ndarray, " class"]) -> Float[np.ndarray, " class"]:
    """log(n_c / max n): the log prior up to a constant, which a softmax does not see.

    This constant is taken because uniform counts then give exactly 0, so that what adds it to logits changes no bit of them.
    """
    return np.log(require_every_class(counts) / counts.max())

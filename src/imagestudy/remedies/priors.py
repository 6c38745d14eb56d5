"""Class counts and class priors, the only facts about the training set that remedies use."""

import numpy as np
from jaxtyping import Float, Int64

from imagestudy.core.errors import InputError


def require_every_class(counts: Int64[np.ndarray, " class"]) -> Int64[np.ndarray, " class"]:
    """Return the counts if every class has a training image; weights and priors divide by the counts.

    Raises:
        InputError: a class has no training image; the message gives its index in label order.
    """
    empty = np.flatnonzero(counts < 1)
    if empty.size:
        raise InputError(
            f"class {empty[0]} has no training image (counts {counts.tolist()}); this remedy needs at least 1 image of every class"
        )
    return counts


def relative_log_prior(counts: Int64[np.ndarray, " class"]) -> Float[np.ndarray, " class"]:
    """Return log(n_c / max n): the log prior up to a constant, which does not change a softmax.

    With this constant, uniform counts give exactly 0, so adding the result to logits does not change a single bit.
    """
    return np.log(require_every_class(counts) / counts.max())

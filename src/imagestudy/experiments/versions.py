"""Set the versions of registered names in the spec of a run, so that a record from an older implementation is never loaded."""

from imagestudy import data
from imagestudy.core.specs import RECIPE_VERSION, RunSpec
from imagestudy.models import models
from imagestudy.remedies import remedies


def stamp(spec: RunSpec) -> RunSpec:
    """Check a run and return it with the present versions of every registered name and of the training recipe.

    Raises:
        InputError: a name is unknown, or an option is not allowed.
    """
    training = spec.training.with_(version=RECIPE_VERSION)
    stamped = data.stamp(spec).with_(model=models.stamp(spec.model), remedy=remedies.stamp(spec.remedy), training=training)
    data.check(stamped)
    models.check(stamped.model)
    remedies.check(stamped.remedy)
    return stamped

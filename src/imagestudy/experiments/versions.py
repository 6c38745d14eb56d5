"""The versions of registered names, set in a run's description, so that a mended part never loads a stale run."""

from imagestudy import data
from imagestudy.core.specs import RECIPE_VERSION, RunSpec
from imagestudy.models import models
from imagestudy.remedies import remedies


def stamp(spec: RunSpec) -> RunSpec:
    """The run, checked, with every registered name and the training recipe at the version that they have now.

    Raises:
        InputError: an unknown name, or an option that is not allowed.
    """
    training = spec.training.model_copy(update={"version": RECIPE_VERSION})
    stamped = data.stamp(spec).with_(model=models.stamp(spec.model), remedy=remedies.stamp(spec.remedy), training=training)
    data.check(stamped)
    models.check(stamped.model)
    remedies.check(stamped.remedy)
    return stamped

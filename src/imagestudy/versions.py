"""The versions of registered names, set in a run's description, so that a mended part never loads a stale run."""

from imagestudy import data
from imagestudy.models import models
from imagestudy.remedies import remedies
from imagestudy.specs import RunSpec


def stamp(spec: RunSpec) -> RunSpec:
    """The run, checked, with every registered name at the version that it has now.

    Raises:
        InputError: an unknown name, or an option that is not allowed.
    """
    stamped = data.stamp(spec).with_(model=models.stamp(spec.model), remedy=remedies.stamp(spec.remedy))
    data.check(stamped)
    models.check(stamped.model)
    remedies.check(stamped.remedy)
    return stamped

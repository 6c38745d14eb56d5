"""Check the parameters of the frameworks notebook before anything trains, and list the runs that it needs."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from imagestudy.core.errors import InputError, require_known
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.versions import stamp
from imagestudy.models.keras import HOW_TO_INSTALL, is_installed, start
from imagestudy.training import followed_remedies

BATCHES = range(2, 513)


def check(*, model: Any, remedies: Any, batch: Any) -> None:
    """Check the parameters of the notebook. They may have any type.

    Args:
        model: the name of a Keras model.
        remedies: the names of remedies that this model supports, without `none`. Plain training is always included.
        batch: the number of images on which the two versions are compared.

    Raises:
        InputError: if a parameter is not allowed.
    """
    require_known(model, tuple(grids.TWINS.values()), what="Keras model", where="parameter 'model'")
    if not isinstance(remedies, list | tuple):
        raise InputError(f"parameter 'remedies' is {remedies!r}; allowed: a list of remedies")
    for name in remedies:
        allowed = [one for one in followed_remedies(model) if one != "none"]
        require_known(name, allowed, what="remedy for a Keras model", where="parameter 'remedies'")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch not in BATCHES:
        raise InputError(f"parameter 'batch' is {batch!r}; allowed: whole numbers from {BATCHES[0]} to {BATCHES[-1]}")


def needs(plan: Plan, *, remedies: Sequence[str] = grids.TWIN_REMEDIES) -> list[RunSpec]:
    """List the runs of the models in both frameworks, and the measurements of their time and memory.

    If TensorFlow is not installed, only runs that are already in the store of the study are listed.
    """
    specs = [*grids.twins(plan, remedies_=remedies), *grids.twin_costs(plan)]
    if is_installed():
        return specs
    lacking = {spec.run_id for spec in runner.missing(specs, study=plan.name)}
    return [spec for spec in specs if stamp(spec).run_id not in lacking]


def say_installed(plan: Plan) -> str:
    """State the compared versions, or how to install TensorFlow. Starts TensorFlow if it is installed."""
    if not is_installed():
        return (
            f"TensorFlow is not installed. Nothing is trained in it, and only recorded runs are shown. To install it: "
            f"`{HOW_TO_INSTALL}`."
        )
    return f"PyTorch {version('torch')} and Keras {version('keras')} on TensorFlow {_tensorflow(plan)}, both on the CPU."


def _tensorflow(plan: Plan) -> str:
    """Return the version of TensorFlow from the package itself, because its distribution has several names."""
    start(threads=plan.training.threads)
    import tensorflow

    return tensorflow.__version__

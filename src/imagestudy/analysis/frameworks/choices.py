"""What the notebook is asked to show, checked before anything trains, and the runs that it needs."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from imagestudy.core.errors import InputError, require_known
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records
from imagestudy.experiments.versions import stamp
from imagestudy.models.keras import HOW_TO_INSTALL, is_installed, start
from imagestudy.training import followed_remedies

BATCHES = range(2, 513)


def check(*, model: Any, remedies: Any, batch: Any) -> None:
    """Raise `InputError` unless the notebook's parameters are allowed, of whatever type they are.

    Args:
        model: a Keras model.
        remedies: names of remedies that it can follow; `none` is always there.
        batch: images on which both are compared.
    """
    require_known(model, tuple(grids.TWINS.values()), what="Keras model", where="parameter 'model'")
    if not isinstance(remedies, list | tuple):
        raise InputError(f"parameter 'remedies' is {remedies!r}; allowed: a list of remedies")
    for name in remedies:
        allowed = [one for one in followed_remedies(model) if one != "none"]
        require_known(name, allowed, what="remedy of a Keras model", where="parameter 'remedies'")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch not in BATCHES:
        raise InputError(f"parameter 'batch' is {batch!r}; allowed: whole numbers from {BATCHES[0]} to {BATCHES[-1]}")


def obtain(plan: Plan, *, remedies: Sequence[str]) -> Records:
    """The twins' records and those of their costs; without TensorFlow those that the store has."""
    specs = [*grids.twins(plan, remedies_=remedies), *grids.twin_costs(plan)]
    if not is_installed():
        lacking = {spec.run_id for spec in runner.missing(specs, study=plan.name)}
        specs = [spec for spec in specs if stamp(spec).run_id not in lacking]
    return runner.obtain(specs, study=plan.name)


def say_installed(plan: Plan) -> str:
    """Which versions are compared, or how to install what is missing; starts TensorFlow where it is there."""
    if not is_installed():
        return (
            f"TensorFlow is not installed: nothing is trained in it, and only what is recorded is shown. To install it: "
            f"`{HOW_TO_INSTALL}`."
        )
    return f"PyTorch {version('torch')} and Keras {version('keras')} on TensorFlow {_tensorflow(plan)}, both on the CPU."


def _tensorflow(plan: Plan) -> str:
    """The version that the package names; its distribution has several names."""
    start(threads=plan.training.threads)
    import tensorflow

    return tensorflow.__version__

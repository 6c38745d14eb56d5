"""Compare the accuracy of all models on balanced training data, with intervals and costs."""

from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan


def needs(plan: Plan) -> list[RunSpec]:
    """Return the runs needed: all models on balanced training data, their costs, learning-rate trials, and longer training."""
    return [*grids.accuracy(plan), *grids.recipes(plan), *grids.longer(plan), *grids.costs(plan)]

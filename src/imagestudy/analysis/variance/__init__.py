"""Analyze why runs differ, how many runs would decide the open comparisons, and what test-set peeking adds to a score."""

from imagestudy.analysis.variance import components, power, test_set_peeking
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.grids import Plan


def needs(plan: Plan) -> list[RunSpec]:
    """Return the runs that all three analyses need."""
    return [*components.needs(plan), *power.needs(plan), *test_set_peeking.needs(plan)]

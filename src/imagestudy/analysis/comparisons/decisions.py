"""Decide effects by the verdict rule, corrected for multiple comparisons, and choose the best cells."""

from collections.abc import Sequence

import numpy as np

from imagestudy import stats
from imagestudy.analysis.comparisons.effects import HEADLINE, Effect, Redrawn, difference, level_of
from imagestudy.experiments.records import Records
from imagestudy.stats import Judged


def judge(effect: Effect | Redrawn, *, margin: float, comparisons: int) -> Judged:
    """Apply the verdict rule to an effect.

    Args:
        effect: a difference, in shares.
        margin: the equivalence margin, as a share.
        comparisons: the number of comparisons declared together. The interval is corrected for this number.
    """
    level = stats.corrected_level(comparisons)
    interval = effect.interval(level=level, limits=(-1.0, 1.0))
    verdict = stats.decide(interval, margin=margin)
    by_run, needed = effect.by_run, effect.needed(margin=margin, level=level)
    p = stats.sign_flip_p(by_run, rng=np.random.default_rng(0))
    return Judged(interval, verdict, comparisons, p, stats.probability_of_improvement(by_run, np.zeros_like(by_run)), needed)


def near_best(records: Records, *, score: str = HEADLINE) -> list[bool]:
    """Say for each cell whether it is statistically indistinguishable from the cell with the best score.

    The cells are in the order of `summarize`. The best cell is compared with each other cell, corrected for multiple comparisons.
    The value of the best cell itself is True.
    """
    cells = list(records.cells().values())
    means = [float(level_of(cell, score=score).by_run.mean()) for cell in cells]
    best = int(np.argmax(means))
    level = stats.corrected_level(max(1, len(cells) - 1))
    return [i == best or difference(cells[best], cell, score=score).interval(level=level).low <= 0 for i, cell in enumerate(cells)]


def choose_by_validation(cells: Sequence[Records], *, score: str = HEADLINE) -> Records:
    """For each run, return the record of the cell with the best validation score in this run.

    Test images never influence the choice. Only seeds that all cells share are used.
    """
    by_seed = [{record.spec.seed: record for record in cell} for cell in cells]
    shared = sorted(set.intersection(*(set(seeds) for seeds in by_seed)))
    chosen = tuple(max((seeds[seed] for seeds in by_seed), key=lambda record: record.validation[score]) for seed in shared)
    return Records(chosen, {key: value for cell in cells for key, value in cell.labels.items()})

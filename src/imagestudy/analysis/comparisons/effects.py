"""The scores of cells and their paired differences, with the data from which their intervals are computed.

A cell is the set of runs that differ only in their seed and split. Every comparison is paired: run i of one cell is compared with
run i of another cell, on the same test images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from imagestudy import stats
from imagestudy.experiments.records import Record, Records, decided, labels_key
from imagestudy.metrics import classification

HEADLINE = "balanced_accuracy"


@dataclass(frozen=True)
class Effect:
    """A statistic that is linear in the values of the images: the mean over runs of Σ w_i v_ri.

    Args:
        values: v_ri, the value of each image in each run, such as a difference in correctness.
        weights: w_i, the weight of each image.
        strata: the stratum of each image. Images of one stratum are exchangeable.
        unit: how far one error of one model on one image moves its value.
    """

    values: Float[np.ndarray, "run image"]
    weights: Float[np.ndarray, " image"]
    strata: Int64[np.ndarray, " image"]
    unit: float = 1.0

    @property
    def by_run(self) -> Float[np.ndarray, " run"]:
        """Return the statistic of each run."""
        return self.values @ self.weights

    def interval(self, *, level: float = 0.95, limits: tuple[float, float] = (-np.inf, np.inf)) -> stats.Interval:
        """Return the interval of the statistic. See `stats.crossed_interval`."""
        return stats.crossed_interval(
            self.values, weights=self.weights, strata=self.strata, level=level, unit=self.unit, limits=limits
        )

    def needed(self, *, margin: float, level: float) -> stats.Needed:
        """Return how many more runs or test images would decide the effect. See `stats.what_would_decide`."""
        return stats.what_would_decide(
            self.values, weights=self.weights, strata=self.strata, margin=margin, level=level, unit=self.unit
        )


@dataclass(frozen=True)
class Redrawn:
    """A statistic of runs that each have their own test set.

    Args:
        by_run: the statistic of each run.
        test_share: the number of test images per training image.
        images: the average number of test images of a run.
        jump: how far one image typically moves the mean over runs.
        depth: the approximate number of different test images over all runs, in the class with the most influential images.
    """

    by_run: Float[np.ndarray, " run"]
    test_share: float
    images: int
    jump: float
    depth: float

    def interval(self, *, level: float = 0.95, limits: tuple[float, float] = (-np.inf, np.inf)) -> stats.Interval:
        """Return the interval of the statistic. See `stats.redrawn_interval`."""
        return stats.redrawn_interval(
            self.by_run,
            test_share=self.test_share,
            images=self.images,
            jump=self.jump,
            depth=self.depth,
            level=level,
            limits=limits,
        )

    def minus(self, other: "Redrawn") -> "Redrawn":
        """Return the difference from another statistic of the same runs. The test images may differ.

        The typical influence of one image (`jump`) adds up.
        """
        by_run, jump = self.by_run - other.by_run, self.jump + other.jump
        return Redrawn(by_run, self.test_share, self.images, jump, min(self.depth, other.depth))

    def needed(self, *, margin: float, level: float) -> stats.Needed:
        """Return how many more splits or test images would decide the effect. See `stats.what_would_decide_redrawn`."""
        return stats.what_would_decide_redrawn(
            self.by_run,
            test_share=self.test_share,
            images=self.images,
            jump=self.jump,
            depth=self.depth,
            margin=margin,
            level=level,
        )


def weights_of(labels: Int64[np.ndarray, " image"], *, score: str = HEADLINE) -> Float[np.ndarray, " image"]:
    """Return the weights with which accuracy or balanced accuracy is the weighted sum of correctness."""
    return classification.linear_weights(labels, classes=int(labels.max()) + 1, score=score)  # type: ignore[arg-type]


def level_of(cell: Records, *, score: str = HEADLINE) -> Effect | Redrawn:
    """Return the score of one cell as an effect."""
    if cell.is_redrawn:
        correct = [_correct(record, cell.labels_of(record)["test"]) for record in cell]
        return _redrawn(cell, np.array([record.scores[score] for record in cell]), correct, score=score)
    return shared_level(cell, score=score)


def shared_level(cell: Records, *, score: str = HEADLINE) -> Effect:
    """Return the score of a cell in which all runs share their test images. The effect has a value for each image."""
    labels = cell.test_labels()
    return Effect(cell.correct(), weights_of(labels, score=score), labels)


def _redrawn(
    cell: Records, by_run: Float[np.ndarray, " run"], values: Sequence[Float[np.ndarray, " image"]], *, score: str
) -> Redrawn:
    """Build a `Redrawn` from the statistic of each run and the values of its own test images.

    The test sets of two runs may overlap. If every run tests on the share q of n images, J runs test on n (1 − (1 − q)^J) different
    images on average.
    """
    labels = [cell.labels_of(record) for record in cell]
    tests, held = (np.mean([len(part[name]) for part in labels]) for name in ("test", "validation"))
    trained = np.mean([sum(record.facts["counts"]) for record in cell])
    share = tests / (tests + held + trained)
    often = float((1 - (1 - share) ** len(cell)) / share)
    spreads = [
        stats.measure_spread(one[np.newaxis], weights=weights_of(part["test"], score=score), strata=part["test"])
        for one, part in zip(values, labels, strict=True)
    ]
    jump, depth = (float(np.mean([getattr(spread, name) for spread in spreads])) for name in ("jump", "depth"))
    return Redrawn(by_run, float(tests / trained), round(float(tests)), jump / often, depth * often)


def _correct(record: Record, labels: Int64[np.ndarray, " image"]) -> Float[np.ndarray, " image"]:
    return (decided(record, labels) == labels).astype(np.float64)


def paired(a: Records, b: Records) -> tuple[Records, Records]:
    """Return the records of two cells with the seeds that both have, in the order of the seeds.

    Raises:
        ValueError: if a cell has two records with the same seed, or the cells have no common seed.
    """
    seeds_a, seeds_b = ({record.spec.seed: record for record in cell} for cell in (a, b))
    if len(seeds_a) < len(a) or len(seeds_b) < len(b):
        raise ValueError("a cell has several records with the same seed; select one model, profile and remedy first")
    shared = sorted(seeds_a.keys() & seeds_b.keys())
    if not shared:
        raise ValueError("the two cells have no seed in common")
    return tuple(Records(tuple(side[seed] for seed in shared), cell.labels) for side, cell in ((seeds_a, a), (seeds_b, b)))  # type: ignore[return-value]


def difference(a: Records, b: Records, *, score: str = HEADLINE) -> Effect | Redrawn:
    """Return the score of cell a minus the score of cell b, paired over runs and test images."""
    a, b = paired(a, b)
    if a.is_redrawn:
        return _redrawn_difference(a, b, score=score)
    return shared_difference(a, b, score=score)


def _redrawn_difference(a: Records, b: Records, *, score: str) -> Redrawn:
    """Return the difference image by image if the paired runs share their test images, else the difference of the two scores."""
    pairs = list(zip(a, b, strict=True))
    if any(
        labels_key(one.spec.dataset, one.spec.split) != labels_key(other.spec.dataset, other.spec.split) for one, other in pairs
    ):
        ours, theirs = level_of(a, score=score), level_of(b, score=score)
        assert isinstance(ours, Redrawn)
        assert isinstance(theirs, Redrawn)
        return ours.minus(theirs)
    labels = [a.labels_of(one)["test"] for one in a]
    apart = [_correct(one, own) - _correct(other, own) for (one, other), own in zip(pairs, labels, strict=True)]
    return _redrawn(a, np.array([one.scores[score] - other.scores[score] for one, other in pairs]), apart, score=score)


def shared_difference(a: Records, b: Records, *, score: str = HEADLINE) -> Effect:
    """Return the score difference of two cells in which all runs share their test images."""
    a, b = paired(a, b)
    labels = a.test_labels()
    return Effect(a.correct() - b.correct(), weights_of(labels, score=score), labels)


def difference_at_training_shares(a: Records, b: Records) -> Effect | Redrawn:
    """Return the accuracy of cell a minus that of cell b at the class shares of each run's training images.

    The test images can have other shares. The runs of both cells use the same training and test images.
    """
    a, b = paired(a, b)
    labels = [a.labels_of(record)["test"] for record in a]
    apart = [_correct(one, own) - _correct(other, own) for one, other, own in zip(a, b, labels, strict=True)]
    weights = [_training_weights(record, own) for record, own in zip(a, labels, strict=True)]
    if a.is_redrawn:
        by_run = np.array([weight @ values for weight, values in zip(weights, apart, strict=True)])
        return _redrawn(a, by_run, apart, score="accuracy")
    base = weights_of(labels[0])
    ratios = np.stack(weights) / base
    return Effect(np.stack(apart) * ratios, base, labels[0], unit=float(ratios.max()))


def _training_weights(record: Record, labels: Int64[np.ndarray, " image"]) -> Float[np.ndarray, " image"]:
    """Return π_y / n_y for each test image: weights that give the classes their shares in the training images."""
    counts = np.array(record.facts["counts"], dtype=np.float64)
    return classification.weights_at_shares(labels, counts / counts.sum())


def log_odds_interval(
    parts: Sequence[tuple[float, Records]], *, level: float = 0.95, draws: int = 1_000, rng: np.random.Generator
) -> stats.Interval:
    """Return the interval of Σ weight · log-odds of the mean balanced accuracy of a cell.

    On the log-odds scale, an effect does not depend on the level of the scores.

    Args:
        parts: weight (or sign) and cell of each term. All cells share their runs and test images.
        level: the nominal coverage.
        draws: the number of draws of the crossed bootstrap.
        rng: the random generator of the draws.
    """
    labels = parts[0][1].test_labels()
    weights = weights_of(labels)
    correct = [(sign, cell.correct()) for sign, cell in parts]
    runs = len(correct[0][1])

    def statistic(
        run_weights: Float[np.ndarray, "draw run"], image_weights: Float[np.ndarray, "draw image"]
    ) -> Float[np.ndarray, " draw"]:
        total = np.zeros(len(run_weights))
        weighted = image_weights * weights
        for sign, values in correct:
            score = np.einsum("dr,ri,di->d", run_weights / runs, values, weighted, optimize=True) / weighted.sum(axis=1)
            clipped = np.clip(score, 0.5 / len(labels), 1 - 0.5 / len(labels))
            total += sign * np.log(clipped / (1 - clipped))
        return total

    mean = float(np.mean([values.mean() for _, values in correct]))
    unit = 1 / max(mean * (1 - mean), 1e-3)
    return stats.bootstrap_interval(statistic, runs=runs, strata=labels, level=level, draws=draws, rng=rng, unit=unit)

"""How long a study of somebody's own images takes here: what it trains, looks at and measures, by the speeds that were seen."""

import time
from dataclasses import dataclass, replace

import numpy as np

from imagestudy.core.specs import Choice, ModelSpec, RunSpec, TrainingSpec
from imagestudy.data import splits
from imagestudy.data.datasets import Dataset
from imagestudy.experiments import search
from imagestudy.experiments.durations import BOTH_WAYS
from imagestudy.experiments.execute import MOST_TIMED, TIMINGS, curve_points
from imagestudy.models import at_budget
from imagestudy.training import followed_remedies, make_learner

REMEDIES = ("none", "balanced_sampler", "class_weights", "balanced_softmax", "mixup_drw", "logit_adjustment")
DERIVED = ("logit_adjustment",)
RUNGS, FINALISTS = 2, 4
PROBED_IMAGES = 1_280
PROBED_CLASSICAL = 300
POWERS = {"svm": 2, "logistic": 1}
"""Classical models of a plan, and with which power of the number of training images their fit slows down."""


@dataclass(frozen=True)
class Work:
    """What a study does beside learning from the images of its budget.

    Args:
        train, validation, test: images of each part.
        plain: how often a run trains plainly: twice where groups are forgotten for once, to see what that would have said.
        every_run_s: seconds of one core that classical models take in every run.
        once_s: seconds that they take alone, for what is measured.
    """

    train: int
    validation: int
    test: int
    plain: int = 1
    every_run_s: float = 0.0
    once_s: float = 0.0

    @classmethod
    def of(cls, dataset: Dataset) -> "Work":
        """That of a dataset's split, or of the first that is drawn, without a classical model."""
        parts = splits.split(dataset)
        ungrouped = dataset.groups is not None and splits.is_redrawn(dataset)
        return cls(len(parts.train), len(parts.validation), len(parts.test), plain=2 if ungrouped else 1)

    @property
    def images(self) -> int:
        """Those of all parts."""
        return self.train + self.validation + self.test

    @property
    def timed(self) -> int:
        """Images that are predicted to see how fast that is."""
        return TIMINGS * min(self.validation, MOST_TIMED)

    def looked_at(self, images_seen: int) -> int:
        """Images that a run predicts: on the way, and all parts at its end."""
        return self.validation * curve_points(images_seen, images=self.images) + self.images

    def with_classical(self, model: str, dataset: Dataset, *, candidate: bool) -> "Work":
        """The work with that of a classical model: a candidate is tried with remedies, a baseline is trained plainly once a run."""
        fit_s, decide_s = measure_classical(model, dataset, images=self.train)
        run_s = fit_s + decide_s * self.images
        trials = len([name for name in REMEDIES if name in followed_remedies(model) and name not in DERIVED])
        tried_s = trials * RUNGS * (fit_s + decide_s * self.validation) + (trials - 1 + self.plain) * run_s
        every_run_s, once_s = tried_s if candidate else run_s, fit_s + decide_s * self.timed
        return replace(self, every_run_s=self.every_run_s + every_run_s, once_s=self.once_s + once_s)


def measure(model: str, dataset: Dataset, *, params: int, images: int = PROBED_IMAGES) -> float:
    """Images a second at which a network trains on one core here, from a short training on the first images."""
    taken = np.arange(min(len(dataset.labels), images))
    spec = RunSpec(
        dataset=Choice(name="digits"),
        model=at_budget(Choice(name=model), params),
        training=TrainingSpec(images_seen=images),
    )
    learner = make_learner(spec, classes=len(dataset.classes), points=0)
    learner.fit(dataset.images[taken], dataset.labels[taken] % len(dataset.classes))
    return images / learner.seconds


def measure_classical(model: str, dataset: Dataset, *, images: int) -> tuple[float, float]:
    """Seconds that a classical model takes to be fitted to so many images, and to decide one, from a fit to a few of them."""
    order = np.random.default_rng(0).permutation(len(dataset.labels))
    _, first = np.unique(dataset.labels[order], return_index=True)
    taken = np.unique(np.concatenate([order[first], order[: min(images, PROBED_CLASSICAL)]]))
    spec = RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name=model))
    learner = make_learner(spec, classes=len(dataset.classes), points=0)
    learner.fit(dataset.images[taken], dataset.labels[taken])
    started = time.perf_counter()
    learner.predict_log_proba(dataset.images[taken])
    growth = max(1.0, images / len(taken))
    decide_s = (time.perf_counter() - started) / len(taken)
    return learner.seconds * growth ** POWERS[model], decide_s * growth ** (POWERS[model] - 1)


def estimate(speeds: dict[str, float], work: Work, *, images_seen: int, runs: int, cores: int) -> float:
    """About how many seconds a plan takes: every trained candidate in the first rung, then those that go on.

    Who goes on is not known beforehand; those that do are taken to be like the mean, the finalists like the slowest. What is only
    looked at is counted too: with many images, that is more than what is learned from. Costs are measured on one core, and the
    model that is kept is trained there.

    Args:
        speeds: network → images a second that it learns from on one core.
        work: beside that.
        images_seen: by a training with the whole budget.
        runs: redrawn splits or paired runs.
        cores: that train at the same time.
    """
    each = {model: 1 / speed for model, speed in speeds.items()}
    mean, slowest, together = sum(each.values()) / len(each), max(each.values()), sum(each.values())
    run = images_seen + work.looked_at(images_seen) / BOTH_WAYS
    trials = [images_seen / search.ETA ** (RUNGS - rung) + work.validation / BOTH_WAYS for rung in range(RUNGS)]
    rungs = mean * sum(number * seen for number, seen in zip(_count_trials(len(each)), trials, strict=True))
    kept = slowest * (images_seen + work.validation / BOTH_WAYS)
    alone = together * (images_seen + work.timed / BOTH_WAYS) + kept + work.once_s
    return runs * (rungs + work.plain * together * run + FINALISTS * slowest * run + work.every_run_s) / cores + alone


def _count_trials(networks: int) -> list[int]:
    """Trainings in each rung of one run; later on, behind each candidate that follows from another there may be one more."""
    candidates = len(REMEDIES) * networks
    going_on = [search.kept_after(rung, rungs=RUNGS, candidates=candidates, finalists=FINALISTS) for rung in range(RUNGS - 1)]
    return [(len(REMEDIES) - len(DERIVED)) * networks, *going_on]

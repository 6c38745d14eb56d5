"""Estimate how long a study of the user's own images takes, from speeds that are measured on this machine."""

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
"""Classical model of a plan → the power of the number of training images that its fitting time is proportional to."""


@dataclass(frozen=True)
class Work:
    """The work of a study that is not the training of networks.

    Args:
        train, validation, test: the number of images in each part.
        plain: how many times each run repeats plain training. It is 2 if splits that ignore groups are trained for comparison.
        every_run_s: seconds on one core that classical models take in every run.
        once_s: seconds on one core that classical models take once, for the cost measurements.
    """

    train: int
    validation: int
    test: int
    plain: int = 1
    every_run_s: float = 0.0
    once_s: float = 0.0

    @classmethod
    def of(cls, dataset: Dataset) -> "Work":
        """Return the work for a dataset without classical models, from the sizes of its split or of the first redrawn split."""
        parts = splits.split(dataset)
        ungrouped = dataset.groups is not None and splits.is_redrawn(dataset)
        return cls(len(parts.train), len(parts.validation), len(parts.test), plain=2 if ungrouped else 1)

    @property
    def images(self) -> int:
        """The number of images in all parts."""
        return self.train + self.validation + self.test

    @property
    def timed(self) -> int:
        """The number of images that are predicted to measure the speed."""
        return TIMINGS * min(self.validation, MOST_TIMED)

    def looked_at(self, images_seen: int) -> int:
        """Return the number of images that a run predicts: validation images during training, and all parts at the end."""
        return self.validation * curve_points(images_seen, images=self.images) + self.images

    def with_classical(self, model: str, dataset: Dataset, *, candidate: bool) -> "Work":
        """Return the work including a classical model.

        A candidate is trained with remedies. A baseline is trained once per run, with plain training.
        """
        fit_s, decide_s = measure_classical(model, dataset, images=self.train)
        run_s = fit_s + decide_s * self.images
        trials = len([name for name in REMEDIES if name in followed_remedies(model) and name not in DERIVED])
        tried_s = trials * RUNGS * (fit_s + decide_s * self.validation) + (trials - 1 + self.plain) * run_s
        every_run_s, once_s = tried_s if candidate else run_s, fit_s + decide_s * self.timed
        return replace(self, every_run_s=self.every_run_s + every_run_s, once_s=self.once_s + once_s)


def measure(model: str, dataset: Dataset, *, params: int, images: int = PROBED_IMAGES) -> float:
    """Measure the training speed of a network in images per second on one core, with a short training on the first images."""
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
    """Return the seconds that a classical model takes to fit `images` images, and to predict one image.

    The values are extrapolated from a fit to a few images.
    """
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
    """Estimate the duration of a plan in seconds.

    All candidates that need training are trained in the first rung. It is not known in advance which of them continue. The estimate
    assumes that they have the mean speed and that the finalists have the lowest speed. Predicted images are counted too, because
    with many images they outnumber the images seen in training. Costs are measured on one core, and the saved model is trained on
    one core.

    Args:
        speeds: network → images per second that it trains on with one core.
        work: the other work of the study.
        images_seen: the budget of a full training run.
        runs: the number of redrawn splits or paired runs.
        cores: the number of cores that train at the same time.
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
    """Return the number of training runs in each rung of one run.

    After the first rung, a derived candidate counts as one training run, because its parent may have to be trained.
    """
    candidates = len(REMEDIES) * networks
    going_on = [search.kept_after(rung, rungs=RUNGS, candidates=candidates, finalists=FINALISTS) for rung in range(RUNGS - 1)]
    return [(len(REMEDIES) - len(DERIVED)) * networks, *going_on]

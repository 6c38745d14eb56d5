"""Runs made by hand for tests of the tables about class imbalance: each run has classes, counts and predictions of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from imagestudy.analysis import imbalance
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp
from imagestudy.remedies import posthoc

STUDY = """\
dataset: digits
models: [mlp]
crossed: [mlp]
profiles: [{name: exponential, ratio: 50}]
remedies: [none, balanced_sampler, focal, logit_adjustment, seed_ensemble]
training: {images_seen: 640}
efforts:
  smoke: {runs: 2}
  default: {runs: 4, whole: 1}
  full: {runs: 3, whole: 1}
"""
COUNTS = np.array([95, 61, 39, 25, 16, 10, 6, 4, 2, 1])
CLASSES, EACH = 10, 12
LABELS = np.repeat(np.arange(CLASSES), EACH)


def open_plan(folder: Path, effort: str = "default") -> Plan:
    file = folder / "small.yaml"
    file.write_text(STUDY)
    return grids.open_study(str(file), effort)


def turned(seed: int) -> np.ndarray:
    """The counts of a run, other classes rare in each."""
    return np.roll(COUNTS, seed)


def predict(seed: int, *, scale: float = 2.0, prior: float = 1.0, part: int = 0) -> np.ndarray:
    """Log-probabilities that favour the true class by `scale`, with noise, and with the training prior to some power in them."""
    rng = np.random.default_rng((seed, part))
    logits = rng.normal(size=(len(LABELS), CLASSES))
    logits[np.arange(len(LABELS)), LABELS] += scale
    return log_softmax(logits + prior * np.log(turned(seed) / turned(seed).max()), axis=1)


def with_prior(spec: RunSpec) -> dict[str, np.ndarray]:
    """Plain training and focal loss have the prior in what they say, the balanced sampler has not, the ensemble is sharper."""
    scale, prior = {"balanced_sampler": (1.8, 0.0), "seed_ensemble": (3.0, 1.0)}.get(spec.remedy.name, (2.0, 1.0))
    seed = spec.seed if spec.init is None else spec.seed + 50
    parts = {name: predict(seed, scale=scale, prior=prior, part=part) for part, name in enumerate(("validation", "test"))}
    if spec.remedy.name == "logit_adjustment":
        parts = {name: posthoc.adjust(logs, turned(spec.seed), tau=1.0) for name, logs in parts.items()}
    return parts


def show(plan: Plan, predictions: Callable[[RunSpec], dict[str, np.ndarray]] = with_prior) -> imbalance.Shown:
    """All runs that the notebook about deployment needs, with these predictions."""
    specs = imbalance.deployment_needs(plan, "mlp")
    records = tuple(Record(spec, {}, {}, {"seconds": 1.0}, _facts(spec), predictions(spec)) for spec in specs)
    labels = {labels_key(stamp(spec).dataset): {"test": LABELS, "validation": LABELS} for spec in specs}
    return imbalance.Shown(plan, imbalance.profiles_of(plan, ratios=[])[:1], Records(records, labels))


def _facts(spec: RunSpec) -> dict:
    return {"counts": turned(spec.seed).tolist()} | ({"tau": 1.0} if is_derived(spec) else {})

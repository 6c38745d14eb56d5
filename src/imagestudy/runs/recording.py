"""One run → one record: trained and scored, or computed from its parent's record.

The functions are pure, fit to be sent to another process.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from imagestudy import data, metrics
from imagestudy.learners import ClassicalLearner, TorchLearner, make_learner
from imagestudy.models import cost
from imagestudy.remedies import remedy
from imagestudy.remedies.posthoc import Adjustment
from imagestudy.runs.lineage import Task
from imagestudy.specs import RunSpec
from imagestudy.store import Failure, Record, round_log_probabilities

SELECTING = ("balanced_accuracy", "accuracy", "macro_f1", "nll")
"""Scores that are kept of the validation images, by which something may be chosen."""


def record(task: Task) -> Record | Failure:
    """Do the task. Whatever goes wrong inside is this run's failure, with its reason, and does not stop the others."""
    try:
        return _measure_cost(task) if task.spec.kind == "cost" else _train_and_score(task)
    except Exception as error:
        return Failure(task.spec, f"{type(error).__name__}: {error}")


def _train_and_score(task: Task) -> Record:
    spec = task.effective
    prepared = data.prepare(spec)
    watch = (prepared.validation.images, prepared.validation.labels)
    learner = make_learner(spec, classes=len(prepared.classes), flips=prepared.flips, watch=watch)
    learner.fit(prepared.train.images, prepared.train.labels)
    arrays, scores = {}, {}
    parts = {"validation": prepared.validation} | ({"test": data.test_part(spec)} if spec.kind == "run" else {})
    for name, part in parts.items():
        arrays[name] = round_log_probabilities(learner.predict_log_proba(part.images))
        scores[name] = _score(arrays[name], part.labels, prepared.counts)
    facts = {"counts": prepared.counts.tolist(), "train_accuracy": _accuracy(learner, prepared.train)} | _settings(spec)
    if spec.kind == "trial":
        arrays = {}
    else:
        facts["temperature"] = _temperature(arrays["validation"], prepared.validation.labels)
    if spec.kind == "run" and len(learner.curve):
        arrays["curve"] = learner.curve.astype(np.float32)
    cost_of_run = {"seconds": round(learner.seconds, 3), "images_seen": _images_seen(learner, prepared.train)}
    return Record(task.spec, scores.get("test", {}), _selecting(scores["validation"]), cost_of_run, facts, arrays)


def _selecting(scores: dict[str, float]) -> dict[str, float]:
    return {name: scores[name] for name in SELECTING}


def _temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that fits best on validation, for whoever asks how well the run is calibrated."""
    return round(metrics.fit_temperature(metrics.normalize(log_probabilities), labels), 4)


def _score(log_probabilities: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    scores = metrics.score(log_probabilities.astype(np.float64), labels, counts)
    return {name: round(float(value), 6) for name, value in scores.items()}


def _accuracy(learner: TorchLearner | ClassicalLearner, part: data.Part) -> float:
    return round(float((learner.predict_log_proba(part.images).argmax(axis=1) == part.labels).mean()), 6)


def _settings(spec: RunSpec) -> dict:
    training = {k: v for k in ("learning_rate", "weight_decay") if (v := getattr(spec.training, k)) is not None}
    return training | ({"options": spec.model.options} if spec.model.options else {})


def _images_seen(learner: TorchLearner | ClassicalLearner, train: data.Part) -> int:
    return learner.spec.training.images_seen if isinstance(learner, TorchLearner) else len(train.labels)


def _measure_cost(task: Task) -> Record:
    """What a model costs: seconds to train, memory above the start, latency, images a second, parameters, FLOPs."""
    spec = task.effective
    prepared = data.prepare(spec)
    learner = make_learner(spec, classes=len(prepared.classes), flips=prepared.flips)
    images = prepared.validation.images
    before = _peak_memory_bytes()
    learner.fit(prepared.train.images, prepared.train.labels)
    measured = {
        "seconds": learner.seconds,
        "memory_mb": (_peak_memory_bytes() - before) / 2**20,
        "latency_ms": 1_000 * _median_seconds(lambda: learner.predict_log_proba(images[:1])),
        "images_per_second": len(images) / _median_seconds(lambda: learner.predict_log_proba(images)),
    }
    if isinstance(learner, TorchLearner):
        _, height, width, channel = images.shape
        measured["params"] = sum(p.numel() for p in learner.network.parameters())
        measured["flops"] = cost.count_flops(learner.network, (channel, height, width))
    return Record(task.spec, {}, {}, {k: round(v, 4) for k, v in measured.items()}, {"counts": prepared.counts.tolist()})


def _peak_memory_bytes() -> int:
    """The system counts in KiB, on macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)


def _median_seconds(call: Callable[[], object], *, repeats: int = 20) -> float:
    call()
    marks = [time.perf_counter()]
    for _ in range(repeats):
        call()
        marks.append(time.perf_counter())
    return float(np.median(np.diff(marks)))


def derive(spec: RunSpec, parent: Record, labels: dict[str, np.ndarray]) -> Record | Failure:
    """A post-hoc remedy, from its parent's stored log-probabilities; what it has to choose, it chooses on validation.

    Whatever goes wrong inside is this run's failure.

    Args:
        spec: with a post-hoc remedy.
        parent: the run of `none` with the same seeds.
        labels: of the `validation` and `test` images.
    """
    try:
        return _derive(spec, parent, labels)
    except Exception as error:
        return Failure(spec, f"{type(error).__name__}: {error}")


def _derive(spec: RunSpec, parent: Record, labels: dict[str, np.ndarray]) -> Record:
    counts = np.array(parent.facts["counts"], dtype=np.int64)
    tau = _correction(spec).choose(parent.arrays["validation"], labels["validation"], counts)
    derived = with_arrays(Record(spec, {}, {}, parent.cost, parent.facts | {"tau": tau}), parent)
    scores = {part: _score(derived.arrays[part], labels[part], counts) for part in ("validation", "test")}
    facts = derived.facts | {"temperature": _temperature(derived.arrays["validation"], labels["validation"])}
    return Record(spec, scores["test"], _selecting(scores["validation"]), parent.cost, facts)


def with_arrays(derived: Record, parent: Record) -> Record:
    """A derived run with the log-probabilities that follow from its parent's; the store keeps them but once."""
    counts = np.array(parent.facts["counts"], dtype=np.int64)
    said = {part: parent.arrays[part] for part in parent.arrays.keys() & {"validation", "test"}}
    arrays = {part: _correction(derived.spec).apply(logs, counts, derived.facts["tau"]) for part, logs in said.items()}
    return replace(derived, arrays=arrays)


def _correction(spec: RunSpec) -> Adjustment:
    posthoc = remedy(spec.remedy).posthoc
    assert posthoc is not None, "only a remedy with a correction is derived"
    return posthoc

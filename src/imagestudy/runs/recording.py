"""One run → one record: trained and scored, or computed from its parent's record.

The functions are pure, fit to be sent to another process.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from imagestudy import data, metrics
from imagestudy.learners import ClassicalLearner, TorchLearner, make_learner
from imagestudy.models import cost
from imagestudy.remedies import remedy
from imagestudy.runs.lineage import Task
from imagestudy.specs import RunSpec
from imagestudy.store import Failure, Record, round_log_probabilities


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
    if spec.kind == "trial":
        arrays = {}
    elif len(learner.curve):
        arrays["curve"] = learner.curve.astype(np.float32)
    facts = {"counts": prepared.counts.tolist(), "train_accuracy": _accuracy(learner, prepared.train)} | _settings(spec)
    cost_of_run = {"seconds": round(learner.seconds, 3), "images_seen": _images_seen(learner, prepared.train)}
    return Record(task.spec, scores.get("test", {}), scores["validation"], cost_of_run, facts, arrays)


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
    parts = {part: parent.arrays[part].astype(np.float64) for part in ("validation", "test")}
    posthoc = remedy(spec.remedy).posthoc
    assert posthoc is not None, "only a remedy with a correction is derived"
    tau = posthoc.choose(parts["validation"], labels["validation"], counts)
    arrays = {part: round_log_probabilities(posthoc.apply(said, counts, tau)) for part, said in parts.items()}
    scores = {part: _score(said, labels[part], counts) for part, said in arrays.items()}
    kept = {"test": arrays["test"]}
    return Record(spec, scores["test"], scores["validation"], parent.cost, parent.facts | {"tau": tau}, kept)

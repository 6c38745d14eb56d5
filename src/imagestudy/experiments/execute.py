"""Turn one run into one record: train and score a model, or compute the record from the records of the run's parents.

The functions have no side effects and can be sent to another process.
"""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from imagestudy import data
from imagestudy.core.specs import RunSpec
from imagestudy.data.splits import VALIDATION_SHARE
from imagestudy.experiments.codec import round_log_probabilities
from imagestudy.experiments.dependencies import Task
from imagestudy.experiments.import_cost import measure_import
from imagestudy.experiments.records import Failure, Record
from imagestudy.metrics import classification
from imagestudy.models import complexity, models
from imagestudy.remedies import remedy
from imagestudy.training import CURVE_POINTS, ClassicalLearner, KerasLearner, TorchLearner, make_learner

LEAST_POINTS = 5
"""The minimum number of points of a curve. It applies if there are many validation images compared to the training budget."""
DIAGNOSTIC_POINTS = 100
"""The number of times that a diagnostic run is scored on the test images."""
MOST_TIMED = 2_048
"""The maximum number of images that are predicted to measure the images per second."""
TIMINGS = 21
"""The number of calls that measure the duration of a call. The first call is not counted."""
SELECTING = ("balanced_accuracy", "accuracy", "macro_f1", "nll")
"""The scores on the validation images that are recorded. Selection may use them."""


def record(task: Task) -> Record | Failure:
    """Execute a task and return its record. An error becomes a failure with its reason, so that it does not stop other runs."""
    try:
        return {"cost": _measure_cost, "start": _measure_start, "diagnostic": _diagnose}.get(task.spec.kind, _train_and_score)(task)
    except Exception as error:
        return Failure(task.spec, f"{type(error).__name__}: {error}")


def _train_and_score(task: Task) -> Record:
    spec = task.effective
    prepared = data.prepare(spec)
    watch = (prepared.validation.images, prepared.validation.labels)
    # Only the final score of a trial is used.
    points = 0 if spec.kind == "trial" else curve_points(spec.training.images_seen, images=data.image_count(spec.dataset))
    learner = make_learner(spec, classes=len(prepared.classes), flips=prepared.flips, watch=watch, points=points)
    learner.fit(prepared.train.images, prepared.train.labels)
    arrays, scores = {}, {}
    parts = {"validation": prepared.validation} | ({"test": data.test_part(spec)} if spec.kind == "run" else {})
    for name, part in parts.items():
        arrays[name] = round_log_probabilities(learner.predict_log_proba(part.images))
        scores[name] = _score(arrays[name], part.labels, prepared.counts)
    learned = {"train_accuracy": _accuracy(learner, prepared.train)} if spec.kind == "run" else {}
    facts = {"counts": prepared.counts.tolist()} | learned | _settings(spec)
    facts |= {name: round(value, 6) for name, value in learner.chosen.items()}
    if spec.kind == "run":
        arrays["missed"] = _missed(arrays["test"], part.labels)
        facts["temperature"] = _temperature(arrays["validation"], prepared.validation.labels)
    if spec.kind == "run" and len(learner.curve):
        arrays["curve"] = learner.curve.astype(np.float32)
    cost_of_run = {"seconds": round(learner.seconds, 3), "images_seen": _images_seen(learner, prepared.train)}
    return Record(task.spec, scores.get("test", {}), _selecting(scores["validation"]), cost_of_run, facts, arrays)


def curve_points(images_seen: int, *, images: int) -> int:
    """Return how many times a run is scored on the validation images during training.

    The run predicts at most as many validation images as it sees training images, but it has at least `LEAST_POINTS` points.

    Args:
        images_seen: the images that the run sees in training.
        images: the images in the whole dataset. About `VALIDATION_SHARE` of them are validation images. The exact number differs
            a little between redrawn splits and is not used, so that all splits have the same number of points.
    """
    return int(np.clip(images_seen // (VALIDATION_SHARE * images), LEAST_POINTS, CURVE_POINTS))


def _diagnose(task: Task) -> Record:
    """Train like a normal run and record only the curve, with an additional column for the test images."""
    spec = task.effective
    prepared, test = data.prepare(spec), data.test_part(spec)
    learner = make_learner(
        spec,
        classes=len(prepared.classes),
        flips=prepared.flips,
        watch=(prepared.validation.images, prepared.validation.labels),
        beside=(test.images, test.labels),
        points=DIAGNOSTIC_POINTS,
    )
    learner.fit(prepared.train.images, prepared.train.labels)
    cost_of_run = {"seconds": round(learner.seconds, 3), "images_seen": _images_seen(learner, prepared.train)}
    return Record(spec, {}, {}, cost_of_run, {"counts": prepared.counts.tolist()}, {"curve": learner.curve.astype(np.float32)})


def _selecting(scores: dict[str, float]) -> dict[str, float]:
    return {name: scores[name] for name in SELECTING}


def _missed(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the predicted class minus the true class, modulo the number of classes; 0 where the prediction is correct."""
    off = (log_probabilities.argmax(axis=1) - labels) % log_probabilities.shape[1]
    return off.astype(np.min_scalar_type(log_probabilities.shape[1]))


def _temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that fits the validation images best. Analyses of calibration use it."""
    return round(classification.fit_temperature(classification.normalize(log_probabilities), labels), 4)


def _score(log_probabilities: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    scores = classification.score(log_probabilities.astype(np.float64), labels, counts)
    return {name: round(float(value), 6) for name, value in scores.items()}


def _accuracy(learner: TorchLearner | KerasLearner | ClassicalLearner, part: data.Part) -> float:
    return round(float((learner.predict_log_proba(part.images).argmax(axis=1) == part.labels).mean()), 6)


def _settings(spec: RunSpec) -> dict:
    training = {k: v for k in ("learning_rate", "weight_decay") if (v := getattr(spec.training, k)) is not None}
    return training | ({"options": spec.model.options} if spec.model.options else {})


def _images_seen(learner: TorchLearner | KerasLearner | ClassicalLearner, train: data.Part) -> int:
    return len(train.labels) if isinstance(learner, ClassicalLearner) else learner.spec.training.images_seen


def _measure_cost(task: Task) -> Record:
    """Measure the cost of a model: training seconds, additional memory, latency, images per second, parameters and FLOPs."""
    spec = task.effective
    prepared = data.prepare(spec)
    needed = remedy(spec.remedy).head.needs_validation
    watch = (prepared.validation.images, prepared.validation.labels) if needed else None
    learner = make_learner(spec, classes=len(prepared.classes), flips=prepared.flips, watch=watch, points=0)
    images = prepared.validation.images[:MOST_TIMED]
    before = _peak_memory_bytes()
    learner.fit(prepared.train.images, prepared.train.labels)
    measured = {
        "seconds": learner.seconds,
        "memory_mb": (_peak_memory_bytes() - before) / 2**20,
        "latency_ms": 1_000 * _median_seconds(lambda: learner.predict_log_proba(images[:1])),
        "images_per_second": len(images) / _median_seconds(lambda: learner.predict_log_proba(images)),
    }
    if not isinstance(learner, ClassicalLearner):
        _, height, width, channel = images.shape
        network = complexity.in_torch(learner.network, spec.model)
        measured["params"] = sum(p.numel() for p in network.parameters())
        measured["flops"] = complexity.count_flops(network, (channel, height, width))
    return Record(task.spec, {}, {}, {k: round(v, 4) for k, v in measured.items()}, {"counts": prepared.counts.tolist()})


def _measure_start(task: Task) -> Record:
    """Measure the startup: seconds and memory of importing the framework, and of building the model and one training step.

    The step runs in a process that has already imported everything. `seconds` is the duration of the step, including compilation.
    """
    spec = task.effective
    prepared = data.prepare(spec)
    learner = make_learner(spec, classes=len(prepared.classes), flips=prepared.flips, points=0)
    before = _peak_memory_bytes()
    learner.fit(prepared.train.images, prepared.train.labels)
    measured = {"seconds": learner.seconds, "memory_mb": (_peak_memory_bytes() - before) / 2**20}
    measured |= measure_import(models.entry(spec.model.name).facts["kind"])
    return Record(task.spec, {}, {}, {k: round(v, 4) for k, v in measured.items()}, {"counts": prepared.counts.tolist()})


def _peak_memory_bytes() -> int:
    """Return the peak memory of this process in bytes. The system reports KiB, except for macOS, which reports bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)


def _median_seconds(call: Callable[[], object]) -> float:
    call()
    marks = [time.perf_counter()]
    for _ in range(TIMINGS - 1):
        call()
        marks.append(time.perf_counter())
    return float(np.median(np.diff(marks)))


def derive(spec: RunSpec, behind: Sequence[Record], labels: dict[str, np.ndarray]) -> Record | Failure:
    """Return the record of a derived run, computed from the log-probabilities of its parents.

    The constants of a post-hoc remedy are chosen on the validation images. An error becomes a failure with its reason.

    Args:
        spec: the derived run.
        behind: the records of its parents: plain training with the same seeds and, for an ensemble, the other members.
        labels: the labels of the `validation` and `test` images.
    """
    try:
        return _derive(spec, behind, labels)
    except Exception as error:
        return Failure(spec, f"{type(error).__name__}: {error}")


def _derive(spec: RunSpec, behind: Sequence[Record], labels: dict[str, np.ndarray]) -> Record:
    plain = behind[0]
    counts = np.array(plain.facts["counts"], dtype=np.int64)
    correction = remedy(spec.remedy).posthoc
    chosen = {} if correction is None else {"tau": correction.choose(plain.arrays["validation"], labels["validation"], counts)}
    derived = with_arrays(Record(spec, {}, {}, _total_cost(behind), plain.facts | chosen), behind)
    scores = {part: _score(log_probabilities, labels[part], counts) for part, log_probabilities in derived.arrays.items()}
    if spec.kind == "trial":
        return Record(spec, {}, _selecting(scores["validation"]), derived.cost, derived.facts)
    facts = derived.facts | {"temperature": _temperature(derived.arrays["validation"], labels["validation"])}
    arrays = {"missed": _missed(derived.arrays["test"], labels["test"])}
    return Record(spec, scores["test"], _selecting(scores["validation"]), derived.cost, facts, arrays)


def _total_cost(behind: Sequence[Record]) -> dict[str, float]:
    """Return the total cost of the training runs that a derived run is computed from."""
    return {name: round(sum(record.cost[name] for record in behind), 3) for name in behind[0].cost}


def with_arrays(derived: Record, behind: Sequence[Record]) -> Record:
    """Return a derived run with log-probabilities computed from those of its parents, for each part that all parents have.

    The store keeps only the log-probabilities of the parents.
    """
    counts = np.array(derived.facts["counts"], dtype=np.int64)
    correction = remedy(derived.spec.remedy).posthoc
    arrays = dict(derived.arrays)
    for part in ("validation", "test"):
        if all(part in record.arrays for record in behind):
            mean = mean_probability([record.arrays[part] for record in behind])
            arrays[part] = mean if correction is None else correction.apply(mean, counts, derived.facts["tau"])
    return replace(derived, arrays=arrays)


def mean_probability(logs: Sequence[Float[np.ndarray, "n class"]]) -> Float[np.ndarray, "n class"]:
    """Return the logarithm of the mean probability of several models; the log-probabilities of a single model are unchanged."""
    if len(logs) == 1:
        return logs[0]
    return logsumexp([classification.normalize(one) for one in logs], axis=0) - np.log(len(logs))

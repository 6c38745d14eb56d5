"""One run → one record: trained and scored, or computed from its parent's record.

The functions are pure, fit to be sent to another process.
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
from imagestudy.remedies.decoupling import ClassMeans, Normalization
from imagestudy.training import CURVE_POINTS, ClassicalLearner, KerasLearner, TorchLearner, make_learner

LEAST_POINTS = 5
"""Of a run's curve, where the validation images are many beside those that it learns from."""
DIAGNOSTIC_POINTS = 100
"""Looks at the test images during a diagnostic run."""
MOST_TIMED = 2_048
"""Images that are predicted at once to see how many that are a second."""
TIMINGS = 21
"""Times that something is done to time it, the first of which does not count."""
SELECTING = ("balanced_accuracy", "accuracy", "macro_f1", "nll")
"""Scores that are kept of the validation images, by which something may be chosen."""


def record(task: Task) -> Record | Failure:
    """Do the task. Whatever goes wrong inside is this run's failure, with its reason, and does not stop the others."""
    try:
        return {"cost": _measure_cost, "start": _measure_start, "diagnostic": _diagnose}.get(task.spec.kind, _train_and_score)(task)
    except Exception as error:
        return Failure(task.spec, f"{type(error).__name__}: {error}")


def _train_and_score(task: Task) -> Record:
    spec = task.effective
    prepared = data.prepare(spec)
    watch = (prepared.validation.images, prepared.validation.labels)
    # A trial is judged by its end.
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
    """How often a run looks at the validation images: it sees no more there than it learns from, or looks `LEAST_POINTS` times.

    Args:
        images_seen: that it learns from.
        images: of the whole dataset, of which about `VALIDATION_SHARE` are looked at: redrawn splits differ a little, and their
            curves have the same points.
    """
    return int(np.clip(images_seen // (VALIDATION_SHARE * images), LEAST_POINTS, CURVE_POINTS))


def _diagnose(task: Task) -> Record:
    """Train as a run does and keep the curve, with a column more for the test images; no score and no prediction."""
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
    """By how many classes, counted round, each decision is off; 0 where it is right."""
    off = (log_probabilities.argmax(axis=1) - labels) % log_probabilities.shape[1]
    return off.astype(np.min_scalar_type(log_probabilities.shape[1]))


def _temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that fits best on validation, for whoever asks how well the run is calibrated."""
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
    """What a model costs: seconds to train, memory above the start, latency, images a second, parameters, FLOPs."""
    spec = task.effective
    prepared = data.prepare(spec)
    chooses = isinstance(remedy(spec.remedy).ending, Normalization | ClassMeans)
    watch = (prepared.validation.images, prepared.validation.labels) if chooses else None
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
    """What it takes to get going: seconds and memory of importing the framework, and of building the model and one step.

    The step is taken in a process that has imported everything; `seconds` is that step's, compiling included.
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
    """The system counts in KiB, on macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)


def _median_seconds(call: Callable[[], object]) -> float:
    call()
    marks = [time.perf_counter()]
    for _ in range(TIMINGS - 1):
        call()
        marks.append(time.perf_counter())
    return float(np.median(np.diff(marks)))


def derive(spec: RunSpec, behind: Sequence[Record], labels: dict[str, np.ndarray]) -> Record | Failure:
    """A post-hoc remedy, from its parents' stored log-probabilities; what it has to choose, it chooses on validation.

    Whatever goes wrong inside is this run's failure.

    Args:
        spec: with a post-hoc remedy.
        behind: its parents: the run of `none` with the same seeds, and the other members of an ensemble.
        labels: of the `validation` and `test` images.
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
    derived = with_arrays(Record(spec, {}, {}, _together(behind), plain.facts | chosen), behind)
    scores = {part: _score(said, labels[part], counts) for part, said in derived.arrays.items()}
    if spec.kind == "trial":
        return Record(spec, {}, _selecting(scores["validation"]), derived.cost, derived.facts)
    facts = derived.facts | {"temperature": _temperature(derived.arrays["validation"], labels["validation"])}
    arrays = {"missed": _missed(derived.arrays["test"], labels["test"])}
    return Record(spec, scores["test"], _selecting(scores["validation"]), derived.cost, facts, arrays)


def _together(behind: Sequence[Record]) -> dict[str, float]:
    """What all the trainings cost that stand behind a derived run."""
    return {name: round(sum(record.cost[name] for record in behind), 3) for name in behind[0].cost}


def with_arrays(derived: Record, behind: Sequence[Record]) -> Record:
    """A derived run with the log-probabilities that follow from its parents', where those have theirs; they are kept but once."""
    counts = np.array(derived.facts["counts"], dtype=np.int64)
    correction = remedy(derived.spec.remedy).posthoc
    arrays = dict(derived.arrays)
    for part in ("validation", "test"):
        if all(part in record.arrays for record in behind):
            said = mean_probability([record.arrays[part] for record in behind])
            arrays[part] = said if correction is None else correction.apply(said, counts, derived.facts["tau"])
    return replace(derived, arrays=arrays)


def mean_probability(logs: Sequence[Float[np.ndarray, "n class"]]) -> Float[np.ndarray, "n class"]:
    """The log of the mean probability of several models; one model's own, as it is."""
    if len(logs) == 1:
        return logs[0]
    return logsumexp([classification.normalize(one) for one in logs], axis=0) - np.log(len(logs))

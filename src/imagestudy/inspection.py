"""What a notebook shows of one model: its view, layers and curves, what it gets wrong, and what its parts are worth.

Tables and sentences come from records. Test images are only scored: the images shown as errors are those of validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, UInt8

from imagestudy import claims, compare, data, grids, metrics, stats
from imagestudy.claims import Finding
from imagestudy.compare import Effect
from imagestudy.errors import InputError, require_known
from imagestudy.grids import ABLATIONS, DECIDING, TRADITIONAL, Plan
from imagestudy.models import cost, models, views
from imagestudy.records import Records
from imagestudy.specs import ModelSpec, RunSpec

VIEWS = {"ann": "vector", "cnn": "grid", "rnn": "rows", "transformer": "patches"}
SCORE = "accuracy"
"""What models are compared in on balanced training data."""

PARTS = {
    "normalise=False": "no batch norm",
    "dropout=0.0": "no dropout",
    "shortcut=False": "no shortcuts",
    "bidirectional=False": "one direction",
    "pool=last": "the last state alone",
    "positions=False": "no positions",
    "depth=1": "one layer",
}
"""What an option leaves of a model, in words that follow "with"."""

CLAIMS = {"cnn": "A3", "rnn": "A4", "ann": "A5"}
"""Family → the claim that its modern member is more accurate than the traditional one."""


def check(plan: Plan, family: str, *, model: str, curves: Sequence[str], example: int, errors_shown: int) -> None:
    """Raise `InputError` unless a family notebook's parameters are allowed, before anything trains.

    Args:
        plan: the study at its effort.
        family: of the notebook.
        model: the one inspected; a network of the family.
        curves: networks, at least one, of which training curves are drawn.
        example: number of a training image.
        errors_shown: number of images, at least 1.
    """
    require_known(model, _networks(family), what=f"model of family {family!r}", where="parameter 'model'")
    if not isinstance(curves, list | tuple) or not curves:
        raise InputError(f"parameter 'curves' is {curves!r}; allowed: a list of at least one network")
    for name in curves:
        require_known(name, models.names(kind="neural"), what="network", where="parameter 'curves'")
    _require_number(example, 0, len(_training_part(plan).labels) - 1, parameter="example")
    _require_number(errors_shown, 1, 60, parameter="errors_shown")


def _networks(family: str) -> tuple[str, ...]:
    return models.names(kind="neural", family=family)


def _require_number(given: int, low: int, high: int, *, parameter: str) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise InputError(f"parameter {parameter!r} is {given!r}; allowed: whole numbers from {low} to {high}")


def grid(plan: Plan, family: str, *, model: str, curves: Sequence[str]) -> list[RunSpec]:
    """The runs that a family's notebook needs; the article's claims about families are declared together and need all pairs."""
    others = [*DECIDING.values(), *(TRADITIONAL.values() if family in TRADITIONAL else ())]
    names = dict.fromkeys([*_networks(family), *curves, *others])
    return [
        *grids.accuracy(plan, models_=list(names)),
        *grids.overfit(plan, model),
        *grids.ablation(plan, DECIDING[family]),
        *(grids.probe(plan) if family == "rnn" else ()),
    ]


def cells(plan: Plan, records: Records, names: Sequence[str]) -> dict[str, Records]:
    """Name of a model → its runs on balanced training data; models without a finished run are left out."""
    found = {name: records.of(grids.cell(plan, name)) for name in names}
    return {name: cell for name, cell in found.items() if len(cell)}


# --- what it sees ---------------------------------------------------------------------------------------------------------------


def _training_part(plan: Plan) -> data.Part:
    return data.prepare(grids.cell(plan, DECIDING["ann"])[0]).train


def example(plan: Plan, number: int) -> UInt8[np.ndarray, "height width channel"]:
    """A training image of the study's first run."""
    return _training_part(plan).images[number]


def class_names(plan: Plan) -> tuple[str, ...]:
    """The names of the study's classes, in label order."""
    return data.sources.load(plan.study.dataset).classes


def say_view(plan: Plan, family: str) -> str:
    """What a family makes of an image of the study, in numbers."""
    channels, height, width = data.image_shape(plan.study.dataset)
    tall, wide, band = views.reduction(height), views.reduction(width), views.band(height)
    rows, columns, steps = views.positions(height, tall), views.positions(width, wide), views.positions(height, band)
    tokens = rows * columns
    seen = {
        "ann": f"one vector of {channels * height * width:,} numbers, and every hidden unit has a weight for each of them",
        "cnn": f"a grid of {height} × {width} positions, which strides or pooling shrink to {rows} × {columns}",
        "rnn": f"a sequence of {steps} time steps, each of {channels * band * width:,} numbers",
        "transformer": f"{tokens} patches of {channels * tall * wide} numbers, and attention weighs {tokens} × {tokens} = "
        f"{tokens**2:,} pairs of them in every head",
    }
    return f"An image of {height} × {width} pixels becomes {seen[family]}."


# --- shapes and parameters ------------------------------------------------------------------------------------------------------


def _layers(plan: Plan, spec: ModelSpec) -> list[cost.Layer]:
    return cost.layers(spec, shape=data.image_shape(plan.study.dataset), classes=data.class_count(plan.study.dataset))


def _size(plan: Plan, spec: ModelSpec) -> int:
    return sum(layer.parameters for layer in _layers(plan, spec))


def layers(plan: Plan, model: str) -> pd.DataFrame:
    """One row a layer, in the order in which an image passes them: layer, kind, output, parameters."""
    found = _layers(plan, grids.model_spec(plan, model))
    rows = [(one.name, one.kind, " × ".join(map(str, one.output)), one.parameters) for one in found]
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def _extreme(frame: pd.DataFrame, column: str, *, least: bool = False) -> pd.Series:
    """The row in which a column is largest, or smallest; the first of several."""
    values = frame[column].to_numpy()
    return frame.iloc[int(values.argmin() if least else values.argmax())]


def say_size(frame: pd.DataFrame, model: str) -> str:
    """How many parameters a model has, and where most of them are."""
    total, largest = int(frame["parameters"].sum()), _extreme(frame, "parameters")
    share = largest["parameters"] / total
    return f"{model} has {total:,} trained parameters; the layer with the most, {largest['layer']}, holds {share:.0%} of them."


def say_sharing(plan: Plan, frame: pd.DataFrame) -> str:
    """What it saves that the first convolution has the same weights at every position; empty if there is none."""
    convolutions = frame[frame["kind"] == "Conv2d"]
    if convolutions.empty:
        return ""
    first, inputs = convolutions.iloc[0], int(np.prod(data.image_shape(plan.study.dataset)))
    outputs = int(np.prod([int(n) for n in str(first["output"]).split(" × ")]))
    return (
        f"The first convolution gives {outputs:,} numbers from {inputs:,} with {first['parameters']:,} parameters; connecting each "
        f"to each would take {inputs * outputs:,} weights, {inputs * outputs / first['parameters']:,.0f} times as many."
    )


def sizes(plan: Plan, members: dict[str, Records]) -> pd.DataFrame:
    """`compare.summarize` of models in accuracy, with the column `parameters` beside it."""
    frames = [
        compare.summarize(cell, score=SCORE).assign(parameters=_size(plan, grids.model_spec(plan, name)))
        for name, cell in members.items()
    ]
    return pd.concat(frames, ignore_index=True)


# --- learning -------------------------------------------------------------------------------------------------------------------


def say_overfit(cell: Records, model: str) -> str:
    """Whether a model learned a handful of images by heart, from the record of that run."""
    if not len(cell):
        return f"The run in which {model} should learn one batch by heart failed: the model is broken."
    record = cell.records[0]
    images = sum(record.facts["counts"])
    right = round(record.facts["train_accuracy"] * images)
    by_heart = f"{model} names {right} of its {images} training images rightly after {record.cost['images_seen']:,} images seen"
    verdict = "it can overfit one batch" if right == images else "it cannot overfit one batch, and nothing below is to be trusted"
    elsewhere = f"On validation, the same network has a balanced accuracy of {record.validation['balanced_accuracy']:.3f}"
    return f"{by_heart}: {verdict}. {elsewhere}."


def learned(plan: Plan, members: dict[str, Records]) -> pd.DataFrame:
    """One row a model, means over its runs at the end of training.

    Returns:
        Columns `model`, `loss` in nats, `training` (accuracy on the last batches), `validation` (balanced accuracy), `gap` between
        the two, and `settled`: images seen from which on validation stays within the study's margin of its last value.
    """
    rows = []
    for name, cell in members.items():
        curves = np.stack([record.arrays["curve"] for record in cell])
        seen, loss, training, validation = curves.mean(axis=0, dtype=np.float64).T
        away = np.flatnonzero(np.abs(validation - validation[-1]) > plan.study.margin)
        settled = int(seen[away[-1] + 1]) if len(away) else int(seen[0])
        rows.append((name, loss[-1], training[-1], validation[-1], training[-1] - validation[-1], settled))
    return pd.DataFrame(rows, columns=["model", "loss", "training", "validation", "gap", "settled"])


def say_learned(frame: pd.DataFrame) -> str:
    """Which model settles first and last, and which has the widest gap between training and validation."""
    first, last, widest = _extreme(frame, "settled", least=True), _extreme(frame, "settled"), _extreme(frame, "gap")
    gap = f"{100 * widest['gap']:+.1f}".replace("-", "−")
    if len(frame) == 1:
        return f"{first['model']} settles after {first['settled']:,} images; training − validation at the end: {gap} points."
    if first["settled"] == last["settled"]:
        speed = f"All settle at the same point, after {first['settled']:,} images"
    else:
        speed = f"{first['model']} settles first, after {first['settled']:,} images"
        speed += f", {last['model']} last, after {last['settled']:,}"
    return f"{speed}. Training − validation at the end is largest for {widest['model']}: {gap} points."


# --- right and wrong ------------------------------------------------------------------------------------------------------------


def confusion(cell: Records) -> Float[np.ndarray, "class class"]:
    """Test images by true (row) and predicted class (column), mean over the runs."""
    labels = cell.test_labels()
    total = np.zeros((len(cell.records[0].facts["counts"]),) * 2)
    for record in cell:
        np.add.at(total, (labels, record.arrays["test"].argmax(axis=1)), 1)
    return total / len(cell)


def per_class(plan: Plan, cell: Records) -> pd.DataFrame:
    """One row a class: recall with its 95 % interval, and the verdict on it against the mean recall of all other classes.

    The verdicts are declared together, one a class.

    Returns:
        Columns `class` (its name), `estimate`, `low`, `high`, `runs`, `images`, `verdict`.
    """
    labels, values, names = cell.test_labels(), cell.correct(), class_names(plan)
    every = np.arange(len(names))
    rows = []
    for number, name in enumerate(names):
        own, others = (_recall_weights(labels, members) for members in (every[[number]], np.delete(every, number)))
        interval = Effect(values, own, labels).interval(limits=(0.0, 1.0))
        apart = compare.judge(Effect(values, own - others, labels), margin=plan.study.margin, comparisons=len(names))
        rows.append((name, interval.estimate, interval.low, interval.high, interval.runs, interval.images, apart.verdict))
    return pd.DataFrame(rows, columns=["class", "estimate", "low", "high", "runs", "images", "verdict"])


def _recall_weights(labels: Int64[np.ndarray, " n"], members: Int64[np.ndarray, " _"]) -> Float[np.ndarray, " n"]:
    return metrics.linear_weights(labels, classes=int(labels.max()) + 1, score="balanced_accuracy", members=members)


def say_per_class(frame: pd.DataFrame) -> str:
    """The class of lowest recall, and what the verdict rule says of all classes."""
    worst = _extreme(frame, "estimate", least=True)
    interval = f"{worst['estimate']:.3f} [{worst['low']:.3f}, {worst['high']:.3f}]"
    counted = [f"{n} {verdict}" for verdict, n in frame["verdict"].value_counts(sort=False).items()]
    return (
        f"Class {worst['class']} has the lowest recall: {interval}, n = {worst['runs']} runs × {worst['images']} test images. "
        f"Of the {len(frame)} classes, each against the mean of all others: {', '.join(counted)}."
    )


def say_confusion(matrix: Float[np.ndarray, "class class"], classes: Sequence[str]) -> str:
    """The mistake that is made most often."""
    wrong = matrix * (1 - np.eye(len(matrix)))
    if not wrong.any():
        return "No test image is named wrongly in any run."
    true, said = divmod(int(wrong.argmax()), len(wrong))
    often, images = wrong[true, said], matrix[true].sum()
    return (
        f"The most frequent mistake is {classes[true]} named {classes[said]}: {often:.1f} of {images:.0f} test images a run, "
        f"{often / wrong.sum():.0%} of all mistakes."
    )


@dataclass(frozen=True)
class Errors:
    """The validation images, and what the runs of one cell say of them.

    Args:
        images, labels: all validation images and their true classes.
        predicted: the true class where every run is right; elsewhere the wrong class that the runs give most probability.
        probabilities: mean over the runs.
        misses: number of runs that name an image wrongly.
        runs: how many there are.
    """

    images: UInt8[np.ndarray, "n height width channel"]
    labels: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, " n"]
    probabilities: Float[np.ndarray, "n class"]
    misses: Int64[np.ndarray, " n"]
    runs: int


def errors(cell: Records) -> Errors:
    """What the runs of one cell get wrong on validation; each run's seeds leave the validation part as it is."""
    part = data.prepare(cell.records[0].spec).validation
    stored = [record.arrays["validation"] for record in cell]
    probabilities = np.mean([np.exp(metrics.normalize(logs)) for logs in stored], axis=0)
    misses = np.stack([logs.argmax(axis=1) != part.labels for logs in stored]).sum(axis=0, dtype=np.int64)
    rivals = probabilities.copy()
    rivals[np.arange(len(rivals)), part.labels] = -1.0
    predicted = np.where(misses > 0, rivals.argmax(axis=1), part.labels)
    return Errors(part.images, part.labels, predicted, probabilities, misses, len(cell))


def say_errors(found: Errors) -> str:
    """How many images are hard, and how many are hard for every run."""
    images, some, every = len(found.labels), int((found.misses > 0).sum()), int((found.misses == found.runs).sum())
    return f"Of {images} validation images, {some} are named wrongly in at least one of {found.runs} runs, {every} in every run."


# --- comparisons ----------------------------------------------------------------------------------------------------------------


def ablation(plan: Plan, records: Records, family: str) -> pd.DataFrame:
    """The family's deciding member with one part at a time taken away, against the whole: `compare.against` in accuracy.

    The width is set anew each time, so that all have about the same number of parameters. Cells whose runs all failed are left out.

    Returns:
        Columns as in `compare.against`, `model` being the sentence's subject, and `part` and `parameters`.
    """
    name = DECIDING[family]
    specs = [grids.model_spec(plan, name, **options) for options in ABLATIONS[name]]
    whole = records.of(grids.cell(plan, name))
    without = records.of(spec for options in ABLATIONS[name] for spec in grids.cell(plan, name, options=options))
    frame = compare.against(without, whole, margin=plan.study.margin, comparisons=len(specs), score=SCORE)
    parts = frame["model"].map({spec.label: _say_part(options) for spec, options in zip(specs, ABLATIONS[name], strict=True)})
    counts = frame["model"].map({spec.label: _size(plan, spec) for spec in specs})
    return frame.assign(model=f"{name} with " + parts, part=parts, parameters=counts)


def _say_part(options: dict[str, Any]) -> str:
    said = [f"{name}={value}" for name, value in options.items()]
    return ", ".join(PARTS.get(one, one) for one in said)


def say_parts(frame: pd.DataFrame, model: str) -> str:
    """The verdicts of `ablation` in one sentence: what a model with a part less is, against the whole."""
    said = [
        f"with {part} it {compare.VERBS[verdict]} the whole" for part, verdict in zip(frame["part"], frame["verdict"], strict=True)
    ]
    return f"The parts of {model}, in {SCORE}: {'; '.join(said)}."


def against_others(plan: Plan, records: Records, family: str) -> pd.DataFrame:
    """The deciding members of the other families against this family's: `compare.against` in accuracy."""
    others = [name for name in DECIDING.values() if name != DECIDING[family]]
    theirs = records.of(spec for name in others for spec in grids.cell(plan, name))
    ours = records.of(grids.cell(plan, DECIDING[family]))
    return compare.against(theirs, ours, margin=plan.study.margin, comparisons=len(others), score=SCORE)


def say_differences(frame: pd.DataFrame, baseline: str) -> list[str]:
    """One sentence a row of `compare.against`, its verb from the verdict."""
    return [_say_difference(row, baseline) for row in frame.to_dict("records")]


def _say_difference(row: dict, baseline: str) -> str:
    level = stats.corrected_level(row["comparisons"])
    interval = stats.Interval(row["difference"], row["low"], row["high"], level, row["runs"], row["images"])
    needed = f"; {row['needed']} would decide it" if row["needed"] else ""
    said = f"{compare.say_points(interval)}, {compare.say_n(interval)}"
    return f"{row['model']} {compare.VERBS[row['verdict']]} {baseline} in {SCORE}: {said}{needed}."


def say_level(cell: Records, model: str) -> str:
    """A model's accuracy with its interval."""
    interval = compare.level_of(cell, score=SCORE).interval(limits=(0.0, 1.0))
    return f"{model} has an {SCORE} of {compare.say_share(interval)}, {compare.say_n(interval)}."


def modern_finding(plan: Plan, records: Records, family: str) -> Finding:
    """The finding on the claim that the family's modern member is more accurate than its traditional one."""
    return next(finding for finding in claims.modern_is_more_accurate(plan, records) if finding.claim == CLAIMS[family])


def say_finding(finding: Finding) -> str:
    """Claim, verdict, what was measured, and what would decide it."""
    said = [f"{name}: {compare.say_points(j.interval)}" for name, j in finding.judged] or [finding.effect]
    needed = [compare.say_needed(j.needed) for _, j in finding.judged if finding.verdict == j.verdict == "undecided"]
    measured = f"{'; '.join(said)} ({compare.say_n(finding.judged[0][1].interval) if finding.judged else 'structure alone'})"
    enough = f"; {' and '.join(dict.fromkeys(needed))} would decide it" if any(needed) else ""
    return f"{finding.claim}, “{finding.says}”, is {finding.verdict}. {measured}{enough}."


def by_distance(plan: Plan, records: Records) -> pd.DataFrame:
    """`compare.summarize` of the long-range probe in accuracy, with a column `distance`; empty if the study has no probe."""
    if plan.study.probe is None:
        return pd.DataFrame()
    runs = [(d, records.of(grids.probe_cell(plan, name, d))) for d in plan.effort.distances for name in DECIDING.values()]
    frames = [compare.summarize(cell, score=SCORE).assign(distance=d) for d, cell in runs if len(cell)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def bullets(sentences: Sequence[str]) -> str:
    """Sentences as a Markdown list; empty ones are left out."""
    return "\n".join(f"* {sentence}" for sentence in sentences if sentence)

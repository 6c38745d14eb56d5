"""Compare the time and memory of the twins, as ratios Keras / PyTorch of measurements taken in alternation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from imagestudy import figures
from imagestudy.core import text
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records
from imagestudy.figures import Picture

MORE, LESS = "higher is better", "lower is better"
EITHER = "the framework"
"""The entry in the column `model` for the import of a framework, which belongs to no model."""
TRAINING, PREDICTION, LATENCY = "training, images per second", "prediction, images per second", "one image, ms"
FIRST_STEP, IMPORT = "build and first step, s", "import, s"
IMPORT_MEMORY, MEMORY = "import, MiB", "training, MiB above the start"
HOW_MEASURED = (
    "PyTorch and Keras: medians over the rounds. Keras / PyTorch: median, lowest and highest ratio over the rounds. In each round, "
    "the two versions of a network were measured one right after the other, each in a fresh process. Their order alternated from "
    "round to round."
)


@dataclass(frozen=True)
class Measurement:
    """The measurements of one model in one round: a whole training, and a training that ends after its first step."""

    whole: Record
    start: Record


def _rate(one: Measurement) -> float:
    """Return the training speed after the first step, in images per second. The first step compiles, so it is left out.

    The speed is NaN if the training that ends after its first step took longer than the whole training.
    """
    seen = one.whole.spec.training.images_seen - one.start.spec.training.images_seen
    seconds = one.whole.cost["seconds"] - one.start.cost["seconds"]
    return seen / seconds if seconds > 0 else float("nan")


QUANTITIES: dict[str, tuple[str, Callable[[Measurement], float]]] = {
    TRAINING: (MORE, _rate),
    PREDICTION: (MORE, lambda one: one.whole.cost["images_per_second"]),
    LATENCY: (LESS, lambda one: one.whole.cost["latency_ms"]),
    FIRST_STEP: (LESS, lambda one: one.start.cost["seconds"]),
    IMPORT: (LESS, lambda one: one.start.cost["import_seconds"]),
    IMPORT_MEMORY: (LESS, lambda one: one.start.cost["import_mb"]),
    MEMORY: (LESS, lambda one: one.whole.cost["memory_mb"]),
}
"""Compared quantity → whether higher or lower is better, and the function that computes it for one round."""


def measured(plan: Plan, records: Records) -> pd.DataFrame:
    """Tabulate one row per quantity, model and round. Rounds in which only one twin was measured are left out.

    Returns:
        The columns `what` (the quantity), `group` (whether higher or lower is better), `model` (the name in PyTorch), `round`,
        `torch`, `keras` and `ratio` (Keras / PyTorch).
    """
    rows = [
        {"what": what, "group": way, "model": EITHER if what in (IMPORT, IMPORT_MEMORY) else name, "round": number}
        | {"torch": number_of(torch), "keras": number_of(keras)}
        for name, number, torch, keras in _rounds(plan, records)
        for what, (way, number_of) in QUANTITIES.items()
    ]
    frame = pd.DataFrame(rows, columns=["what", "group", "model", "round", "torch", "keras"])
    frame = frame.assign(ratio=frame["keras"].astype(float) / frame["torch"].astype(float)).dropna(subset="ratio")
    order = {what: place for place, what in enumerate(QUANTITIES)}
    return frame.sort_values("what", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _rounds(plan: Plan, records: Records) -> Iterator[tuple[str, int, Measurement, Measurement]]:
    """Yield the name in PyTorch, the number of the round, and the measurements in PyTorch and Keras, for each complete round."""
    found = {f"{r.spec.model.name} {r.spec.kind} {r.spec.seed}": r for r in records.of(grids.twin_costs(plan))}
    for number in sorted({record.spec.seed for record in found.values()}):
        for name, twin in grids.TWINS.items():
            keys = [f"{one} {kind} {number}" for one in (name, twin) for kind in ("cost", "start")]
            if all(key in found for key in keys):
                whole, start, their_whole, their_start = (found[key] for key in keys)
                yield name, number, Measurement(whole, start), Measurement(their_whole, their_start)


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Tabulate one row per quantity and model: the medians, the median, lowest and highest ratio, and the number of rounds."""
    rows = []
    for (what, model), part in frame.groupby(["what", "model"], sort=False):
        middle, low, high = part["ratio"].median(), part["ratio"].min(), part["ratio"].max()
        medians = {"torch": text.about(part["torch"].median()), "keras": text.about(part["keras"].median())}
        said = {"times": f"{_times(middle)} [{_times(low)}, {_times(high)}]", "rounds": len(part)}
        rows.append({"what": what, "model": model} | medians | {"ratio": middle, "low": low, "high": high} | said)
    return pd.DataFrame(rows, columns=["what", "model", "torch", "keras", "ratio", "low", "high", "times", "rounds"])


def _times(ratio: float) -> str:
    """Format a ratio with two significant digits, as `0.87`, `1.2` or `34`."""
    return f"{float(f'{ratio:.2g}'):,.10g}"


def draw_ratios(frame: pd.DataFrame) -> Picture:
    """Draw the ratios of all rounds, one line per quantity."""
    return figures.draw_ratios(frame, axis="Keras / PyTorch (log scale)\nsmall markers: rounds, large markers: medians")


def say_ratios(plan: Plan, records: Records) -> str:
    """Describe how the numbers in the table of `ratios` were measured."""
    return f"{HOW_MEASURED} {_say_memory(plan, records)}"


def say_speed(frame: pd.DataFrame) -> list[str]:
    """Describe the speed of training and prediction of each model, and the start, in one sentence each."""
    if frame.empty:
        return ["Time and memory of the two frameworks were not measured at this effort."]
    rows = {(row["what"], row["model"]): row for row in frame.to_dict("records")}
    said = [
        f"{'In training' if what == TRAINING else 'In prediction'}, Keras processes {row['times']} times as many images per "
        f"second as PyTorch on {model}: it is {_consistently(row)}."
        for (what, model), row in rows.items()
        if what in (TRAINING, PREDICTION)
    ]
    first = [f"{row['times']} times as long on {model}" for (what, model), row in rows.items() if what == FIRST_STEP]
    imported = [row["times"] for (what, _), row in rows.items() if what == IMPORT]
    started = f"At the start, importing Keras takes {imported[0]} times as long as importing PyTorch."
    built = f"Building the model and the first step take {' and '.join(first)}."
    return [*said, f"{started} {built}"]


def _consistently(row: dict) -> str:
    if row["low"] > 1:
        return "faster in every round"
    return "slower in every round" if row["high"] < 1 else "faster in some rounds and slower in others"


def _say_memory(plan: Plan, records: Records) -> str:
    """Say which share of the memory of training the first step already takes, in both frameworks."""
    found = list(_rounds(plan, records))
    if not found:
        return ""
    sides = {"PyTorch": [torch for _, _, torch, _ in found], "Keras": [keras for _, _, _, keras in found]}
    said = [
        f"{100 * np.median([one.start.cost['memory_mb'] / one.whole.cost['memory_mb'] for one in taken]):.0f} % in {side}"
        for side, taken in sides.items()
    ]
    return f"Of the memory above the start, the first step already takes {' and '.join(said)}."

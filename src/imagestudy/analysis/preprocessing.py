"""Preprocessing: what its steps show on training images, and what they were worth in the recorded runs.

Pictures and pixel errors come from the training pool alone; scores come from records.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int64, UInt8

from imagestudy import data
from imagestudy.analysis import comparisons
from imagestudy.core.errors import InputError
from imagestudy.core.registry import Registry
from imagestudy.core.seeding import generator
from imagestudy.core.specs import Choice, PreprocessingSpec
from imagestudy.data import augmentation, datasets, preprocessing, splits
from imagestudy.experiments import grids
from imagestudy.experiments.grids import DECIDING, NOISE, STEPS, Plan
from imagestudy.experiments.records import Records

Images = UInt8[np.ndarray, "n height width channel"]

KINDS = ("filter", "denoise", "augment")
STATES: dict[str, Choice | None] = {"clean": None, "noisy": NOISE}
EXAMPLES = range(2, 11)
MOST_MEASURED = 500
PHOTONS, REPLACED = 10.0, 0.1
GREY_VALUES = 255

SAID = {
    "supported": "paid",
    "contradicted": "did harm",
    "equivalent": "made no difference beyond the margin",
    "undecided": "stayed undecided",
}


def describe_parts(plan: Plan) -> pd.DataFrame:
    """One row a part of the dataset: what it is for, its images, and those of its smallest and largest class."""
    dataset = datasets.load(plan.study.dataset)
    parts = splits.split(dataset)
    purposes = {
        "training pool": (parts.train, "runs draw their training images from it"),
        "validation": (parts.validation, "whatever is chosen, is chosen here"),
        "test": (parts.test, "each run is scored on it once"),
    }
    rows = []
    for part, (indices, purpose) in purposes.items():
        counts = splits.count(dataset.labels[indices], len(dataset.classes))
        row = {"part": part, "images": len(indices), "smallest class": int(counts.min()), "largest class": int(counts.max())}
        rows.append(row | {"what for": purpose})
    return pd.DataFrame(rows)


def pool(plan: Plan) -> data.Part:
    """All images that a run may be trained on."""
    dataset = datasets.load(plan.study.dataset)
    indices = splits.split(dataset).train
    return data.Part(dataset.images[indices], dataset.labels[indices])


def count_pool(plan: Plan) -> Int64[np.ndarray, " class"]:
    """Images of each class in the training pool."""
    return splits.count(pool(plan).labels, data.class_count(plan.study.dataset))


def class_names(plan: Plan) -> tuple[str, ...]:
    """Names of the classes, in label order."""
    return datasets.load(plan.study.dataset).classes


def pick(plan: Plan, number: int) -> data.Part:
    """So many images of the training pool: the first of every class, then the second of every class, and so on.

    Raises:
        InputError: there are not so many.
    """
    images = pool(plan)
    if not 1 <= number <= len(images.labels):
        raise InputError(f"{number} images are wanted of the training pool; allowed: 1 to {len(images.labels)}")
    rank = np.empty(len(images.labels), dtype=np.int64)
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        rank[members] = np.arange(len(members))
    chosen = np.lexsort((images.labels, rank))[:number]
    return data.Part(images.images[chosen], images.labels[chosen])


def check_examples(examples: int, *, seed: int) -> None:
    """Raise `InputError` unless so many pictures fit side by side and the seed can be one."""
    if examples not in EXAMPLES:
        raise InputError(
            f"{examples} was given in parameter 'examples'; allowed: {EXAMPLES.start} to {EXAMPLES.stop - 1} pictures in a row"
        )
    if seed < 0:
        raise InputError(f"{seed} was given in parameter 'seed'; allowed: 0 and above")


def noises(sigma: float) -> dict[str, Choice]:
    """Title → noise: Gaussian noise of this sigma, and two of other kinds beside it.

    Raises:
        InputError: sigma is not allowed.
    """
    chosen = [
        Choice(name="gaussian", options={"sigma": sigma}),
        Choice(name="shot", options={"photons": PHOTONS}),
        Choice(name="impulse", options={"amount": REPLACED}),
    ]
    for choice in chosen:
        preprocessing.noises.check(choice, where="parameter 'noise_sigma'")
    return {_title(preprocessing.noises, choice): choice for choice in chosen}


def _title(registry: Registry, choice: Choice) -> str:
    return registry.entry(choice.name).facts["title"]


def with_noises(images: Images, chosen: dict[str, Choice], *, seed: int) -> dict[str, Images]:
    """Title of the noise → the images with it."""
    return {title: preprocessing.add_noise(images, noise, generator(seed, "noise")) for title, noise in chosen.items()}


def with_steps(images: Images, kind: str) -> dict[str, Images]:
    """Title of a step → the images after it alone; kind is filter, denoise or contrast."""
    chosen = STEPS.get(kind) or tuple(Choice(name=name) for name in preprocessing.steps.names(kind=kind))
    return {_title(preprocessing.steps, step): preprocessing.apply(images, (step,)) for step in chosen}


def halves(clean: Images, noisy: Images) -> UInt8[np.ndarray, "both height width channel"]:
    """Clean images, a white one as a gap, and noisy ones, to be shown in one row."""
    return np.concatenate([clean, np.full_like(clean[:1], GREY_VALUES), noisy])


def steps_on_halves(clean: Images, noisy: Images, kind: str) -> dict[str, UInt8[np.ndarray, "both height width channel"]]:
    """`with_steps` of clean and of noisy images, side by side."""
    on_noisy = with_steps(noisy, kind)
    return {title: halves(processed, on_noisy[title]) for title, processed in with_steps(clean, kind).items()}


def with_augmentations(plan: Plan, images: Images, *, seed: int) -> dict[str, Images]:
    """Title of an augmentation → the images after one draw of it: those under trial, all of them at once, then others."""
    flips = datasets.load(plan.study.dataset).flips
    tried = STEPS["augment"]
    shown = {_title(augmentation.augmentations, step): (step,) for step in tried} | {"all at once": tried}
    shown["erasing"] = (Choice(name="erase"),)
    shown |= {f"{direction} flip": (Choice(name="flip", options={"direction": direction}),) for direction in flips}
    return {title: augmentation.preview(images, steps, seed=seed, flips=flips) for title, steps in shown.items()}


def measure_normalisation(plan: Plan) -> pd.DataFrame:
    """Mean and standard deviation of grey values, as shares of the range, before and after normalisation.

    Both are measured on run 0's training part. The validation part stands beside it to show that what was measured elsewhere fits
    it nearly, and not exactly.
    """
    prepared = data.prepare(grids.cell(plan, DECIDING["cnn"])[0])
    train = prepared.train.images / GREY_VALUES
    mean, deviation = train.mean(axis=(0, 1, 2)), train.std(axis=(0, 1, 2))
    rows = []
    for part, images in (("training part of run 0", prepared.train.images), ("validation part", prepared.validation.images)):
        values = images / GREY_VALUES
        after = (values - mean) / deviation
        for channel in range(len(mean)):
            name = part if len(mean) == 1 else f"{part}, channel {channel}"
            row = {"images": name, "mean": values[..., channel].mean(), "deviation": values[..., channel].std()}
            made = {"mean after": after[..., channel].mean(), "deviation after": after[..., channel].std()}
            rows.append(row | {name: round(value, 6) + 0.0 for name, value in made.items()})
    return pd.DataFrame(rows)


def measure_errors(plan: Plan, chosen: dict[str, Choice], *, seed: int) -> pd.DataFrame:
    """Root mean squared error against the clean image, a share of the grey range, after each filter and denoiser.

    Args:
        plan: whose training pool is measured, up to `MOST_MEASURED` images.
        chosen: title → noise.
        seed: of the noise.

    Returns:
        One row a step, the first without any; one column without noise and one for each noise.
    """
    clean = pick(plan, min(MOST_MEASURED, len(pool(plan).labels))).images
    given = {"no noise": clean} | with_noises(clean, chosen, seed=seed)
    rows: dict[str, dict[str, object]] = {"none": {"kind": "", "step": "none"}}
    for noise, images in given.items():
        rows["none"][noise] = _error(images, clean)
        for kind in ("filter", "denoise"):
            for step, processed in with_steps(images, kind).items():
                rows.setdefault(step, {"kind": kind, "step": step})[noise] = _error(processed, clean)
    return pd.DataFrame(list(rows.values()))


def _error(images: Images, clean: Images) -> float:
    return float(np.sqrt(np.mean((images / GREY_VALUES - clean / GREY_VALUES) ** 2)))


def say_errors(errors: pd.DataFrame) -> str:
    """For each noise, the step that leaves the smallest error; and what the steps do where there is no noise."""
    untreated, *steps = errors.to_dict("records")
    lines = []
    for noise in errors.columns[3:]:
        before, best = untreated[noise], min(steps, key=lambda step: step[noise])
        worse = [step["step"] for step in steps if step[noise] >= before]
        none_better = f"no step helps; {best['step']} does least harm, {best[noise]:.3f} against {before:.3f} without"
        better = f"best is {best['step']}, which leaves {best[noise]:.3f} of {before:.3f}"
        harm = f"; no gain from: {', '.join(worse)}" if worse and best[noise] < before else ""
        lines.append(f"- *{noise}*: {better if best[noise] < before else none_better}{harm}.")
    gentle, rough = (extreme(steps, key=lambda step: step["no noise"]) for extreme in (min, max))
    lines.append(
        f"- *no noise*: there is nothing to remove, and every step only takes away, from {gentle['no noise']:.3f} "
        f"({gentle['step']}) to {rough['no noise']:.3f} ({rough['step']})."
    )
    return "\n".join(lines)


def summarize(records: Records) -> pd.DataFrame:
    """`compare.summarize` in accuracy, with the kind of step: one row a setting, clean images first."""
    kinds = {step.label: kind for kind, steps in STEPS.items() for step in steps}
    frame = comparisons.summarize(records, score="accuracy")
    frame.insert(0, "kind", [kinds.get(label, "none") for label in frame["preprocessing"]])
    return frame.replace({"preprocessing": {"off": "no step"}})


def set_side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting: accuracy with its interval on clean and on noisy images, of `summarize`."""
    rows: dict[str, dict[str, str]] = {}
    for cell in frame.to_dict("records"):
        row = rows.setdefault(cell["preprocessing"], {"kind": cell["kind"], "setting": cell["preprocessing"]})
        row[f"{cell['noise']} images"] = f"{cell['estimate']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
    return pd.DataFrame(list(rows.values())).fillna("–")


def say_intervals(frame: pd.DataFrame) -> str:
    """What the intervals of `set_side_by_side` are, for the line under the table."""
    runs, images = int(frame["runs"].max()), int(frame["images"].max())
    return f"Accuracy with its 95 % interval, n = {runs} {'run' if runs == 1 else 'runs'} × {images} test images."


def _cells(plan: Plan, records: Records, kind: str, noise: Choice | None) -> list[tuple[PreprocessingSpec, Records]]:
    settings = [s.model_copy(update={"noise": noise}) for s in grids.preprocessing_settings(plan)[kind]]
    return [(s, records.of(grids.cell(plan, DECIDING["cnn"], preprocessing=s))) for s in settings]


def count_choices(plan: Plan, records: Records) -> pd.DataFrame:
    """Which setting validation chose, in how many of the runs: one row a kind of step."""
    rows = []
    for kind in KINDS:
        row = {"kind": kind}
        for state, noise in STATES.items():
            cells = [cell for _, cell in _cells(plan, records, kind, noise)]
            row[f"{state} images"] = _say_chosen(comparisons.choose_by_validation(cells, score="accuracy"))
        rows.append(row)
    return pd.DataFrame(rows)


def _say_chosen(records: Records) -> str:
    labels = [step.label for r in records for step in (*r.spec.preprocessing.steps, *r.spec.preprocessing.augment)]
    return ", ".join(
        f"{label} {labels.count(label)}×" for label in sorted(set(labels), key=lambda name: (-labels.count(name), name))
    )


def say_noise(plan: Plan, records: Records) -> str:
    """What the noise alone costs: no step at all, noisy images against clean ones."""
    (_, clean), (_, noisy) = (_cells(plan, records, "off", noise)[0] for noise in STATES.values())
    judged = comparisons.judge(comparisons.difference(noisy, clean, score="accuracy"), margin=plan.study.margin, comparisons=1)
    name = DECIDING["cnn"]
    return comparisons.say(judged, f"{name} trained and tested on noisy images", f"{name} on clean images", of="accuracy")


def conclude(findings: pd.DataFrame) -> str:
    """What is worth doing before training, from the verdicts on A11 (`claims.table`)."""
    rows = [row | {"what": f"{row['claim'].removeprefix('A11 ')} images"} for row in findings.to_dict("records")]
    named = {verdict: [row["what"] for row in rows if row["verdict"] == verdict] for verdict in SAID}
    told = "; ".join(f"{_join(what, all_=len(what) == len(rows))} {SAID[verdict]}" for verdict, what in named.items() if what)
    lines = [f"- *{row['what']}*: **{row['verdict']}**, {row['points']}{_say_needed(row)}." for row in rows]
    return "\n".join([f"Was it worth doing before training (A11)? Of {len(rows)} comparisons: {told}.", "", *lines])


def _say_needed(row: dict) -> str:
    return f"; {row['would decide it']} would decide it" if row["would decide it"] else ""


def _join(names: Sequence[str], *, all_: bool) -> str:
    quoted = ["all"] if all_ else [f"*{name}*" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"

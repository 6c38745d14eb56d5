"""The effect of preprocessing steps on training images, and on accuracy in the recorded runs.

Pictures and pixel errors use only images of the training pool. Scores come from the recorded runs.
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
from imagestudy.core.specs import Choice, PreprocessingSpec, RunSpec
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
GRAY_VALUES = 255

SAID = {
    "supported": "helped",
    "contradicted": "hurt",
    "equivalent": "made no difference beyond the margin",
    "undecided": "stayed undecided",
}


def needs(plan: Plan) -> list[RunSpec]:
    """List the runs of the deciding CNN with every setting of every step, on clean and on noisy images."""
    return grids.preprocessing(plan)


def describe_parts(plan: Plan) -> pd.DataFrame:
    """Tabulate the parts of the dataset: number of images, size of the smallest and of the largest class, and purpose."""
    dataset = datasets.load(plan.study.dataset)
    parts = splits.split(dataset)
    purposes = {
        "training pool": (parts.train, "source of the training images of every run"),
        "validation": (parts.validation, "used for every choice, such as the setting of a step"),
        "test": (parts.test, "each run is scored on it once"),
    }
    rows = []
    for part, (indices, purpose) in purposes.items():
        counts = splits.count(dataset.labels[indices], len(dataset.classes))
        row = {"part": part, "images": len(indices), "smallest class": int(counts.min()), "largest class": int(counts.max())}
        rows.append(row | {"purpose": purpose})
    return pd.DataFrame(rows)


def pool(plan: Plan) -> data.Part:
    """Return all images of the training pool, from which runs draw their training images."""
    dataset = datasets.load(plan.study.dataset)
    indices = splits.split(dataset).train
    return data.Part(dataset.images[indices], dataset.labels[indices])


def count_pool(plan: Plan) -> Int64[np.ndarray, " class"]:
    """Count the images of each class in the training pool."""
    return splits.count(pool(plan).labels, data.class_count(plan.study.dataset))


def class_names(plan: Plan) -> tuple[str, ...]:
    """Return the names of the classes, in label order."""
    return datasets.load(plan.study.dataset).classes


def pick(plan: Plan, number: int) -> data.Part:
    """Return `number` images of the training pool: the first one of every class, then the second one of every class, and so on.

    Raises:
        InputError: if the training pool has fewer images.
    """
    images = pool(plan)
    if not 1 <= number <= len(images.labels):
        raise InputError(f"{number} images were requested from the training pool; allowed: 1 to {len(images.labels)}")
    rank = np.empty(len(images.labels), dtype=np.int64)
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        rank[members] = np.arange(len(members))
    chosen = np.lexsort((images.labels, rank))[:number]
    return data.Part(images.images[chosen], images.labels[chosen])


def check_examples(examples: int, *, seed: int) -> None:
    """Check the number of images in a row and the seed.

    Raises:
        InputError: if one of them is not allowed.
    """
    if examples not in EXAMPLES:
        raise InputError(
            f"{examples} was given in parameter 'examples'; allowed: {EXAMPLES.start} to {EXAMPLES.stop - 1} images in a row"
        )
    if seed < 0:
        raise InputError(f"{seed} was given in parameter 'seed'; allowed: 0 or more")


def noises(sigma: float) -> dict[str, Choice]:
    """Return three kinds of noise by title: Gaussian noise with the given sigma, shot noise and impulse noise.

    Raises:
        InputError: if sigma is not allowed.
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
    """Add each kind of noise to the images. The keys are the titles of the noises."""
    return {title: preprocessing.add_noise(images, noise, generator(seed, "noise")) for title, noise in chosen.items()}


def with_steps(images: Images, kind: str) -> dict[str, Images]:
    """Apply each step of a kind (filter, denoise or contrast) on its own. The keys are the titles of the steps."""
    chosen = STEPS.get(kind) or tuple(Choice(name=name) for name in preprocessing.steps.names(kind=kind))
    return {_title(preprocessing.steps, step): preprocessing.apply(images, (step,)) for step in chosen}


def halves(clean: Images, noisy: Images) -> UInt8[np.ndarray, "both height width channel"]:
    """Concatenate clean images, a white image as a gap, and noisy images, to be shown in one row."""
    return np.concatenate([clean, np.full_like(clean[:1], GRAY_VALUES), noisy])


def steps_on_halves(clean: Images, noisy: Images, kind: str) -> dict[str, UInt8[np.ndarray, "both height width channel"]]:
    """Apply `with_steps` to clean and to noisy images, and put the results side by side."""
    on_noisy = with_steps(noisy, kind)
    return {title: halves(processed, on_noisy[title]) for title, processed in with_steps(clean, kind).items()}


def with_augmentations(plan: Plan, images: Images, *, seed: int) -> dict[str, Images]:
    """Apply one random draw of each augmentation. The keys are the titles of the augmentations.

    The compared augmentations come first, then all of them at once, then augmentations that no run uses.
    """
    flips = datasets.load(plan.study.dataset).flips
    tried = STEPS["augment"]
    shown = {_title(augmentation.augmentations, step): (step,) for step in tried} | {"all at once": tried}
    shown["erasing"] = (Choice(name="erase"),)
    shown |= {f"{direction} flip": (Choice(name="flip", options={"direction": direction}),) for direction in flips}
    return {title: augmentation.preview(images, steps, seed=seed, flips=flips) for title, steps in shown.items()}


def measure_normalization(plan: Plan) -> pd.DataFrame:
    """Tabulate the mean and standard deviation of the gray values before and after normalization, as shares of the gray range.

    Both are measured on the training images of run 0. The validation images are normalized with the same numbers, so their mean
    and standard deviation are only nearly 0 and 1.
    """
    prepared = data.prepare(grids.cell(plan, DECIDING["cnn"])[0])
    train = prepared.train.images / GRAY_VALUES
    mean, deviation = train.mean(axis=(0, 1, 2)), train.std(axis=(0, 1, 2))
    rows = []
    for part, images in (("training images of run 0", prepared.train.images), ("validation images", prepared.validation.images)):
        values = images / GRAY_VALUES
        after = (values - mean) / deviation
        for channel in range(len(mean)):
            name = part if len(mean) == 1 else f"{part}, channel {channel}"
            row = {"images": name, "mean": values[..., channel].mean(), "standard deviation": values[..., channel].std()}
            made = {"mean after": after[..., channel].mean(), "standard deviation after": after[..., channel].std()}
            rows.append(row | {name: round(value, 6) + 0.0 for name, value in made.items()})
    return pd.DataFrame(rows)


def measure_errors(plan: Plan, chosen: dict[str, Choice], *, seed: int) -> pd.DataFrame:
    """Measure the root mean squared error against the clean image after each filter and denoiser, as a share of the gray range.

    Args:
        plan: the study at its effort. At most `MOST_MEASURED` images of its training pool are measured.
        chosen: kinds of noise, by title.
        seed: the seed of the noise.

    Returns:
        One row per step. The first row is without any step. One column is without noise, and one column follows per kind of noise.
    """
    clean = pick(plan, min(MOST_MEASURED, len(pool(plan).labels))).images
    given = {"no noise": clean} | with_noises(clean, chosen, seed=seed)
    rows: dict[str, dict[str, object]] = {"none": {"kind": "", "step": "no step"}}
    for noise, images in given.items():
        rows["none"][noise] = _error(images, clean)
        for kind in ("filter", "denoise"):
            for step, processed in with_steps(images, kind).items():
                rows.setdefault(step, {"kind": kind, "step": step})[noise] = _error(processed, clean)
    return pd.DataFrame(list(rows.values()))


def _error(images: Images, clean: Images) -> float:
    return float(np.sqrt(np.mean((images / GRAY_VALUES - clean / GRAY_VALUES) ** 2)))


def say_errors(errors: pd.DataFrame) -> str:
    """Name the step with the smallest error for each kind of noise, and describe the errors of the steps without noise."""
    untreated, *steps = errors.to_dict("records")
    lines = []
    for noise in errors.columns[3:]:
        before, best = untreated[noise], min(steps, key=lambda step: step[noise])
        worse = [step["step"] for step in steps if step[noise] >= before]
        none_better = (
            f"no step helps; {best['step']} does the least harm, with an error of {best[noise]:.3f} instead of {before:.3f}"
        )
        better = f"{best['step']} is best, with an error of {best[noise]:.3f} instead of {before:.3f}"
        harm = f"; no gain from: {', '.join(worse)}" if worse and best[noise] < before else ""
        lines.append(f"- *{noise}*: {better if best[noise] < before else none_better}{harm}.")
    gentle, rough = (extreme(steps, key=lambda step: step["no noise"]) for extreme in (min, max))
    lines.append(
        f"- *no noise*: there is nothing to remove. The steps only add an error, from {gentle['no noise']:.3f} "
        f"({gentle['step']}) to {rough['no noise']:.3f} ({rough['step']})."
    )
    return "\n".join(lines)


def summarize(records: Records) -> pd.DataFrame:
    """Summarize the accuracy of each setting (see `comparisons.summarize`), with the kind of step. Clean images come first."""
    kinds = {step.label: kind for kind, steps in STEPS.items() for step in steps}
    frame = comparisons.summarize(records, score="accuracy")
    frame.insert(0, "kind", [kinds.get(label, "no step") for label in frame["preprocessing"]])
    return frame.replace({"preprocessing": {"off": "no step"}})


def set_side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    """Arrange the table of `summarize` as one row per setting, with the accuracy on clean and on noisy images as text."""
    rows: dict[str, dict[str, str]] = {}
    for cell in frame.to_dict("records"):
        row = rows.setdefault(cell["preprocessing"], {"kind": cell["kind"], "setting": cell["preprocessing"]})
        row[f"{cell['noise']} images"] = f"{cell['estimate']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
    return pd.DataFrame(list(rows.values())).fillna("–")


def say_intervals(frame: pd.DataFrame) -> str:
    """Return the caption of the table of `set_side_by_side`, which describes its intervals."""
    runs, images = int(frame["runs"].max()), int(frame["images"].max())
    return (
        f"Accuracy with 95 % confidence intervals, n = {runs} {'run' if runs == 1 else 'runs'} × "
        f"{images} test {'image' if images == 1 else 'images'}."
    )


def _cells(plan: Plan, records: Records, kind: str, noise: Choice | None) -> list[tuple[PreprocessingSpec, Records]]:
    settings = [s.model_copy(update={"noise": noise}) for s in grids.preprocessing_settings(plan)[kind]]
    return [(s, records.of(grids.cell(plan, DECIDING["cnn"], preprocessing=s))) for s in settings]


def count_choices(plan: Plan, records: Records) -> pd.DataFrame:
    """Count how often validation chose each setting over the runs. One row per kind of step."""
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
    """Compare the accuracy on noisy images with that on clean images, without any step, in one sentence."""
    (_, clean), (_, noisy) = (_cells(plan, records, "off", noise)[0] for noise in STATES.values())
    judged = comparisons.judge(comparisons.difference(noisy, clean, score="accuracy"), margin=plan.study.margin, comparisons=1)
    name = DECIDING["cnn"]
    return comparisons.say(judged, f"{name} trained and tested on noisy images", f"{name} on clean images", of="accuracy")


def conclude(findings: pd.DataFrame) -> str:
    """Summarize which steps are worth doing before training, from the findings on A11 in the table of `claims.table`."""
    rows = [row | {"what": f"{row['claim'].removeprefix('A11 ')} images"} for row in findings.to_dict("records")]
    named = {verdict: [row["what"] for row in rows if row["verdict"] == verdict] for verdict in SAID}
    told = "; ".join(f"{_join(what, all_=len(what) == len(rows))} {SAID[verdict]}" for verdict, what in named.items() if what)
    noun = "comparison" if len(rows) == 1 else "comparisons"
    lines = [f"- *{row['what']}*: **{row['verdict']}**, {row['points']}{_say_needed(row)}." for row in rows]
    return "\n".join([f"Are these steps worth doing before training (A11)? Of {len(rows)} {noun}: {told}.", "", *lines])


def _say_needed(row: dict) -> str:
    return f"; {row['would decide it']} would decide it" if row["would decide it"] else ""


def _join(names: Sequence[str], *, all_: bool) -> str:
    quoted = ["all"] if all_ else [f"*{name}*" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"

"""A study of somebody's own images, planned to fit a budget of time: how fast each model trains here, and what can be had for it.

The plan is a study file like any other, in the study's results: it can be read, changed, and run again.
"""

import math
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from imagestudy import halving, paths
from imagestudy.data import sources, splits
from imagestudy.data.download import NotFetchedError
from imagestudy.data.sources import Dataset
from imagestudy.data.weights import fetch_weights
from imagestudy.errors import InputError
from imagestudy.executors import available_cores
from imagestudy.learners import make_learner
from imagestudy.models import at_budget, check_size
from imagestudy.models.pretrained import WEIGHTS
from imagestudy.specs import Choice, RunSpec, TrainingSpec

NETWORKS = ("mlp", "resnet", "bilstm", "vit")
PRETRAINED = "resnet18"
LEAST_PRETRAINED = 10_000
"""Images seen by a training, below which the pretrained network is left out: it is slow, and all networks see as many images; what
it takes of a small budget is lost to those that start from nothing, and they would be compared before they have learned."""
CLASSICAL = "svm"
MOST_FOR_CLASSICAL = 5_000
"""Training images up to which the kernel method takes part: its time grows with the square of their number."""
REMEDIES = ("none", "balanced_sampler", "class_weights", "balanced_softmax", "mixup_drw", "logit_adjustment")
DERIVED = ("logit_adjustment",)
PARAMS = (40_000, 60_000, 100_000, 200_000, 400_000)
"""Parameter budgets, of which the smallest that all networks can meet is taken: on large colour images a narrow ANN is large."""
RATE, RUNGS, FINALISTS = 0.003, 2, 4
LADDER = (5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
"""Images seen by one training: the whole budgets that a plan may have."""
RUNS = (5, 10)
PROBED_IMAGES = 1_280
PROBED_PRETRAINED = 256
RESERVE = 0.8
"""The share of a budget that is planned: the rest is for scores, notebooks and the report."""
UNITS = {"s": 1, "m": 60, "h": 3_600}


@dataclass(frozen=True)
class Offer:
    """What a budget buys.

    Args:
        runs: redrawn splits or paired runs.
        images_seen: by a training with the whole budget.
        seconds: that it takes on all cores, about.
        networks: that take part.
    """

    runs: int
    images_seen: int
    seconds: float
    networks: tuple[str, ...]


def seconds_of(budget: str) -> float:
    """`90s`, `30m`, `2h` in seconds.

    Raises:
        InputError: it is no such text, or nothing.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", budget.strip())
    if not found or float(found[1]) <= 0:
        raise InputError(f"budget {budget!r} was given; allowed: a number with s, m or h, such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def name_of(path: Path) -> str:
    """A study's name from that of a folder or archive: letters, digits, `_` and `-`."""
    stem = path.resolve().name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-") or "images"


def plan_study(path: Path, *, name: str | None, budget: str) -> Path:
    """Scan the images, measure how fast the models train on them, and write the study file that fits the budget.

    A file that was planned before for the same images and budget is kept as it is.

    Raises:
        InputError: as `folders.scan`; a name or budget that is not allowed; a plan of that name for other images or another budget.
    """
    allowed_s, name = seconds_of(budget), name or name_of(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"name {name!r} was given; allowed: letters, digits, _ and -, the first a letter or digit")
    settled = sources.settle(Choice(name="folder", options={"path": str(path)}))
    file = paths.study_results(name) / "study.yaml"
    head = f"# Planned for {settled.options['content']} in {budget}."
    if file.is_file():
        _require_same(file, head)
        return file
    dataset = sources.load(settled)
    params = fitting_params(dataset)
    own = {model: measure(model, dataset, params=params) for model in NETWORKS}
    speeds, left_out = invite_pretrained(own, dataset, allowed_s=allowed_s, cores=available_cores())
    offer = fit(speeds, allowed_s=allowed_s, cores=available_cores())
    text = write_study(path, name=name, head=head, offer=offer, dataset=dataset, params=params, left_out=left_out)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
    return file


def _require_same(file: Path, head: str) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    if first != head:
        raise InputError(
            f"{file} is there already and was planned for other images or another budget; give another --name, "
            f"or run it as it is with --study {file}, or remove it"
        )


def fitting_params(dataset: Dataset) -> int:
    """The smallest budget of parameters that every network can meet on these images.

    Raises:
        InputError: none of them does.
    """
    _, height, width, channel = dataset.images.shape
    for params in PARAMS:
        try:
            for model in NETWORKS:
                spec = at_budget(Choice(name=model), params)
                check_size(spec, shape=(channel, height, width), classes=len(dataset.classes))
        except InputError as error:
            if params == PARAMS[-1]:
                raise InputError(f"the images are too large to plan for: {error}; a study file with a smaller side does") from None
        else:
            return params
    raise AssertionError("the loop returns or raises")


def invite_pretrained(
    speeds: dict[str, float], dataset: Dataset, *, allowed_s: float, cores: int
) -> tuple[dict[str, float], dict[str, str]]:
    """The speeds with that of the pretrained network, and nothing left out; or as they are, and the reason why it is left out.

    It takes part where its weights are at hand or can be fetched, and trainings of `LEAST_PRETRAINED` images seen fit with it.
    """
    try:
        fetch_weights(WEIGHTS)
    except InputError as error:
        why = error.reason if isinstance(error, NotFetchedError) else str(error)
        return speeds, {PRETRAINED: f"its weights were not in the data folder and could not be fetched ({why})"}
    speed = measure(PRETRAINED, dataset, params=PARAMS[0], images=PROBED_PRETRAINED)
    together = speeds | {PRETRAINED: speed}
    needed = estimate(together, images_seen=LEAST_PRETRAINED, runs=min(RUNS), cores=cores) / RESERVE
    if needed <= allowed_s:
        return together, {}
    return speeds, {
        PRETRAINED: f"it learns from {speed:.0f} images a second on a core of the machine that this was planned on, and a study "
        f"with it takes {math.ceil(needed / 60)} minutes or more; {allowed_s / 60:.3g} were given"
    }


def measure(model: str, dataset: Dataset, *, params: int, images: int = PROBED_IMAGES) -> float:
    """Images a second at which a model trains on one core here, from a short training on the first images."""
    taken = np.arange(min(len(dataset.labels), images))
    spec = RunSpec(
        dataset=Choice(name="digits"),
        model=at_budget(Choice(name=model), params),
        training=TrainingSpec(images_seen=images),
    )
    learner = make_learner(spec, classes=len(dataset.classes), points=0)
    learner.fit(dataset.images[taken], dataset.labels[taken] % len(dataset.classes))
    return images / learner.seconds


def estimate(speeds: dict[str, float], *, images_seen: int, runs: int, cores: int) -> float:
    """About how many seconds a plan takes: every trained candidate in the first rung, a third of them in the second, and so on.

    Who goes on is not known beforehand; those that do are taken to be like the mean, the finalists like the slowest.
    """
    trained = len(REMEDIES) - len(DERIVED)
    once = {model: images_seen / speed for model, speed in speeds.items()}
    mean = sum(once.values()) / len(once)
    number = trained * len(once)
    rungs = sum(number / halving.ETA**rung * mean / halving.ETA ** (RUNGS - rung) for rung in range(RUNGS))
    plain = sum(once.values())
    return runs * (rungs + plain + FINALISTS * max(once.values())) / cores


def fit(speeds: dict[str, float], *, allowed_s: float, cores: int) -> Offer:
    """The longest trainings that fit with the fewest runs; where those are as long as they may be, more runs.

    Raises:
        InputError: not even the shortest fit.
    """
    offers = [
        Offer(runs, seen, estimate(speeds, images_seen=seen, runs=runs, cores=cores), tuple(speeds))
        for runs in RUNS
        for seen in LADDER
    ]
    within = [offer for offer in offers if offer.seconds <= RESERVE * allowed_s]
    if not within:
        least = min(offer.seconds for offer in offers) / RESERVE
        raise InputError(f"a budget of {allowed_s:.0f} s is too small; these images need about {least / 60:.0f} minutes or more")
    longest = max(offer.images_seen for offer in within)
    return max((offer for offer in within if offer.images_seen == longest), key=lambda offer: offer.runs)


def write_study(path: Path, *, name: str, head: str, offer: Offer, dataset: Dataset, params: int, left_out: dict[str, str]) -> str:
    """The study file, with what it costs at its head."""
    pool = len(splits.split(dataset).train)
    crossed = [*offer.networks, CLASSICAL] if pool <= MOST_FOR_CLASSICAL else list(offer.networks)
    baselines = [one for one in ("majority", "logistic") if one == "majority" or pool <= MOST_FOR_CLASSICAL]
    effort = {"runs": offer.runs, "rungs": RUNGS, "finalists": FINALISTS}
    study = {
        "name": name,
        "dataset": {"name": "folder", "options": {"path": str(path.resolve())}},
        "notebooks": ["13_recommendation"],
        "models": [*baselines, *crossed],
        "params": params,
        "margin": 0.01,
        "training": {"images_seen": offer.images_seen, "batch": 64, "learning_rate": RATE},
        "profiles": [{"name": "natural"}],
        "crossed": crossed,
        "remedies": list(REMEDIES),
        "efforts": {
            "smoke": {"runs": 2, "rungs": 1, "finalists": 2, "images_seen": 1_280},
            "default": effort,
            "full": effort | {"runs": max(RUNS)},
        },
        "left_out": left_out,
    }
    note = (
        f"{offer.runs} redrawn splits, trainings of {offer.images_seen:,} images seen: about {offer.seconds / 60:.0f} minutes on "
        f"{available_cores()} cores, by the speed that was measured when this was written. Change it as you like: "
        f"`imagestudy run --study` runs it."
    )
    return "\n".join(
        [head, *(f"# {line}" for line in textwrap.wrap(note, 100)), yaml.safe_dump(study, sort_keys=False, allow_unicode=True)]
    )

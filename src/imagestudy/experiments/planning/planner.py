"""A study of somebody's own images, planned to fit a budget of time: how fast each model trains here, and what can be had for it.

The plan is a study file like any other, in the study's results: it can be read, changed, and run again.
"""

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from imagestudy.core import files, paths
from imagestudy.core.download import NotFetchedError
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.data import datasets, folders
from imagestudy.data.datasets import Dataset
from imagestudy.data.folders import Scan
from imagestudy.experiments.executors.local import available_cores
from imagestudy.experiments.planning import study_file
from imagestudy.experiments.planning.cost_model import FINALISTS, REMEDIES, RUNGS, Work, estimate, measure
from imagestudy.experiments.planning.study_file import LACKING, PRETRAINED
from imagestudy.models import at_budget, check_size
from imagestudy.models.pretrained import WEIGHTS
from imagestudy.models.pretrained_weights import fetch_weights

NETWORKS = ("mlp", "resnet", "bilstm", "vit")
LEAST_PRETRAINED = 10_000
"""Images seen by a training, below which the pretrained network is left out: it is slow, and all networks see as many images; what
it takes of a small budget is lost to those that start from nothing, and they would be compared before they have learned."""
BASELINE, CANDIDATE = CLASSICAL = ("logistic", "svm")
MOST_FOR_CLASSICAL = 5_000
"""Training images up to which these are thought of: the time of the kernel method grows with the square of their number."""
CLASSICAL_SHARE = 0.2
"""Of a budget, that each of them may take at most."""
PARAMS = (40_000, 60_000, 100_000, 200_000, 400_000)
"""Parameter budgets, of which the smallest that all networks can meet is taken: on large colour images a narrow ANN is large."""
LEAST_SIDE, MOST_SIDE = 8, 64
RATE = 0.003
LADDER = (5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
"""Images seen by one training: the whole budgets that a plan may have."""
RUNS = (5, 10)
PROBED_PRETRAINED = 256
RESERVE = 0.8
"""The share of a budget that is planned: the rest is for scores, notebooks and the report."""
SLACK = 1.2
"""Times the least budget that fits, which a refusal names: the speed is measured anew for that budget, and may be lower then."""
QUESTIONS = ("recommendation",)


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


def plan_study(path: Path, *, name: str | None, budget: str) -> Path:
    """Scan the images, measure how fast the models train on them, and write the study file that fits the budget.

    A file that was planned before for the same images and budget is kept as it is, but for where the images lie now.

    Raises:
        InputError: as `folders.scan`; a name or budget that is not allowed; results that cannot be written; a plan of that name for
            other images or another budget.
    """
    allowed_s, file = study_file.seconds_of(budget), study_file.file_of(path, name=name)
    files.require_writable(file.parent, variable=paths.RESULTS_VARIABLE)
    place = folders.find(str(path))
    settled = datasets.settle(Choice(name="folder", options={"path": str(place)}))
    content = str(settled.options["content"])
    if file.is_file():
        study_file.require_same(file, content=content, budget=budget)
        study_file.renew_path(file, place)
        return file
    side = fitting_side(folders.recall(content))
    dataset = datasets.load(datasets.settle(Choice(name="folder", options={"path": str(place), "side": side})))
    params = fitting_params(dataset)
    own = {model: measure(model, dataset, params=params) for model in NETWORKS}
    work, too_slow = invite_classical(dataset, allowed_s=allowed_s, cores=available_cores())
    speeds, left_out = invite_pretrained(own, dataset, work, allowed_s=allowed_s, cores=available_cores())
    offer = fit(speeds, work, allowed_s=allowed_s, cores=available_cores())
    study = write_study(place, name=file.parent.name, offer=offer, dataset=dataset, params=params, left_out=left_out | too_slow)
    files.put(file, f"{study_file.head_of(content, budget)}\n{study}")
    return file


def fitting_side(scan: Scan) -> int:
    """Pixels a side that the images are brought to: the median of their longer edges, 8 to `MOST_SIDE`."""
    return int(np.clip(np.median([max(image.width, image.height) for image in scan.images]), LEAST_SIDE, MOST_SIDE))


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


def invite_classical(dataset: Dataset, *, allowed_s: float, cores: int) -> tuple[Work, dict[str, str]]:
    """The work with that of the classical models which take no more than their share of the budget, and why the others do not."""
    work, left_out = Work.of(dataset), {}
    if work.train > MOST_FOR_CLASSICAL:
        why = f"there are {work.train:,} training images, and classical models are tried on {MOST_FOR_CLASSICAL:,} at most"
        return work, dict.fromkeys(CLASSICAL, why)
    for model in CLASSICAL:
        more = work.with_classical(model, dataset, candidate=model == CANDIDATE)
        added_s = min(RUNS) * (more.every_run_s - work.every_run_s) / cores + more.once_s - work.once_s
        if added_s <= CLASSICAL_SHARE * allowed_s:
            work = more
        else:
            left_out[model] = (
                f"it would have taken about {math.ceil(added_s / 60)} minutes of the {allowed_s / 60:.3g} that were given; "
                f"allowed are {CLASSICAL_SHARE:.0%}"
            )
    return work, left_out


def invite_pretrained(
    speeds: dict[str, float], dataset: Dataset, work: Work, *, allowed_s: float, cores: int
) -> tuple[dict[str, float], dict[str, str]]:
    """The speeds with that of the pretrained network, and nothing left out; or as they are, and the reason why it is left out.

    It takes part where its weights are at hand or can be fetched, and trainings of `LEAST_PRETRAINED` images seen fit with it.
    """
    try:
        fetch_weights(WEIGHTS)
    except InputError as error:
        why = error.reason if isinstance(error, NotFetchedError) else str(error)
        return speeds, {PRETRAINED: f"{LACKING} ({why})"}
    speed = measure(PRETRAINED, dataset, params=PARAMS[0], images=PROBED_PRETRAINED)
    together = speeds | {PRETRAINED: speed}
    needed = estimate(together, work, images_seen=LEAST_PRETRAINED, runs=min(RUNS), cores=cores) / RESERVE
    if needed <= allowed_s:
        return together, {}
    return speeds, {
        PRETRAINED: f"it learns from {speed:.0f} images a second on a core of the machine that this was planned on, and a study "
        f"with it takes {math.ceil(needed / 60)} minutes or more; {allowed_s / 60:.3g} were given"
    }


def fit(speeds: dict[str, float], work: Work, *, allowed_s: float, cores: int) -> Offer:
    """The longest trainings that fit with the fewest runs; where those are as long as they may be, more runs.

    Raises:
        InputError: not even the shortest fit.
    """
    offers = [
        Offer(runs, seen, estimate(speeds, work, images_seen=seen, runs=runs, cores=cores), tuple(speeds))
        for runs in RUNS
        for seen in LADDER
    ]
    within = [offer for offer in offers if offer.seconds <= RESERVE * allowed_s]
    if not within:
        least = math.ceil(SLACK * min(offer.seconds for offer in offers) / RESERVE / 60)
        minutes = "1 minute" if least == 1 else f"{least} minutes"
        raise InputError(f"a budget of {allowed_s:.0f} s is too small; these images need about {minutes} or more")
    longest = max(offer.images_seen for offer in within)
    return max((offer for offer in within if offer.images_seen == longest), key=lambda offer: offer.runs)


def write_study(place: Path, *, name: str, offer: Offer, dataset: Dataset, params: int, left_out: dict[str, str]) -> str:
    """The study file below its first line, opening with what it costs."""
    baselines = ["majority", BASELINE] if BASELINE not in left_out else ["majority"]
    crossed = [*offer.networks, CANDIDATE] if CANDIDATE not in left_out else list(offer.networks)
    effort = {"runs": offer.runs, "recommendation": {"rungs": RUNGS, "finalists": FINALISTS}}
    study = {
        "name": name,
        "dataset": {"name": "folder", "options": {"path": str(place), "side": dataset.images.shape[1]}},
        "questions": list(QUESTIONS),
        "models": [*baselines, *crossed],
        "params": params,
        "margin": 0.01,
        "training": {"images_seen": offer.images_seen, "batch": 64, "learning_rate": RATE},
        "profiles": [{"name": "natural"}],
        "crossed": crossed,
        "remedies": list(REMEDIES),
        "efforts": {
            "smoke": {"runs": 2, "images_seen": 1_280, "recommendation": {"rungs": 1, "finalists": 2}},
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
    said = [f"# {line}" for line in textwrap.wrap(note, 100)]
    return "\n".join([*said, yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=math.inf)])

"""Plan a study of the user's own images that fits a time budget, from the measured training speed of each model.

The plan is a normal study file in the results folder of the study. It can be read, changed and run again.
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
from imagestudy.experiments.durations import say_duration
from imagestudy.experiments.executors.local import available_cores
from imagestudy.experiments.planning import study_file
from imagestudy.experiments.planning.cost_model import FINALISTS, REMEDIES, RUNGS, Work, estimate, measure
from imagestudy.experiments.planning.study_file import LACKING, PRETRAINED
from imagestudy.models import at_budget, check_size
from imagestudy.models.pretrained import WEIGHTS
from imagestudy.models.pretrained_weights import fetch_weights

NETWORKS = ("mlp", "resnet", "bilstm", "vit")
LEAST_PRETRAINED = 10_000
"""The minimum number of images seen per training run for a plan with the pretrained network. All networks see the same number of
images, and the pretrained network is slow. With fewer images, the networks that start from random weights would not converge."""
BASELINE, CANDIDATE = CLASSICAL = ("logistic", "svm")
MOST_FOR_CLASSICAL = 5_000
"""The maximum number of training images for classical models: the time of the kernel method grows with its square."""
CLASSICAL_SHARE = 0.2
"""The maximum share of the budget for each classical model."""
PARAMS = (40_000, 60_000, 100_000, 200_000, 400_000)
"""The possible parameter budgets. A plan uses the smallest one that all networks can meet; a narrow ANN on large color images has
many parameters."""
LEAST_SIDE, MOST_SIDE = 8, 64
RATE = 0.003
LADDER = (5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
"""The possible numbers of images seen per training run."""
RUNS = (5, 10)
PROBED_PRETRAINED = 256
RESERVE = 0.8
"""The share of the budget that is planned. The rest is for scores, notebooks and the report."""
SLACK = 1.2
"""The factor on the smallest possible budget in the error message about a budget that is too small. The next plan measures the
speed again and may find a lower one."""
QUESTIONS = ("recommendation",)


@dataclass(frozen=True)
class Offer:
    """One possible size of a study.

    Args:
        runs: the number of redrawn splits or paired runs.
        images_seen: the images seen in a full training run.
        seconds: the approximate duration of the study on all cores.
        networks: the networks in the study.
    """

    runs: int
    images_seen: int
    seconds: float
    networks: tuple[str, ...]


def plan_study(path: Path, *, name: str | None, budget: str) -> Path:
    """Scan the images, measure how fast the models train on them, and write a study file that fits the budget.

    An existing plan for the same images and budget is kept. Only the path of the images is updated.

    Raises:
        InputError: see `folders.scan`; the name or budget is not allowed; the results cannot be written; a plan with this name
            exists for other images or another budget.
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
    """Return the side in pixels that images are resized to: the median of their longer edges, from 8 to `MOST_SIDE`."""
    return int(np.clip(np.median([max(image.width, image.height) for image in scan.images]), LEAST_SIDE, MOST_SIDE))


def fitting_params(dataset: Dataset) -> int:
    """Return the smallest parameter budget that every network can meet on these images.

    Raises:
        InputError: no budget can be met by every network.
    """
    _, height, width, channel = dataset.images.shape
    for params in PARAMS:
        try:
            for model in NETWORKS:
                spec = at_budget(Choice(name=model), params)
                check_size(spec, shape=(channel, height, width), classes=len(dataset.classes))
        except InputError as error:
            if params == PARAMS[-1]:
                raise InputError(f"the images are too large to plan for: {error}; write a study file with a smaller side") from None
        else:
            return params
    raise AssertionError("the loop returns or raises")


def invite_classical(dataset: Dataset, *, allowed_s: float, cores: int) -> tuple[Work, dict[str, str]]:
    """Return the work including the classical models that fit into their share of the budget, and why the others are left out."""
    work, left_out = Work.of(dataset), {}
    if work.train > MOST_FOR_CLASSICAL:
        why = f"there are {work.train:,} training images, and classical models are used for at most {MOST_FOR_CLASSICAL:,}"
        return work, dict.fromkeys(CLASSICAL, why)
    for model in CLASSICAL:
        more = work.with_classical(model, dataset, candidate=model == CANDIDATE)
        added_s = min(RUNS) * (more.every_run_s - work.every_run_s) / cores + more.once_s - work.once_s
        if added_s <= CLASSICAL_SHARE * allowed_s:
            work = more
        else:
            left_out[model] = (
                f"it would take about {_say_minutes(math.ceil(added_s / 60))} of the budget of {_say_minutes(allowed_s / 60)}; "
                f"the limit is {100 * CLASSICAL_SHARE:.0f} %"
            )
    return work, left_out


def invite_pretrained(
    speeds: dict[str, float], dataset: Dataset, work: Work, *, allowed_s: float, cores: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the speeds including the pretrained network, or the unchanged speeds and why the pretrained network is left out.

    It is included if its weights are available and training runs with `LEAST_PRETRAINED` images seen fit into the budget.
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
        PRETRAINED: f"one core of the planning machine trains it on {speed:.0f} images per second, and a study with it takes at "
        f"least {_say_minutes(math.ceil(needed / 60))}; the budget is {_say_minutes(allowed_s / 60)}"
    }


def _say_minutes(minutes: int | float) -> str:
    number = f"{minutes:,.0f}" if minutes >= 100 else f"{minutes:.3g}"
    return "1 minute" if number == "1" else f"{number} minutes"


def fit(speeds: dict[str, float], work: Work, *, allowed_s: float, cores: int) -> Offer:
    """Return the offer with the longest training runs that fit into the budget and, among those, the offer with the most runs.

    Raises:
        InputError: not even the smallest offer fits.
    """
    offers = [
        Offer(runs, seen, estimate(speeds, work, images_seen=seen, runs=runs, cores=cores), tuple(speeds))
        for runs in RUNS
        for seen in LADDER
    ]
    within = [offer for offer in offers if offer.seconds <= RESERVE * allowed_s]
    if not within:
        least = math.ceil(SLACK * min(offer.seconds for offer in offers) / RESERVE / 60)
        raise InputError(f"a budget of {allowed_s:.0f} s is too small; these images need about {_say_minutes(least)} or more")
    longest = max(offer.images_seen for offer in within)
    return max((offer for offer in within if offer.images_seen == longest), key=lambda offer: offer.runs)


def write_study(place: Path, *, name: str, offer: Offer, dataset: Dataset, params: int, left_out: dict[str, str]) -> str:
    """Return the text of a study file below its first line. A comment at the top gives the duration."""
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
    cores = "1 core" if available_cores() == 1 else f"{available_cores()} cores"
    note = (
        f"{offer.runs} redrawn splits with {offer.images_seen:,} images seen in each training run take "
        f"{say_duration(offer.seconds)} on {cores}. The speed was measured when this file was written. You can change the file and "
        "run it with `imagestudy run --study`."
    )
    comment = [f"# {line}" for line in textwrap.wrap(note, 100)]
    return "\n".join([*comment, yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=math.inf)])

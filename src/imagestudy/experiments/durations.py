"""Estimate how long runs take, from recorded durations or from the number of operations."""

from collections.abc import Sequence

import numpy as np
import torch

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.dependencies import is_derived
from imagestudy.experiments.executors.local import available_cores
from imagestudy.experiments.store import RunStore
from imagestudy.models import Network, build, models, twin
from imagestudy.models.complexity import count_flops

GUESSED_RATE = 30e9
"""Operations per second of one core. On several two-core machines, 20 to 45 billion were measured, with 8×8 to 64×64 pixels."""
GUESSED_SECONDS = {"neural": 2.5e-5, "keras": 2.5e-5, "classical": 5e-6}
"""Kind of model → seconds per image seen that do not depend on the size of the model: drawing, normalizing and calling."""
BOTH_WAYS = 3
"""The cost of a forward and a backward pass, relative to a forward pass. A backward pass costs about twice a forward pass."""


def estimate_each(specs: Sequence[RunSpec], store: RunStore) -> list[float]:
    """Estimate the duration of each run in seconds on one core. A derived run takes 0 seconds.

    The estimate is the recorded duration of runs with the same model, images and budget. If there are none, it is scaled from runs
    with the same model and images but another budget. If there are none either, it is computed from the number of operations.
    Several durations are combined by their median, because an ensemble records the seconds of all its members.
    """
    if all(map(is_derived, specs)):
        return [0.0] * len(specs)
    like: dict[str, list[float]] = {}
    for done in store.load(run_id for run_id, status in store.status().items() if status == "done").values():
        if done.spec.kind == "start":
            continue  # its seconds include building and compiling, so they do not predict the time of further steps
        seconds, seen = done.cost["seconds"], done.spec.training.images_seen
        like.setdefault(_cell(done.spec), []).append(seconds)
        like.setdefault(_kind(done.spec), []).append(seconds / seen)
    guessed = {_kind(spec): spec for spec in specs if not is_derived(spec) and _kind(spec) not in like}
    like |= {kind: [_guess(spec)] for kind, spec in guessed.items()}

    def seconds_of(spec: RunSpec) -> float:
        if is_derived(spec):
            return 0.0
        own = like.get(_cell(spec))
        return float(np.median(own)) if own else float(np.median(like[_kind(spec)])) * spec.training.images_seen

    return [seconds_of(spec) for spec in specs]


def estimate_seconds(todo: Sequence[RunSpec], store: RunStore, *, workers: int | None = None) -> float:
    """Estimate the duration of the runs in seconds on all cores, or on one core per worker; see `estimate_each`."""
    return sum(estimate_each(todo, store)) / (workers or available_cores())


def _kind(spec: RunSpec) -> str:
    return f"{spec.model.key()} {spec.dataset.key()}"


def _cell(spec: RunSpec) -> str:
    return f"{_kind(spec)} {spec.training.images_seen}"


def _guess(spec: RunSpec) -> float:
    """Return the estimated seconds per image seen, from the number of operations."""
    kind = models.entry(spec.model.name).facts["kind"]
    flops = 0 if kind == "classical" else _flops(spec)
    return GUESSED_SECONDS[kind] + BOTH_WAYS * flops / GUESSED_RATE


def _flops(spec: RunSpec) -> int:
    """Return the operations of a forward pass of one image; 0 for a network that cannot be built, because its run fails at once."""
    shape, classes = data.image_shape(spec.dataset), data.class_count(spec.dataset)
    try:
        with torch.random.fork_rng(devices=[]):
            network = build(twin(spec.model), shape=shape, classes=classes)
    except InputError:
        return 0
    assert isinstance(network, Network)
    return count_flops(network, shape)


def say_duration(seconds: float) -> str:
    """Return a duration in words, as `less than a minute` or `about 3 minutes`."""
    minutes = max(1, round(seconds / 60))
    return "less than a minute" if seconds < 50 else f"about {minutes} minute{'s' if minutes > 1 else ''}"

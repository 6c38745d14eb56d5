"""Where a model is used: how often each class comes there, what mistakes cost, and decisions that take both into account.

Nothing is trained. Classes go by their rank in training, the most frequent first, since which class is rare changes with the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.special import log_softmax

from imagestudy.analysis.imbalance.selection import counts, profiles_of
from imagestudy.core.errors import InputError, place
from imagestudy.experiments.grids import Plan
from imagestudy.metrics import classification
from imagestudy.remedies import posthoc
from imagestudy.remedies.priors import relative_log_prior

TAUS = tuple(step / 20 for step in range(-20, 61))
"""The strengths that are tried on validation: −1 to 3 in steps of 0.05. Below 0 is for a remedy that has overshot."""
UNIFORM = "uniform"


@dataclass(frozen=True)
class Deployment:
    """A place of use.

    Args:
        name: in tables and figures.
        prior: share of each class, by rank; they sum to 1.
        cost: of deciding for a class (column) where another is true (row), by rank; at least 0, and 0 for a right decision.
    """

    name: str
    prior: Float64[np.ndarray, " rank"]
    cost: Float64[np.ndarray, "rank rank"]

    @property
    def saving(self) -> Float64[np.ndarray, "rank rank"]:
        """What a decision saves against the dearest one for the true class; with costs of 0 and 1 the unit matrix."""
        return self.cost.max(axis=1, keepdims=True) - self.cost

    @property
    def dearest(self) -> float:
        """Mean cost of an image if every decision were the dearest; 1 with costs of 0 and 1."""
        return float(self.prior @ self.cost.max(axis=1))

    def by_class(self, counts: Int64[np.ndarray, " class"]) -> "Deployment":
        """The same for one run, in the order of its class indices instead of ranks; ties in rank go by class index."""
        rank = np.argsort(np.argsort(-counts, kind="stable"))
        return replace(self, prior=self.prior[rank], cost=self.cost[np.ix_(rank, rank)])


def make_deployment(
    name: str, prior: Sequence[Any], *, cost: Sequence[Sequence[Any]] | None = None, classes: int, where: str = ""
) -> Deployment:
    """A place of use, as somebody typed it in.

    Args:
        name: in tables and figures.
        prior: share of each class by rank, at least 0; need not sum to 1.
        cost: [true][decided] by rank; None makes every mistake cost 1.
        classes: how many there are.
        where: where it was given, for the error's sentence.

    Raises:
        InputError: not one share a class, a share below 0, none above 0; a cost matrix that is not square, has a number below 0,
            lets a right decision cost something, or makes every mistake free.
    """
    shares = _read(prior, classes, what="class shares", where=where)
    if not shares.sum():
        raise InputError(f"all class shares{place(where)} are 0; needed: one above 0")
    table = 1 - np.eye(classes) if cost is None else _read_costs(cost, classes, where=where)
    made = Deployment(name, shares / shares.sum(), table)
    if not made.dearest:
        raise InputError(f"no mistake costs anything{place(where)}; needed: one that does, on a class that occurs")
    return made


def _read_costs(cost: Sequence[Sequence[Any]], classes: int, *, where: str) -> Float64[np.ndarray, "rank rank"]:
    if len(cost) != classes:
        raise InputError(f"{len(cost)} rows of costs were given{place(where)}; needed: {classes}, one a true class")
    table = np.stack([_read(row, classes, what="costs of a true class", where=where) for row in cost])
    if np.diag(table).any():
        raise InputError(f"a right decision costs {np.diag(table).max():g}{place(where)}; allowed: 0")
    return table


def _read(given: Sequence[Any], classes: int, *, what: str, where: str) -> Float64[np.ndarray, " rank"]:
    if len(given) != classes:
        raise InputError(
            f"{len(given)} {what} were given{place(where)}; needed: {classes}, the most frequent class of training first"
        )
    for number in given:
        require_number(number, what=what, where=where)
    return np.array(given, dtype=np.float64)


def require_number(given: Any, *, what: str, where: str) -> float:
    """Return a finite number of at least 0; raise `InputError` for anything else."""
    if isinstance(given, bool) or not isinstance(given, Real) or not isfinite(given) or given < 0:
        raise InputError(f"{given!r} was given for {what}{place(where)}; allowed: finite numbers of at least 0")
    return float(given)


def price_tail(counts: Int64[np.ndarray, " rank"], factor: float) -> Float64[np.ndarray, "rank rank"]:
    """Costs where missing a class of the tail is so many times as dear as missing another; 0 and 1 where there is no tail.

    Args:
        counts: training images of each class, the largest first.
        factor: at least 0.
    """
    cost = 1 - np.eye(len(counts))
    cost[classification.groups(counts).get("tail", [])] *= factor
    return cost


def deployments_of(plan: Plan, *, prior: Sequence[Any], tail_cost: Any) -> list[Deployment]:
    """The places of use that are compared under the study's first profile; everything typed in is checked before anything trains.

    Args:
        plan: study and effort.
        prior: class shares by rank; empty gives one half to the most frequent class of training and lets the others share the rest.
        tail_cost: how many times as dear it is to miss a class of the tail, classes coming equally often.

    Raises:
        InputError: as `make_deployment` and `profiles_of`.
    """
    (ranked,) = counts(plan, profiles_of(plan, ratios=[])[:1]).values()
    classes = len(ranked)
    factor = require_number(tail_cost, what="the factor", where="parameter 'tail_cost'")
    mostly = [classes - 1.0] + [1.0] * (classes - 1)
    even = [1.0] * classes
    shares = {UNIFORM: even, "as in training": ranked.tolist(), "reversed": ranked[::-1].tolist()}
    shares |= {"typed in": prior} if len(prior) else {"mostly one class": mostly}
    places = [make_deployment(name, given, classes=classes, where="parameter 'prior'") for name, given in shares.items()]
    priced = price_tail(ranked, factor).tolist()
    return [*places, make_deployment(f"tail costs {factor:g}×", even, cost=priced, classes=classes, where="parameter 'tail_cost'")]


def reprior(
    log_probabilities: Float[np.ndarray, "image class"],
    counts: Int64[np.ndarray, " class"],
    prior: Float[np.ndarray, " class"],
    *,
    tau: float,
) -> Float64[np.ndarray, "image class"]:
    """Predictions for a place where classes come in other shares than in training: log p_c − τ log π_c + log ρ_c, normalised again.

    τ = 1 is exact for plain training whose probabilities are right; τ = 0 where they are already those of a balanced world.

    Args:
        log_probabilities: log p(c | image).
        counts: n_c of the training set, at least 1; π_c = n_c / N.
        prior: ρ_c; a class of share 0 is never named.
        tau: how much of the training prior is taken out.

    Reference: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, Neural Computation 2002.
    """
    shift = _log(prior) - tau * relative_log_prior(counts)
    return log_softmax(log_probabilities.astype(np.float64) + shift, axis=1)


def _log(prior: Float[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    """The log of ρ_c, minus infinity for a class that does not come."""
    return np.log(prior, out=np.full(len(prior), -np.inf), where=prior > 0)


def decide(
    log_probabilities: Float[np.ndarray, "image class"], saving: Float[np.ndarray, "class class"]
) -> Int64[np.ndarray, " image"]:
    """The decision of each image with the least expected cost, that is, the highest expected saving (Elkan 2001).

    Said in savings and not in costs, since with costs of 0 and 1 the sums are then exact: the decision is the likeliest class.

    Args:
        log_probabilities: up to a constant for each image.
        saving: of a decision (column) where a class is true (row).
    """
    relative = np.exp(log_probabilities - log_probabilities.max(axis=1, keepdims=True))
    return (relative @ saving).argmax(axis=1)


def image_weights(labels: Int64[np.ndarray, " image"], prior: Float[np.ndarray, " class"]) -> Float[np.ndarray, " image"]:
    """ρ_y / n_y: with these weights a set of images stands for the place of use; they sum to 1 if every class has an image."""
    return prior[labels] / np.bincount(labels, minlength=len(prior))[labels]


def pick_tau(
    log_probabilities: Float[np.ndarray, "image class"],
    labels: Int64[np.ndarray, " image"],
    counts: Int64[np.ndarray, " class"],
    deployment: Deployment,
    *,
    grid: Sequence[float] = TAUS,
) -> tuple[float, float]:
    """The τ with the least cost on validation, in the middle of the widest plateau of the best, and what it saves there.

    Args:
        log_probabilities: of the validation images.
        labels: of the validation images.
        counts: n_c of the training set, at least 1.
        deployment: by class.
        grid: strengths to try, ascending.
    """
    saving, weights = deployment.saving, image_weights(labels, deployment.prior)
    there, taken = log_probabilities.astype(np.float64) + _log(deployment.prior), relative_log_prior(counts)
    decided = (decide(there - tau * taken, saving) for tau in grid)
    scores = np.array([weights @ saving[labels, one] for one in decided])
    best = posthoc.steadiest(scores)
    return float(grid[best]), float(scores[best])

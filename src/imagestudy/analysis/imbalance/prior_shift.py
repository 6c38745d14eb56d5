"""Describe places of use by class shares and misclassification costs, and adapt recorded predictions to them.

Nothing is trained. Places refer to classes by their rank in training, the most frequent first, because different classes are rare
in each run.
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
"""The strengths τ that are tried on validation: −1 to 3 in steps of 0.05. Values below 0 are for remedies that overshoot."""
UNIFORM = "uniform"


@dataclass(frozen=True)
class Deployment:
    """A place of use: class shares and misclassification costs.

    Args:
        name: name in tables and figures.
        prior: share of each class, by rank; the shares sum to 1.
        cost: misclassification cost of deciding for a class (column) when another class is true (row), by rank; at least 0, and 0
            for a correct decision.
    """

    name: str
    prior: Float64[np.ndarray, " rank"]
    cost: Float64[np.ndarray, "rank rank"]

    @property
    def saving(self) -> Float64[np.ndarray, "rank rank"]:
        """The misclassification cost saved by each decision, relative to the most expensive decision for the true class.

        With misclassification costs of 0 and 1, this is the identity matrix.
        """
        return self.cost.max(axis=1, keepdims=True) - self.cost

    @property
    def dearest(self) -> float:
        """The mean misclassification cost per image if every decision is the most expensive one; 1 with costs of 0 and 1."""
        return float(self.prior @ self.cost.max(axis=1))

    def by_class(self, counts: Int64[np.ndarray, " class"]) -> "Deployment":
        """Return the same place with classes in the order of their index instead of their rank, for a run with these counts.

        Classes with equal counts are ranked by index.
        """
        rank = np.argsort(np.argsort(-counts, kind="stable"))
        return replace(self, prior=self.prior[rank], cost=self.cost[np.ix_(rank, rank)])


def make_deployment(
    name: str, prior: Sequence[Any], *, cost: Sequence[Sequence[Any]] | None = None, classes: int, where: str = ""
) -> Deployment:
    """Check user input and return the place of use that it describes.

    Args:
        name: name in tables and figures.
        prior: share of each class by rank, at least 0; the shares need not sum to 1.
        cost: misclassification costs as [true][decided], by rank; None means 1 for every mistake.
        classes: number of classes.
        where: where the values were given, for the error message.

    Raises:
        InputError: if there is not one share per class, a share is below 0, or no share is above 0; or if the matrix of
            misclassification costs is not square, has a number below 0, has a cost above 0 for a correct decision, or has no cost
            above 0 for a class that occurs.
    """
    shares = _read(prior, classes, one="class share", many="class shares", where=where)
    if not shares.sum():
        raise InputError(f"all class shares{place(where)} are 0; needed: at least one above 0")
    table = 1 - np.eye(classes) if cost is None else _read_costs(cost, classes, where=where)
    made = Deployment(name, shares / shares.sum(), table)
    if not made.dearest:
        raise InputError(f"all misclassification costs of the classes that occur are 0{place(where)}; needed: at least one above 0")
    return made


def _read_costs(cost: Sequence[Sequence[Any]], classes: int, *, where: str) -> Float64[np.ndarray, "rank rank"]:
    if len(cost) != classes:
        rows = "row of misclassification costs was" if len(cost) == 1 else "rows of misclassification costs were"
        raise InputError(f"{len(cost)} {rows} given{place(where)}; needed: {classes}, one for each true class")
    words = {"one": "misclassification cost of a true class", "many": "misclassification costs of a true class"}
    table = np.stack([_read(row, classes, **words, where=where) for row in cost])
    if np.diag(table).any():
        raise InputError(f"a correct decision has misclassification cost {np.diag(table).max():g}{place(where)}; allowed: 0")
    return table


def _read(given: Sequence[Any], classes: int, *, one: str, many: str, where: str) -> Float64[np.ndarray, " rank"]:
    if len(given) != classes:
        words = f"{one} was" if len(given) == 1 else f"{many} were"
        raise InputError(
            f"{len(given)} {words} given{place(where)}; needed: {classes}, the most frequent class in the training set first"
        )
    for number in given:
        require_number(number, what=many, where=where)
    return np.array(given, dtype=np.float64)


def require_number(given: Any, *, what: str, where: str) -> float:
    """Return a finite number of at least 0 as a float; raise `InputError` for anything else."""
    if isinstance(given, bool) or not isinstance(given, Real) or not isfinite(given) or given < 0:
        raise InputError(f"{given!r} was given for {what}{place(where)}; allowed: finite numbers of at least 0")
    return float(given)


def price_tail(counts: Int64[np.ndarray, " rank"], factor: float) -> Float64[np.ndarray, "rank rank"]:
    """Return misclassification costs of 1, multiplied by a factor if the true class is in the tail.

    If the classes have no tail, the costs are 0 and 1.

    Args:
        counts: number of training images of each class, the largest first.
        factor: the misclassification cost of a tail class, at least 0.
    """
    cost = 1 - np.eye(len(counts))
    cost[classification.groups(counts).get("tail", [])] *= factor
    return cost


def deployments_of(plan: Plan, *, prior: Sequence[Any], tail_cost: Any) -> list[Deployment]:
    """Return the places of use that are compared under the study's first profile. All input is checked before anything trains.

    Args:
        plan: the study at its effort.
        prior: class shares by rank. An empty list gives one half to the most frequent class in training and shares the rest among
            the others.
        tail_cost: misclassification cost of a tail class, where that of any other class is 1 and all classes are equally frequent.

    Raises:
        InputError: see `make_deployment` and `profiles_of`.
    """
    (ranked,) = counts(plan, profiles_of(plan, ratios=[])[:1]).values()
    classes = len(ranked)
    factor = require_number(tail_cost, what="the misclassification cost", where="parameter 'tail_cost'")
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
    """Adapt predictions to a place with other class shares than in training: log p_c − τ log π_c + log ρ_c, normalized again.

    τ = 1 is exact for plain training with correct probabilities. τ = 0 is exact if the model already predicts as if all classes
    were equally frequent.

    Args:
        log_probabilities: log p(c | image).
        counts: n_c of the training set, at least 1; π_c = n_c / N.
        prior: ρ_c; a class with share 0 is never predicted.
        tau: τ, how much of the training prior is removed.

    Returns:
        The adapted log-probabilities.

    Reference: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, Neural Computation 2002.
    """
    shift = _log(prior) - tau * relative_log_prior(counts)
    return log_softmax(log_probabilities.astype(np.float64) + shift, axis=1)


def _log(prior: Float[np.ndarray, " class"]) -> Float64[np.ndarray, " class"]:
    """Return the log of ρ_c; minus infinity for a class with share 0."""
    return np.log(prior, out=np.full(len(prior), -np.inf), where=prior > 0)


def decide(
    log_probabilities: Float[np.ndarray, "image class"], saving: Float[np.ndarray, "class class"]
) -> Int64[np.ndarray, " image"]:
    """Decide for the class with the least expected misclassification cost, that is, with the highest expected saving (Elkan 2001).

    Savings are used instead of costs, because then the sums are exact for costs of 0 and 1: the decision is the most likely class.

    Args:
        log_probabilities: log-probabilities, up to a constant for each image.
        saving: misclassification cost saved by a decision (column) if a class is true (row).
    """
    relative = np.exp(log_probabilities - log_probabilities.max(axis=1, keepdims=True))
    return (relative @ saving).argmax(axis=1)


def pick_tau(
    log_probabilities: Float[np.ndarray, "image class"],
    labels: Int64[np.ndarray, " image"],
    counts: Int64[np.ndarray, " class"],
    deployment: Deployment,
    *,
    grid: Sequence[float] = TAUS,
) -> tuple[float, float]:
    """Return the τ with the least misclassification cost on validation, and the misclassification cost that it saves there.

    If several values of τ are best, the middle of their widest plateau is taken.

    Args:
        log_probabilities: log-probabilities of the validation images.
        labels: labels of the validation images.
        counts: n_c of the training set, at least 1.
        deployment: the place of use, by class index.
        grid: strengths to try, ascending.
    """
    saving, weights = deployment.saving, classification.weights_at_shares(labels, deployment.prior)
    there, taken = log_probabilities.astype(np.float64) + _log(deployment.prior), relative_log_prior(counts)
    decided = (decide(there - tau * taken, saving) for tau in grid)
    scores = np.array([weights @ saving[labels, one] for one in decided])
    best = posthoc.steadiest(scores)
    return float(grid[best]), float(scores[best])

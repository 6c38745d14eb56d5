"""The claims are decided as the article's list says: records made by hand have the verdicts that they must have."""

from functools import partial

import numpy as np
import pytest

from imagestudy import data
from imagestudy.analysis import claims, comparisons
from imagestudy.core.specs import RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.grids import DECIDING, TRADITIONAL
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp

DECISIVE = 0.9


@pytest.fixture(scope="module")
def plan():
    return grids.open_study("digits", "default")


def made(plan, accuracy) -> Records:
    """A record for each run that the claims need; `accuracy(spec)` says which share of the test images it names rightly."""
    specs = list({(s := stamp(spec)).run_id: s for spec in claims.needs(plan)}.values())
    keys = {labels_key(spec.dataset): data.held_out_labels(spec.dataset) for spec in specs}
    return Records(tuple(_record(spec, accuracy(spec), keys[labels_key(spec.dataset)]["test"]) for spec in specs), keys)


def _record(spec: RunSpec, accuracy: float, labels: np.ndarray) -> Record:
    classes = int(labels.max()) + 1
    draws = np.random.default_rng([spec.seed, *spec.key().encode()])
    wrong = draws.random(len(labels)) >= accuracy
    named = (labels + wrong) % classes
    said = np.full((len(labels), classes), -9.0, dtype=np.float16)
    said[np.arange(len(labels)), named] = 0
    score = {"balanced_accuracy": accuracy, "accuracy": accuracy}
    return Record(spec, score, score, {"seconds": 1.0}, {}, {"test": said})


def verdicts(plan, accuracy) -> dict[str, str]:
    return {finding.claim: finding.verdict for finding in claims.decide(plan, made(plan, accuracy))}


def test_better_modern_members_support_and_worse_ones_contradict(plan):
    def accuracy(spec, *, swapped):
        modern = (spec.model.name in (*DECIDING.values(), "crnn")) is not swapped
        lost = 0.0 if spec.profile.name == "balanced" else (0.1 if modern else 0.3)
        return (0.95 if modern else 0.75) - lost

    found = verdicts(plan, partial(accuracy, swapped=False))
    assert {found[c] for c in ("A1", "A3", "A4", "A5", "A6", "A7", "A8")} == {"supported"}
    swapped = verdicts(plan, partial(accuracy, swapped=True))
    assert {swapped[c] for c in ("A1", "A3", "A4", "A5", "A6", "A7", "A8")} == {"contradicted"}


def test_scarcity_is_not_mistaken_for_imbalance(plan):
    """A member that is worse on few images, balanced or not, loses nothing to imbalance."""

    def accuracy(spec):
        scarce = spec.profile.size is not None or spec.profile.name != "balanced"
        return 0.9 - (0.3 if scarce and spec.model.name in TRADITIONAL.values() else 0.0)

    found = claims.decide(plan, made(plan, accuracy))
    for finding in found:
        if finding.claim in ("A6", "A7", "A8"):
            assert abs(finding.judged[0][1].interval.estimate) < 0.03
            assert finding.verdict in ("undecided", "equivalent")


@pytest.mark.parametrize(("growth", "verdict"), [(0.1, "supported"), (-0.1, "contradicted"), (0.0, "undecided")])
def test_a9_is_the_growth_of_the_gap_with_each_doubling_of_the_training_set(plan, growth, verdict):
    """Only the traditional member loses, and what it loses grows by so much with each doubling; balanced sets lose nothing."""

    def accuracy(spec):
        lost = 0.0
        if spec.profile.name == "exponential" and spec.model.name in TRADITIONAL.values():
            lost = 0.3 + growth * np.log2((spec.profile.largest or 95) / 48)
        return 0.9 - lost

    found = {f.claim: f for f in claims.decide(plan, made(plan, accuracy))}
    for family in ("CNN", "RNN", "ANN"):
        assert found[f"A9 {family}"].verdict == verdict
        assert found[f"A9 {family}"].judged[0][1].interval.estimate == pytest.approx(growth, abs=0.02)


def test_the_slope_of_effects_on_a_line_is_its_slope_and_one_that_does_not_change_has_none():
    values, weights, strata = np.arange(6.0).reshape(2, 3), np.full(3, 1 / 3), np.zeros(3, dtype=np.int64)
    x = np.array([1.0, 2.0, 4.0])
    rising = [comparisons.Effect(values + 0.5 * one, weights, strata) for one in x]
    np.testing.assert_allclose(claims.slope_of(rising, x).by_run, 0.5)
    np.testing.assert_allclose(claims.slope_of([comparisons.Effect(values, weights, strata)] * 3, x).by_run, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("others", "verdict"),
    [({}, "supported"), ({"vit": 0.999}, "contradicted"), ({"mlp": 0.9, "vit": 0.9, "bilstm": 0.9}, "undecided")],
)
def test_a2_needs_the_cnn_above_every_other_and_falls_with_one_above_it(plan, others, verdict):
    found = verdicts(plan, lambda spec: others.get(spec.model.name, 0.9 if spec.model.name == "resnet" else 0.6))
    assert found["A2"] == verdict


@pytest.mark.parametrize(
    ("near", "far", "verdict"),
    [(1.0, 1.0, "supported"), (0.9, 0.7, "contradicted"), (1.0, 0.5, "contradicted"), (0.62, 0.62, "contradicted")],
)
def test_a10_asks_for_more_than_one_mark_tells_far_away_and_nothing_lost_on_the_way(plan, near, far, verdict):
    def accuracy(spec):
        distance = spec.dataset.options.get("distance")
        return (
            0.9
            if distance is None
            else {min(plan.effort.families.distances): near, max(plan.effort.families.distances): far}.get(distance, near)
        )

    assert verdicts(plan, accuracy)["A10"] == verdict


def test_a11_has_a_verdict_for_each_step_on_clean_and_noisy_images_apart(plan):
    def accuracy(spec):
        noisy, stepped = spec.preprocessing.noise is not None, bool(spec.preprocessing.steps)
        return 0.7 + 0.25 * (noisy and stepped) - 0.2 * (stepped and not noisy) + 0.1 * bool(spec.preprocessing.augment)

    found = verdicts(plan, accuracy)
    assert found["A11 filter, noisy"] == found["A11 denoise, noisy"] == found["A11 augment, clean"] == "supported"
    assert found["A11 filter, clean"] == found["A11 denoise, clean"] == "contradicted"


def test_a13_is_decided_by_what_is_inside_the_listing(plan):
    found = {f.claim: f for f in claims.decide(plan, made(plan, lambda _: DECISIVE))}
    assert found["A13"].verdict == "contradicted"
    assert found["A13"].judged == ()
    assert "Linear, ReLU, Dropout" in found["A13"].effect


def test_the_table_says_what_would_decide_exactly_what_is_undecided(plan):
    findings = claims.decide(plan, made(plan, lambda spec: 0.9 if spec.model.name == "resnet" else 0.89))
    frame = claims.table(findings)
    assert set(frame["verdict"]) <= {"supported", "contradicted", "equivalent", "undecided"}
    assert (frame.loc[frame["verdict"] != "undecided", "would decide it"] == "").all()
    assert frame["claim"].tolist() == [f.claim for f in findings]
    assert len(findings) == 19


def test_the_comparisons_of_a_claim_are_declared_together(plan):
    findings = {f.claim: f for f in claims.decide(plan, made(plan, lambda _: DECISIVE))}
    declared = {"A1": 1, "A2": 3, "A3": 3, "A6": 3, "A9 CNN": 3, "A10": 2, "A11 filter, clean": 6}
    assert {claim: findings[claim].judged[0][1].comparisons for claim in declared} == declared


def test_equal_members_are_never_called_better(plan):
    found = verdicts(plan, lambda _: DECISIVE)
    assert {found[c] for c in ("A2", "A3", "A4", "A5", "A6", "A7", "A8")} <= {"undecided", "equivalent"}
    same = made(plan, lambda _: 1.0)
    cell = same.of(grids.cell(plan, "mlp"))
    assert comparisons.judge(comparisons.difference(cell, cell), margin=0.01, comparisons=1).verdict == "equivalent"

"""Other priors and misclassification costs: limits with a known answer, small examples by hand, and rejected input."""

from pathlib import Path

import numpy as np
import pytest
from sample_shown import CLASSES, COUNTS, LABELS, open_plan, predict, show, turned
from scipy.special import log_softmax

from imagestudy.analysis import comparisons, imbalance
from imagestudy.analysis.imbalance.prior_shift import (
    Deployment,
    decide,
    make_deployment,
    pick_tau,
    price_tail,
    reprior,
)
from imagestudy.analysis.imbalance.prior_shift_results import Deployed, Used, Winner, use
from imagestudy.core.errors import InputError
from imagestudy.experiments.grids import Plan
from imagestudy.metrics import classification

EVEN = [1.0] * CLASSES
UNIFORM = make_deployment("uniform", EVEN, classes=CLASSES)
AS_TRAINED = make_deployment("as in training", COUNTS.tolist(), classes=CLASSES)
REVERSED = make_deployment("reversed", COUNTS[::-1].tolist(), classes=CLASSES)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return open_plan(tmp_path)


@pytest.fixture
def shown(plan: Plan) -> imbalance.Shown:
    return show(plan)


def places(plan: Plan, *, tail_cost: float = 5.0) -> list[Deployment]:
    return imbalance.deployments_of(plan, prior=[], tail_cost=tail_cost)


class TestPlaces:
    def test_shares_are_scaled_to_one_and_mistakes_cost_one(self) -> None:
        made = make_deployment("typed in", [3, 1, 0], classes=3)
        assert made.prior.tolist() == [0.75, 0.25, 0.0]
        assert made.cost.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
        assert made.dearest == 1.0
        assert made.saving.tolist() == np.eye(3).tolist()

    def test_the_places_of_a_study(self, plan: Plan) -> None:
        made = {one.name: one for one in places(plan)}
        assert list(made) == ["uniform", "as in training", "reversed", "mostly one class", "tail costs 5×"]
        np.testing.assert_allclose(made["as in training"].prior, COUNTS / COUNTS.sum())
        np.testing.assert_allclose(made["reversed"].prior, COUNTS[::-1] / COUNTS.sum())
        np.testing.assert_allclose(made["mostly one class"].prior, [0.5] + [0.5 / 9] * 9)
        np.testing.assert_allclose(made["tail costs 5×"].prior, 0.1)

    def test_a_prior_that_is_typed_in_takes_the_place_of_the_built_in_one(self, plan: Plan) -> None:
        made = imbalance.deployments_of(plan, prior=[2.0] + [0.0] * 9, tail_cost=1.0)
        assert made[3].name == "typed in"
        assert made[3].prior.tolist() == [1.0] + [0.0] * 9

    def test_only_missing_the_tail_is_dear(self) -> None:
        cost = price_tail(COUNTS, 4.0)
        assert cost[9].tolist() == [4.0] * 9 + [0.0]
        assert cost[6].tolist() == [1.0] * 6 + [0.0] + [1.0] * 3
        assert price_tail(np.array([5, 5, 5]), 4.0).tolist() == (1 - np.eye(3)).tolist()

    def test_ranks_become_classes_of_the_run(self) -> None:
        place = make_deployment("p", [3, 2, 1], cost=[[0, 1, 2], [3, 0, 4], [5, 6, 0]], classes=3)
        own = place.by_class(np.array([2, 9, 4]))
        np.testing.assert_allclose(own.prior, np.array([1, 3, 2]) / 6)
        assert own.cost.tolist() == [[0, 5, 6], [2, 0, 1], [4, 3, 0]]

    @pytest.mark.parametrize(
        ("prior", "sentence"),
        [
            (
                [1, 2],
                r"2 class shares were given in parameter 'prior'; needed: 10, the most frequent class in the training set first",
            ),
            ([-1.0, *EVEN[1:]], r"-1.0 was given for class shares in parameter 'prior'; allowed: finite numbers of at least 0"),
            ([True, *EVEN[1:]], r"True was given for class shares"),
            (["much", *EVEN[1:]], r"'much' was given for class shares"),
            ([float("nan"), *EVEN[1:]], r"nan was given for class shares"),
            ([0] * 10, r"all class shares in parameter 'prior' are 0; needed: at least one above 0"),
        ],
    )
    def test_shares_that_are_not_allowed_are_refused_in_a_sentence(self, prior: list, sentence: str, plan: Plan) -> None:
        with pytest.raises(InputError, match=sentence):
            imbalance.deployments_of(plan, prior=prior, tail_cost=2.0)

    @pytest.mark.parametrize("factor", [-1.0, float("inf"), True, "5"])
    def test_a_factor_that_is_not_allowed_is_refused(self, factor: object, plan: Plan) -> None:
        with pytest.raises(InputError, match="was given for the misclassification cost in parameter 'tail_cost'"):
            imbalance.deployments_of(plan, prior=[], tail_cost=factor)

    @pytest.mark.parametrize(
        ("cost", "sentence"),
        [
            ([[0, 1]], "1 row of misclassification costs was given in c; needed: 2, one for each true class"),
            ([[0, 1], [1]], "1 misclassification cost of a true class was given in c; needed: 2"),
            ([[0, -1], [1, 0]], "-1 was given for misclassification costs of a true class in c"),
            ([[0, 1], [1, 3]], "a correct decision has misclassification cost 3 in c; allowed: 0"),
            ([[0, 0], [9, 0]], "all misclassification costs of the classes that occur are 0 in c; needed: at least one above 0"),
        ],
    )
    def test_costs_that_are_not_allowed_are_refused_in_a_sentence(self, cost: list, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            make_deployment("p", [1, 0], cost=cost, classes=2, where="c")


class TestRepriored:
    def test_a_uniform_prior_at_tau_0_changes_nothing(self) -> None:
        logs = predict(0)
        np.testing.assert_allclose(reprior(logs, COUNTS, UNIFORM.prior, tau=0.0), logs, atol=1e-12)
        assert decide(logs, UNIFORM.saving).tolist() == logs.argmax(axis=1).tolist()

    def test_the_training_prior_at_tau_1_changes_nothing(self) -> None:
        logs = predict(0)
        np.testing.assert_allclose(reprior(logs, COUNTS, AS_TRAINED.prior, tau=1.0), logs, atol=1e-12)

    def test_with_geometric_counts_the_reversed_prior_is_tau_2(self) -> None:
        logs, counts = predict(0), 2 ** np.arange(CLASSES)[::-1]
        backwards = counts[::-1] / counts.sum()
        np.testing.assert_allclose(
            reprior(logs, counts, backwards, tau=1.0), reprior(logs, counts, UNIFORM.prior, tau=2.0), atol=1e-12
        )

    def test_bayes_rule_by_hand(self) -> None:
        logs = np.log(np.array([[0.9, 0.1]]))
        there = reprior(logs, np.array([9, 1]), np.array([0.2, 0.8]), tau=1.0)
        np.testing.assert_allclose(np.exp(there), [[0.2, 0.8]])

    def test_a_class_that_does_not_come_is_never_named(self) -> None:
        prior = np.array([0.0, 0.5, 0.5])
        logs = np.log(np.array([[0.98, 0.01, 0.01]]))
        there = reprior(logs, np.array([5, 5, 5]), prior, tau=1.0)
        np.testing.assert_allclose(np.exp(there), [[0.0, 0.5, 0.5]])
        assert decide(there, np.eye(3))[0] == 1

    def test_a_dear_mistake_is_avoided_at_the_odds_of_its_price(self) -> None:
        saving = make_deployment("p", [1, 1], cost=[[0, 1], [4, 0]], classes=2).saving
        logs = np.log(np.array([[0.81, 0.19], [0.79, 0.21]]))
        assert decide(logs, saving).tolist() == [0, 1]

    def test_of_three_classes_the_one_of_least_expected_cost_is_decided(self) -> None:
        cost = np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 9.0], [2.0, 2.0, 0.0]])
        logs = log_softmax(np.random.default_rng(0).normal(size=(50, 3)), axis=1)
        expected = (np.exp(logs) @ cost).argmin(axis=1)
        saving = make_deployment("p", [1, 1, 1], cost=cost.tolist(), classes=3).saving
        assert decide(logs, saving).tolist() == expected.tolist()
        assert set(expected) == {0, 1, 2} - ({2} - set(expected))

    def test_a_cost_of_the_true_class_alone_acts_like_a_prior(self) -> None:
        logs, weights = predict(1), np.arange(1.0, CLASSES + 1)
        dear = make_deployment("p", EVEN, cost=(weights[:, None] * (1 - np.eye(CLASSES))).tolist(), classes=CLASSES)
        shifted = reprior(logs, COUNTS, weights / weights.sum(), tau=0.0)
        assert decide(logs, dear.saving).tolist() == decide(shifted, UNIFORM.saving).tolist()


class TestPickedOnValidation:
    def test_the_best_score_in_the_place_is_taken(self) -> None:
        logs, grid = predict(0), (0.0, 0.5, 1.0, 1.5)
        tau, score = pick_tau(logs, LABELS, COUNTS, REVERSED, grid=grid)
        tried = [REVERSED.prior @ recalls(reprior(logs, COUNTS, REVERSED.prior, tau=one)) for one in grid]
        assert score == pytest.approx(max(tried))
        assert tried[grid.index(tau)] == pytest.approx(max(tried))
        assert min(tried) < max(tried)

    @pytest.mark.parametrize(("inside", "expected"), [(1.0, 1.0), (0.0, 0.0), (2.0, 2.0), (-0.5, -0.5)])
    def test_the_prior_that_is_inside_is_taken_out(self, inside: float, expected: float) -> None:
        logs = np.concatenate([predict(0, scale=2.5, prior=inside, part=part) for part in range(20)])
        tau, _ = pick_tau(logs, np.tile(LABELS, 20), COUNTS, UNIFORM)
        assert tau == pytest.approx(expected, abs=0.25)

    def test_a_plateau_is_met_in_its_middle(self) -> None:
        logs = np.log(np.array([[0.8, 0.2], [0.2, 0.8]]))
        tau, score = pick_tau(
            logs, np.array([0, 1]), np.array([9, 1]), make_deployment("p", [1, 1], classes=2), grid=(-1.0, 0.0, 0.2, 3.0)
        )
        assert (tau, score) == (0.0, 1.0)


def recalls(logs: np.ndarray) -> np.ndarray:
    return classification.per_class_recall(logs.argmax(axis=1), LABELS, classes=CLASSES)


class TestScores:
    def test_weights_make_the_images_stand_for_the_place(self) -> None:
        labels = np.array([0, 0, 0, 1])
        assert classification.weights_at_shares(labels, np.array([0.5, 0.5])).tolist() == [1 / 6] * 3 + [0.5]

    @pytest.mark.parametrize("repriored", [False, True])
    def test_the_score_is_recall_weighted_by_the_prior(self, repriored: bool, shown: imbalance.Shown) -> None:
        deployed = imbalance.deploy(shown, "mlp", [REVERSED], repriored=repriored)
        by_run = deployed.level("none", "reversed").by_run
        for record, score in zip(shown.cell("mlp", "none"), by_run, strict=True):
            counts, logs = turned(record.spec.seed), record.arrays["test"]
            own = REVERSED.by_class(counts)
            if repriored:
                tau, _ = pick_tau(record.arrays["validation"], LABELS, counts, own)
                logs = reprior(logs, counts, own.prior, tau=tau)
            assert score == pytest.approx(own.prior @ recalls(logs))

    def test_uniform_as_it_comes_is_balanced_accuracy_and_its_gains_those_of_the_imbalance_tables(
        self, shown: imbalance.Shown
    ) -> None:
        deployed = imbalance.deploy(shown, "mlp", [UNIFORM], repriored=False)
        expected = comparisons.level_of(shown.cell("mlp", "focal")).by_run
        np.testing.assert_allclose(deployed.level("focal", "uniform").by_run, expected)
        columns = ["remedy", "difference", "low", "high", "verdict", "comparisons"]
        ours, theirs = (
            frame[columns].sort_values("remedy") for frame in (imbalance.deployed_gains(deployed), imbalance.gains(shown))
        )
        assert ours["remedy"].tolist() == theirs["remedy"].tolist()
        np.testing.assert_allclose(ours[["difference", "low", "high"]], theirs[["difference", "low", "high"]])
        assert ours["verdict"].tolist() == theirs["verdict"].tolist()

    def test_tau_comes_from_validation_and_never_from_the_test_images(self, shown: imbalance.Shown) -> None:
        record = shown.cell("mlp", "none").records[0]
        labels = {"validation": LABELS, "test": LABELS}
        honest = use(record, labels, REVERSED, repriored=True)
        record.arrays["test"][:] = record.arrays["test"][::-1].copy()
        other = use(record, labels, REVERSED, repriored=True)
        assert (honest.tau, honest.validation) == (other.tau, other.validation)
        assert honest.values.tolist() != other.values.tolist()

    def test_renaming_the_classes_changes_no_score(self, shown: imbalance.Shown) -> None:
        record = shown.cell("mlp", "none").records[1]
        order = np.random.default_rng(0).permutation(CLASSES)
        new = np.argsort(order)
        place = make_deployment("p", COUNTS[::-1].tolist(), cost=price_tail(COUNTS, 3.0).tolist(), classes=CLASSES)
        first = use(record, {"validation": LABELS, "test": LABELS}, place, repriored=True)
        counts = np.array(record.facts["counts"])
        record.facts["counts"] = counts[order].tolist()
        for part in ("validation", "test"):
            record.arrays[part] = record.arrays[part][:, order]
        again = use(record, {"validation": new[LABELS], "test": new[LABELS]}, place, repriored=True)
        np.testing.assert_allclose(again.values, first.values)
        assert (again.tau, again.validation) == (first.tau, pytest.approx(first.validation))

    def test_costs_of_0_and_1_are_one_minus_accuracy(self, plan: Plan, shown: imbalance.Shown) -> None:
        place = places(plan, tail_cost=1.0)[-1]
        assert place.cost.tolist() == UNIFORM.cost.tolist()
        before, after = (imbalance.deploy(shown, "mlp", [place, UNIFORM], repriored=again) for again in (False, True))
        frame = imbalance.mean_costs(before, after, place).set_index("remedy")
        accuracy = after.level("none", "uniform").by_run.mean()
        assert frame.loc["plain training", "mean"] == pytest.approx(100 * (1 - accuracy))

    def test_mean_costs_by_hand(self) -> None:
        place = make_deployment("p", [0.75, 0.25], cost=[[0, 2], [4, 0]], classes=2)
        share = 2 * place.prior / place.dearest
        labels = np.array([0, 0, 1, 1])
        right = np.array([1.0, 0.0, 1.0, 0.0])
        values = right * place.cost.max(axis=1)[labels] * share[labels]
        used = {"none": {"p": {seed: Used(1.0, 0.5, values, 2.0) for seed in range(3)}}}
        deployed = Deployed([place], used, labels, 0.01, 1)
        cost = 0.75 * 0.5 * 2 + 0.25 * 0.5 * 4
        assert imbalance.mean_costs(deployed, deployed, place)["mean"][0] == pytest.approx(100 * cost)

    def test_one_decision_moves_its_value_by_no_more_than_the_unit(self, plan: Plan, shown: imbalance.Shown) -> None:
        for repriored in (False, True):
            deployed = imbalance.deploy(shown, "mlp", places(plan), repriored=repriored)
            every = [one for cell in deployed.used.values() for runs in cell.values() for one in runs.values()]
            assert all(np.abs(one.values).max() <= one.unit + 1e-12 for one in every)


class TestTables:
    def test_the_other_members_of_an_ensemble_are_no_runs_of_plain_training(self, shown: imbalance.Shown) -> None:
        plain = [r for r in shown.records if r.spec.remedy.name == "none"]
        assert len(plain) == 12
        assert [r.spec.seed for r in shown.cell("mlp", "none")] == [0, 1, 2, 3]
        assert all(r.spec.init is None for r in shown.cell("mlp", "none"))

    def test_a_post_hoc_remedy_is_plain_training_again_once_re_priored(self, shown: imbalance.Shown) -> None:
        deployed = imbalance.deploy(shown, "mlp", [UNIFORM, REVERSED], repriored=True)
        frame = imbalance.deployed_gains(deployed).set_index(["remedy", "place"])["difference"]
        taus = imbalance.chosen_taus(deployed, "uniform").set_index("remedy")["median"]
        np.testing.assert_allclose([frame["logit adjustment, τ = 1", place] for place in ("uniform", "reversed")], 0.0, atol=1e-12)
        assert taus["plain training"] - taus["logit adjustment, τ = 1"] == pytest.approx(1.0)

    def test_what_only_shifted_decisions_is_nothing_once_all_are_re_priored(self, shown: imbalance.Shown) -> None:
        before, after = (imbalance.deploy(shown, "mlp", [REVERSED], repriored=again) for again in (False, True))
        first, then = (imbalance.deployed_gains(one).set_index("remedy") for one in (before, after))
        assert first.loc["balanced sampler", "verdict"] == "higher"
        assert first.loc["balanced sampler", "difference"] > 0.2 > 0.1 > then.loc["balanced sampler", "difference"]
        assert set(first["comparisons"]) == {4}
        counted = imbalance.left_over(imbalance.deployed_gains(before), imbalance.deployed_gains(after))
        assert counted["higher_before"][0] == (first["verdict"] == "higher").sum() > 0
        assert counted["remedies"][0] == 4
        assert counted["before"][0] == f"{counted['higher_before'][0]} higher, {counted['lower_before'][0]} lower"
        differing = [int((frame["verdict"].isin(["higher", "lower"])).sum()) for frame in (first, then)]
        assert f"Of 4 pairs of a remedy and a place, {differing[0]} differ" in imbalance.say_left(counted)
        assert f"and {differing[1]} once all are re-priored." in imbalance.say_left(counted)

    def test_what_re_prioring_gives_plain_training(self, shown: imbalance.Shown) -> None:
        before, after = (imbalance.deploy(shown, "mlp", [UNIFORM, REVERSED], repriored=again) for again in (False, True))
        frame = imbalance.repriored_plain(before, after).set_index("place")
        for place in ("uniform", "reversed"):
            levels = [deployed.level("none", place).by_run.mean() for deployed in (after, before)]
            assert frame.loc[place, "difference"] == pytest.approx(levels[0] - levels[1])
        assert frame.loc["reversed", "difference"] > frame.loc["uniform", "difference"] > 0
        assert "in *reversed* (higher)" in imbalance.say_repriored(frame.reset_index())

    def test_taus_are_told_with_their_spread_and_a_sentence(self, shown: imbalance.Shown) -> None:
        frame = imbalance.chosen_taus(imbalance.deploy(shown, "mlp", [UNIFORM], repriored=True), "uniform")
        assert (frame["smallest"] <= frame["median"]).all()
        assert (frame["median"] <= frame["largest"]).all()
        assert frame["median"].is_monotonic_decreasing
        median = frame.set_index("remedy")["median"]
        above = (median.drop("plain training") > 0.5).sum()
        assert (
            f"The median τ of plain training is {median['plain training']:.2f}. "
            "For the other remedies, it is closer to 1 than to 0, or "
            f"above 1, in {above} of 4 cases" in imbalance.say_taus(frame)
        )


class TestWinners:
    def test_validation_chooses_and_the_test_images_judge(self, shown: imbalance.Shown) -> None:
        deployed = imbalance.deploy(shown, "mlp", [UNIFORM], repriored=False)
        for name, cell in deployed.used.items():
            for seed, one in cell["uniform"].items():
                cell["uniform"][seed] = Used(one.tau, float(name == "focal"), one.values, one.unit)
        (found,) = imbalance.winners(deployed)
        assert found.remedy == "focal"
        assert found.judged is not None
        assert found.verdicts["balanced_sampler"] == "higher"
        assert "higher on the test images: " in imbalance.say_winners([found])

    def test_plain_training_may_win_and_has_no_gain_over_itself(self, shown: imbalance.Shown) -> None:
        deployed = imbalance.deploy(shown, "mlp", [AS_TRAINED], repriored=False)
        for name, cell in deployed.used.items():
            for seed, one in cell["as in training"].items():
                cell["as in training"][seed] = Used(one.tau, float(name == "none"), one.values, one.unit)
        (found,) = imbalance.winners(deployed)
        assert (found.remedy, found.judged) == ("none", None)
        assert imbalance.say_winners([found]).startswith(
            "* *as in training*: validation chooses **plain training**; statistically indistinguishable from it "
        )

    def test_standings_have_one_chosen_a_place_and_say_who_is_lower(self, plan: Plan, shown: imbalance.Shown) -> None:
        found = imbalance.winners(imbalance.deploy(shown, "mlp", places(plan), repriored=False))
        frame = imbalance.standings(found)
        assert len(frame) == 5 * 5
        assert (frame[frame["standing"] == "chosen"].groupby("place").size() == 1).all()
        for one in found:
            lower = {name for name, verdict in one.verdicts.items() if verdict == "lower"}
            rows = frame[(frame["place"] == one.place) & (frame["standing"] == "lower")]
            assert len(rows) == len(lower)

    def test_a_star_in_a_name_is_no_mark_of_markdown(self) -> None:
        found = Winner("uniform", "logit_adjustment_tuned", None, {"none": "undecided"})
        assert r"**logit adjustment, τ\***" in imbalance.say_winners([found])

    def test_the_remedy_that_is_looked_at_is_trained_and_the_best_on_validation(self, shown: imbalance.Shown) -> None:
        deployed = imbalance.deploy(shown, "mlp", [UNIFORM], repriored=True)
        trained = {name: deployed.on_validation(name, "uniform") for name in ("balanced_sampler", "focal")}
        assert imbalance.closest_remedy(deployed, "") == max(trained, key=lambda name: trained[name])
        assert imbalance.closest_remedy(deployed, "logit_adjustment") == "logit_adjustment"

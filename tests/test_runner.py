"""One description → one recorded run: trained once, loaded ever after, the same wherever and however often it was interrupted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from imagestudy import data
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.experiments import dependencies, execute, runner
from imagestudy.experiments.executors.local import InProcess
from imagestudy.experiments.records import Failure, Record, Records
from imagestudy.experiments.store import RunStore
from imagestudy.metrics import classification
from imagestudy.remedies.posthoc import adjust, pick_tau
from imagestudy.training import TorchLearner

TINY = TrainingSpec(images_seen=256)
ABSURD = TrainingSpec(images_seen=256, learning_rate=1e30)
IMBALANCED = ProfileSpec(name="exponential", ratio=20.0)


def run(model: str = "article", remedy: str | Choice = "none", **fields: object) -> RunSpec:
    """A run of a few steps; `trials` is what a tuned one gets."""
    options = {"trials": 2} if remedy == "tuned" else {}
    given = {"dataset": Choice(name="digits"), "model": ModelSpec(name=model), "training": TINY, "profile": IMBALANCED}
    return RunSpec(**(given | {"remedy": Choice(name=remedy, options=options) if isinstance(remedy, str) else remedy} | fields))


def table() -> list[RunSpec]:
    """A small grid of everything: networks, a classical model, two stages, trials, a tuned run, derived runs, one that fails."""
    plain = [run(model, seed=seed) for model in ("article", "resnet", "bilstm", "logistic") for seed in (0, 1)]
    derived = [run(remedy=name, seed=seed) for name in ("logit_adjustment", "logit_adjustment_tuned") for seed in (0, 1)]
    stages = [run("resnet", remedy="crt"), run(remedy="seed_ensemble")]
    return [*plain, *derived, *stages, run(remedy="tuned"), run("svm", remedy="tuned"), run(training=ABSURD)]


class Nobody:
    """An executor that must not be called."""

    def map(self, function: Callable, tasks: Sequence) -> Iterator:
        assert not tasks, f"{function} was to train {tasks}"
        return iter(())


class Noting:
    """An executor in this process that notes what it trains, and can stop the process before the outcome of a given number."""

    def __init__(self, *, kill_before: int | None = None) -> None:
        self.trained: list[str] = []
        self.kill_before = kill_before

    def map(self, function: Callable, tasks: Sequence) -> Iterator:
        for task in tasks:
            if len(self.trained) == self.kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
            self.trained.append(task.spec.run_id)
            yield function(task)


def store(study: str = "tiny") -> RunStore:
    return RunStore(paths.store_file(study))


def content(records: Records) -> dict[str, object]:
    """Everything of the records that must not depend on how they were made: all but the seconds."""
    return {
        record.spec.run_id: (
            record.scores,
            record.validation,
            record.facts,
            record.cost["images_seen"],
            {name: array.tobytes() for name, array in record.arrays.items()},
        )
        for record in records
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The table made in one go, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGESTUDY_RESULTS", str(tmp_path_factory.mktemp("uninterrupted")))
        return content(runner.obtain(table(), study="tiny", workers=1))


def in_another_process(code: str, **options: object) -> subprocess.Popen:
    head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_runner import *\n"
    return subprocess.Popen([sys.executable, "-c", head + code], stdout=subprocess.PIPE, text=True, **options)


class TestFitOrLoad:
    def test_a_missing_run_is_trained_and_a_recorded_one_loaded(self, capsys: pytest.CaptureFixture) -> None:
        first = runner.obtain([run(), run(seed=1)], study="tiny", workers=1)
        assert "Missing runs, including parents: 2. Estimated time: " in capsys.readouterr().out
        again = runner.obtain([run(), run(seed=1)], study="tiny", executor=Nobody())
        assert capsys.readouterr().out == ""
        assert content(again) == content(first)
        assert len(first) == 2

    def test_only_what_is_missing_is_trained(self) -> None:
        runner.obtain([run()], study="tiny", workers=1)
        noting = Noting()
        runner.obtain([run(), run(seed=1)], study="tiny", executor=noting)
        assert noting.trained == [runner.stamp(run(seed=1)).run_id]

    def test_a_run_asked_for_twice_is_trained_once_and_given_once(self) -> None:
        noting = Noting()
        assert len(runner.obtain([run(), run()], study="tiny", executor=noting)) == 1
        assert len(noting.trained) == 1

    def test_records_come_in_the_order_asked_for(self) -> None:
        wanted = [run(seed=1), run(remedy="logit_adjustment"), run()]
        found = runner.obtain(wanted, study="tiny", workers=1)
        assert [record.spec for record in found] == list(map(runner.stamp, wanted))

    def test_missing_says_what_would_be_trained_parents_first(self) -> None:
        wanted = [run(remedy="logit_adjustment"), run(remedy="tuned")]
        missing = runner.missing(wanted, study="tiny")
        assert [(spec.kind, spec.remedy.name) for spec in missing] == [
            ("run", "none"),
            ("run", "logit_adjustment"),
            ("trial", "none"),
            ("trial", "none"),
            ("run", "tuned"),
        ]
        assert not paths.store_file("tiny").exists()
        runner.obtain(wanted, study="tiny", workers=1)
        assert runner.missing(wanted, study="tiny") == []

    def test_studies_have_stores_of_their_own(self) -> None:
        runner.obtain([run()], study="tiny", workers=1)
        assert len(runner.missing([run()], study="other")) == 1

    def test_training_can_be_forbidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IMAGESTUDY_TRAIN", "never")
        with pytest.raises(InputError, match=r"^IMAGESTUDY_TRAIN is 'never', but 1 run is missing in .*runs.sqlite; the first is"):
            runner.obtain([run()], study="tiny")
        assert not paths.results_folder().exists()

    def test_what_is_recorded_is_loaded_where_training_is_forbidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runner.obtain([run()], study="tiny", workers=1)
        monkeypatch.setenv("IMAGESTUDY_TRAIN", "never")
        assert len(runner.obtain([run()], study="tiny")) == 1

    def test_a_misspelled_wish_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IMAGESTUDY_TRAIN", "nevr")
        with pytest.raises(
            InputError, match=r"unknown value of IMAGESTUDY_TRAIN 'nevr'; allowed: allowed, never; did you mean 'never'"
        ):
            runner.obtain([run()], study="tiny")

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"model": ModelSpec(name="article2")}, "unknown model 'article2'.*did you mean 'article'"),
            ({"model": ModelSpec(name="svm", options={"C": -1.0})}, "model 'svm', C: -1.0 was given"),
            ({"remedy": Choice(name="fokal")}, "unknown remedy 'fokal'.*did you mean 'focal'"),
            ({"remedy": Choice(name="focal", options={"gamma": 11.0})}, "remedy 'focal', gamma: 11.0 was given"),
            ({"dataset": Choice(name="digit")}, "unknown dataset 'digit'"),
        ],
    )
    def test_bad_input_is_refused_before_anything_is_written(self, fields: dict, said: str) -> None:
        with pytest.raises(InputError, match=said):
            runner.obtain([run(), run().with_(**fields)], study="tiny")
        assert not paths.results_folder().exists()


class TestRecord:
    def test_scores_follow_from_what_is_stored(self) -> None:
        (record,) = found = runner.obtain([run()], study="tiny", workers=1)
        counts = np.array(record.facts["counts"])
        for part, scores in (("test", record.scores), ("validation", record.validation)):
            said = record.arrays[part]
            assert said.dtype == np.float16
            labels = next(iter(found.labels.values()))[part]
            expected = {k: round(float(v), 6) for k, v in classification.score(said.astype(np.float64), labels, counts).items()}
            np.testing.assert_equal(scores, {k: expected[k] for k in (expected if part == "test" else execute.SELECTING)})
        best = classification.fit_temperature(
            classification.normalize(record.arrays["validation"]), next(iter(found.labels.values()))["validation"]
        )
        assert record.facts["temperature"] == round(best, 4)

    def test_labels_are_those_of_the_held_out_images(self) -> None:
        found = runner.obtain([run()], study="tiny", workers=1)
        np.testing.assert_array_equal(found.test_labels(), data.test_part(run()).labels)

    @pytest.mark.parametrize(("remedy", "fact"), [("tau_norm", "norm_tau"), ("ncm", "cosine_scale")])
    def test_what_a_remedy_chose_on_validation_is_a_fact(self, remedy: str, fact: str) -> None:
        record = execute.record(dependencies.Task(run(remedy=remedy), run(remedy=remedy)))
        assert isinstance(record, Record)
        assert record.facts[fact] >= 0
        assert record.cost["images_seen"] == 256

    @pytest.mark.parametrize("remedy", ["none", "logit_adjustment", "seed_ensemble"])
    def test_what_is_missed_says_the_decisions_without_the_predictions(self, remedy: str) -> None:
        (record,) = found = runner.obtain([run(remedy=remedy)], study="tiny", executor=InProcess())
        labels = found.test_labels()
        np.testing.assert_array_equal((labels + record.arrays["missed"]) % 10, record.arrays["test"].argmax(axis=1))
        assert (record.arrays["missed"] == 0).mean() == pytest.approx(record.scores["accuracy"], abs=1e-6)

    def test_facts_and_cost_say_what_was_done(self) -> None:
        record = execute.record(dependencies.Task(run(), run(training=TrainingSpec(images_seen=256, learning_rate=0.01))))
        assert isinstance(record, Record)
        assert record.facts["counts"] == data.prepare(run()).counts.tolist()
        assert record.facts["learning_rate"] == 0.01
        assert 0 <= record.facts["train_accuracy"] <= 1
        assert record.cost["images_seen"] == 256
        assert record.arrays.keys() == {"validation", "test", "curve", "missed"}

    def test_a_trial_never_meets_the_test_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(data, "test_part", lambda _: 1 / 0)
        trial = run(kind="trial")
        record = execute.record(dependencies.Task(trial, trial))
        assert isinstance(record, Record)
        assert (record.scores, set(record.arrays)) == ({}, {"validation"})
        assert record.validation["balanced_accuracy"] > 0
        assert execute.record(dependencies.Task(run(), run())) == Failure(run(), "ZeroDivisionError: division by zero")

    @pytest.mark.parametrize(
        ("kind", "seen", "looks"), [("trial", 6_400, 0), ("run", 640, 5), ("run", 3_200, 11), ("run", 64_000, 20)]
    )
    def test_a_run_does_not_look_longer_than_it_learns(
        self, monkeypatch: pytest.MonkeyPatch, kind: str, seen: int, looks: int
    ) -> None:
        """On the way it predicts at most as many images as it learns from, or `LEAST_POINTS` times all; then each part once."""
        predicted: list[int] = []

        def predict(self: TorchLearner, images: np.ndarray) -> np.ndarray:
            predicted.append(len(images))
            return np.log(np.full((len(images), self.classes), 1 / self.classes))

        monkeypatch.setattr(TorchLearner, "predict_log_proba", predict)
        spec = run("perceptron", kind=kind, training=TrainingSpec(images_seen=seen))
        prepared = data.prepare(spec)
        validation, test = len(prepared.validation.labels), len(data.test_part(spec).labels)
        assert isinstance(execute.record(dependencies.Task(spec, spec)), Record)
        once = [validation] if kind == "trial" else [len(prepared.train.labels), validation, test]
        assert sorted(predicted) == sorted([validation] * looks + once)
        assert looks <= execute.LEAST_POINTS or looks * validation <= 1.1 * seen

    @pytest.mark.parametrize("model", ["mlp", "logistic"])
    def test_a_cost_is_measured_without_a_score(self, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(data, "test_part", lambda _: 1 / 0)
        monkeypatch.setattr(runner, "FreshProcesses", InProcess)
        (record,) = runner.obtain([run(model, kind="cost")], study="tiny", executor=Nobody())
        assert (record.scores, record.validation, record.arrays) == ({}, {}, {})
        assert record.cost.keys() >= {"seconds", "memory_mb", "latency_ms", "images_per_second"}
        assert ("params" in record.cost) == ("flops" in record.cost) == (model == "mlp")
        assert record.cost["latency_ms"] > 0

    @pytest.mark.parametrize("remedy", ["ldam", "crt", "lws", "tau_norm", "ncm", "tail_cutmix"])
    def test_what_a_remedy_costs_is_measured_without_the_test_images(self, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """All heads have one product a feature and class, so that none of these changes the operations of an image."""
        monkeypatch.setattr(data, "test_part", lambda _: 1 / 0)
        monkeypatch.setattr(execute, "_median_seconds", lambda _: 1.0)
        measured = [execute.record(dependencies.Task(spec, spec)) for spec in (run(remedy=remedy, kind="cost"), run(kind="cost"))]
        found, plain = (one.cost for one in measured if isinstance(one, Record))
        assert found["seconds"] > 0
        assert found["flops"] == plain["flops"]
        assert found["params"] - plain["params"] == {"lws": 10, "ldam": -10, "tau_norm": -10, "ncm": -10}.get(remedy, 0)


class TestDerived:
    @pytest.mark.parametrize("remedy", ["logit_adjustment", "logit_adjustment_tuned"])
    def test_it_equals_adjusting_its_parent_by_hand(self, remedy: str) -> None:
        found = runner.obtain([run(seed=3), run(remedy=remedy, seed=3)], study="tiny", workers=1)
        parent, derived = found
        labels, counts = next(iter(found.labels.values())), np.array(parent.facts["counts"])
        said = {part: parent.arrays[part].astype(np.float64) for part in labels}
        tau = 1.0 if remedy == "logit_adjustment" else pick_tau(said["validation"], labels["validation"], counts)
        expected = adjust(said["test"], counts, tau=tau)
        np.testing.assert_array_equal(derived.arrays["test"], expected)
        scores = classification.score(expected, labels["test"], counts)
        np.testing.assert_equal(derived.scores, {k: round(float(v), 6) for k, v in scores.items()})
        assert derived.facts["tau"] == tau
        best = classification.fit_temperature(adjust(said["validation"], counts, tau=tau), labels["validation"])
        assert derived.facts["temperature"] == round(best, 4)
        assert derived.cost == parent.cost

    def test_it_trains_nothing(self) -> None:
        runner.obtain([run()], study="tiny", workers=1)
        assert len(runner.obtain([run(remedy="logit_adjustment")], study="tiny", executor=Nobody())) == 1

    def test_its_parent_is_trained_once_for_all(self) -> None:
        noting = Noting()
        derived = [run(remedy=name) for name in ("logit_adjustment", "logit_adjustment_tuned")]
        assert len(runner.obtain(derived, study="tiny", executor=noting)) == 2
        assert noting.trained == [runner.stamp(run()).run_id]

    def test_the_parent_is_the_plain_run_with_the_same_seeds(self) -> None:
        derived = runner.stamp(run(remedy="logit_adjustment", seed=4, init=7))
        assert dependencies.parents(derived) == (runner.stamp(run(seed=4, init=7)),)

    def test_a_balanced_set_leaves_every_prediction(self) -> None:
        plain, derived = runner.obtain(
            [run(profile=ProfileSpec()), run(profile=ProfileSpec(), remedy="logit_adjustment")], study="tiny", workers=1
        )
        np.testing.assert_allclose(derived.arrays["test"], classification.normalize(plain.arrays["test"]), atol=1e-12)


class TestEnsemble:
    def test_it_is_the_mean_probability_of_its_members(self) -> None:
        ensemble = runner.stamp(run(remedy="seed_ensemble", seed=3))
        derived, *members = found = runner.obtain([ensemble, *dependencies.parents(ensemble)], study="tiny", executor=InProcess())
        labels, counts = next(iter(found.labels.values())), np.array(derived.facts["counts"])
        for part, scored in (("validation", derived.validation), ("test", derived.scores)):
            said = np.mean([np.exp(classification.normalize(member.arrays[part])) for member in members], axis=0)
            np.testing.assert_allclose(np.exp(derived.arrays[part]), said, atol=1e-12)
            scores = classification.score(np.log(said), labels[part], counts)
            assert {k: pytest.approx(scores[k], abs=1e-6) for k in scored} == scored
        assert len({member.arrays["test"].tobytes() for member in members}) == 3
        best = classification.fit_temperature(derived.arrays["validation"], labels["validation"])
        assert derived.facts["temperature"] == pytest.approx(best, abs=1e-3)

    def test_members_who_agree_say_together_what_each_says(self) -> None:
        said = classification.normalize(np.random.default_rng(0).normal(size=(20, 4)))
        np.testing.assert_allclose(execute.mean_probability([said] * 3), said, atol=1e-12)
        np.testing.assert_array_equal(execute.mean_probability([said]), said)

    def test_a_member_who_is_sure_does_not_silence_the_others(self) -> None:
        sure, unsure = np.log([[1.0, 1e-300]]), np.log([[0.2, 0.8]])
        np.testing.assert_allclose(np.exp(execute.mean_probability([sure, unsure])), [[0.6, 0.4]])

    def test_it_costs_as_much_as_all_its_members(self) -> None:
        ensemble = runner.stamp(run(remedy="seed_ensemble"))
        derived, *members = runner.obtain([ensemble, *dependencies.parents(ensemble)], study="tiny", executor=InProcess())
        assert derived.cost["images_seen"] == 3 * 256
        assert derived.cost["seconds"] == pytest.approx(sum(member.cost["seconds"] for member in members), abs=1e-3)

    def test_its_members_share_the_training_set_and_differ_in_initialisation_and_batches(self) -> None:
        members = dependencies.parents(runner.stamp(run(remedy="seed_ensemble", seed=4)))
        assert members[0] == runner.stamp(run(seed=4))
        assert [member.remedy.name for member in members] == ["none"] * 3
        assert {(member.seed_of("draw"), member.seed_of("order")) for member in members} == {(4, 4)}
        for stream in ("init", "batches"):
            assert [member.seed_of(stream) for member in members] == [4, 104, 204]
        sets = [data.prepare(member).train for member in members]
        for other in sets[1:]:
            np.testing.assert_array_equal(other.images, sets[0].images)
            np.testing.assert_array_equal(other.labels, sets[0].labels)

    def test_ensembles_of_different_seeds_share_no_member(self) -> None:
        members = [dependencies.parents(runner.stamp(run(remedy="seed_ensemble", seed=seed))) for seed in range(10)]
        assert len({member.run_id for some in members for member in some}) == 30

    def test_it_may_have_other_sizes(self) -> None:
        assert len(dependencies.parents(runner.stamp(run(remedy=Choice(name="seed_ensemble", options={"members": 5}))))) == 5

    def test_the_plain_run_is_one_of_its_members_and_is_not_trained_again(self) -> None:
        runner.obtain([run()], study="tiny", executor=InProcess())
        noting = Noting()
        runner.obtain([run(remedy="seed_ensemble")], study="tiny", executor=noting)
        assert len(noting.trained) == 2
        again = runner.obtain([run(remedy="seed_ensemble")], study="tiny", executor=Nobody())
        assert next(iter(again)).arrays.keys() >= {"validation", "test"}

    def test_it_fails_with_a_member(self) -> None:
        ensemble = runner.stamp(run(remedy="seed_ensemble"))
        store().write(Failure(dependencies.parents(ensemble)[2], "no luck"))
        assert len(runner.obtain([ensemble], study="tiny", executor=InProcess())) == 0
        assert store().failures()[ensemble.run_id].reason.startswith("a run it depends on failed: ")


class TestDiagnostic:
    @pytest.fixture
    def kept(self, monkeypatch: pytest.MonkeyPatch) -> list:
        """The learners that are made."""
        made: list = []
        make = execute.make_learner
        monkeypatch.setattr(execute, "make_learner", lambda *given, **options: made.append(make(*given, **options)) or made[-1])
        return made

    def test_it_keeps_a_curve_and_nothing_by_which_anything_could_be_chosen(self) -> None:
        (record,) = runner.obtain([run("mlp", kind="diagnostic")], study="tiny", executor=InProcess())
        assert (record.scores, record.validation) == ({}, {})
        assert record.facts.keys() == {"counts"}
        assert record.arrays.keys() == {"curve"}
        assert record.arrays["curve"].shape == (4, 5)
        assert np.isfinite(record.arrays["curve"]).all()

    @pytest.mark.parametrize("model", ["mlp", "resnet"])
    def test_it_trains_as_the_run_does_bit_for_bit(self, model: str, kept: list) -> None:
        plain, diagnostic = runner.obtain([run(model), run(model, kind="diagnostic")], study="tiny", executor=InProcess())
        states = [learner.network.state_dict() for learner in kept]
        assert len(states) == 2
        assert all(states[0][name].equal(states[1][name]) for name in states[0])
        np.testing.assert_array_equal(diagnostic.arrays["curve"][:, :4], plain.arrays["curve"])

    def test_its_last_look_is_the_score_of_the_run_on_each_part(self) -> None:
        plain, diagnostic = runner.obtain([run("mlp"), run("mlp", kind="diagnostic")], study="tiny", executor=InProcess())
        *_, validation, test = diagnostic.arrays["curve"][-1]
        assert test == pytest.approx(
            plain.scores["balanced_accuracy"], abs=0.005
        )  # a tie in what float16 stores may fall otherwise
        assert validation == pytest.approx(plain.validation["balanced_accuracy"], abs=0.01)

    def test_it_looks_at_most_a_hundred_times(self) -> None:
        long = run(kind="diagnostic", training=TrainingSpec(images_seen=150 * 8, batch=8))
        (record,) = runner.obtain([long], study="tiny", executor=InProcess())
        assert record.arrays["curve"].shape == (execute.DIAGNOSTIC_POINTS, 5)
        assert record.arrays["curve"][-1, 0] == 150 * 8

    def test_nothing_is_computed_or_chosen_from_one(self) -> None:
        for name in ("logit_adjustment_tuned", "seed_ensemble", "tuned"):
            assert {parent.kind for parent in dependencies.parents(runner.stamp(run(remedy=name)))} <= {"run", "trial"}


class TestTuned:
    @pytest.mark.parametrize("model", ["article", "svm", "knn", "majority"])
    def test_it_takes_the_trial_that_is_best_on_validation(self, model: str) -> None:
        tuned = runner.stamp(run(model, remedy="tuned"))
        (record,) = runner.obtain([tuned], study="tiny", workers=1)
        trials = store().load(spec.run_id for spec in dependencies.parents(tuned))
        best = max(trials.values(), key=lambda trial: trial.validation["balanced_accuracy"])
        assert len(trials) == (1 if model == "majority" else 2)
        chosen = tuned.with_(remedy=Choice(name="none"), model=best.spec.model, training=best.spec.training)
        (by_hand,) = runner.obtain([chosen], study="by hand", workers=1)
        assert record.scores == by_hand.scores
        np.testing.assert_array_equal(record.arrays["test"], by_hand.arrays["test"])
        assert record.facts == by_hand.facts

    def test_trials_have_no_test_scores_and_a_seed_that_is_not_reported(self) -> None:
        tuned = [runner.stamp(run(remedy="tuned", seed=seed)) for seed in (0, 1)]
        noting = Noting()
        runner.obtain(tuned, study="tiny", executor=noting)
        trials = store().load(spec.run_id for spec in dependencies.parents(tuned[0]))
        assert all(
            (t.scores, set(t.arrays), t.spec.kind, t.spec.seed) == ({}, {"validation"}, "trial", 1_000) for t in trials.values()
        )
        assert dependencies.parents(tuned[0]) == dependencies.parents(tuned[1])
        assert len(noting.trained) == 2 + 2

    def test_every_model_gets_as_many_trials_and_its_own_recipe_among_them(self) -> None:
        for model in ("article", "resnet", "vit", "logistic", "knn", "svm", "hog_svm"):
            whole = runner.stamp(run(model).with_(remedy=Choice(name="tuned")))
            trials = dependencies.parents(whole)
            assert len({trial.run_id for trial in trials}) == 8
            assert dependencies.parents(runner.stamp(run(model, remedy="tuned"))) == trials[:2]

    def test_a_failed_trial_is_passed_over(self) -> None:
        tuned = runner.stamp(run(remedy="tuned"))
        first, second = dependencies.parents(tuned)
        runner.obtain([second], study="tiny", workers=1)
        store().write(Failure(first, "no luck"))
        (record,) = runner.obtain([tuned], study="tiny", workers=1)
        assert record.facts["learning_rate"] == second.training.learning_rate

    def test_without_any_trial_it_fails_with_the_reason(self) -> None:
        tuned = runner.stamp(run(remedy="tuned"))
        for trial in dependencies.parents(tuned):
            store().write(Failure(trial, "no luck"))
        assert len(runner.obtain([tuned, run(seed=1)], study="tiny", executor=Noting())) == 1
        assert "a run it depends on failed" in store().failures()[tuned.run_id].reason


class TestFailures:
    def test_a_run_that_diverges_is_recorded_and_does_not_stop_the_others(self) -> None:
        broken = runner.stamp(run(training=ABSURD))
        found = runner.obtain([broken, run()], study="tiny", workers=1)
        assert [record.spec for record in found] == [runner.stamp(run())]
        assert store().failures()[broken.run_id].reason.startswith("DivergedError: the loss was ")

    def test_it_is_not_tried_again_until_it_is_forgotten(self) -> None:
        broken = runner.stamp(run(training=ABSURD))
        runner.obtain([broken], study="tiny", workers=1)
        assert len(runner.obtain([broken], study="tiny", executor=Nobody())) == 0
        store().forget([broken.run_id])
        noting = Noting()
        runner.obtain([broken], study="tiny", executor=noting)
        assert noting.trained == [broken.run_id]

    def test_what_stands_on_a_failed_run_fails_with_it(self) -> None:
        derived = runner.stamp(run(remedy="logit_adjustment", training=ABSURD))
        found = runner.obtain([derived, run()], study="tiny", workers=1)
        assert len(found) == 1
        assert store().failures()[derived.run_id].reason.startswith("a run it depends on failed: ")

    def test_any_error_inside_is_the_runs_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def break_on_seed_1(spec: RunSpec, **_: object) -> object:
            return 1 / 0 if spec.seed == 1 else make(spec, **_)

        make = execute.make_learner
        monkeypatch.setattr(execute, "make_learner", break_on_seed_1)
        assert len(runner.obtain([run(seed=seed) for seed in range(3)], study="tiny", executor=InProcess())) == 2
        assert [failure.reason for failure in store().failures().values()] == ["ZeroDivisionError: division by zero"]


class TestSameNumbersHoweverDone:
    def test_one_and_two_workers(self, uninterrupted: dict[str, object]) -> None:
        assert content(runner.obtain(table(), study="tiny", workers=2)) == uninterrupted
        assert len(uninterrupted) == len(table()) - 1

    def test_backwards_and_one_by_one(self, uninterrupted: dict[str, object]) -> None:
        found = [content(runner.obtain([spec], study="tiny", workers=1)) for spec in reversed(table())]
        assert {run_id: made for one in found for run_id, made in one.items()} == uninterrupted

    def test_killed_in_the_middle_and_resumed(self, uninterrupted: dict[str, object]) -> None:
        killed = in_another_process('runner.obtain(table(), study="tiny", executor=Noting(kill_before=5))')
        killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL
        status = list(store().status().values())
        assert status.count("done") + status.count("failed") == 5
        assert "claimed" in status
        noting = Noting()
        assert content(runner.obtain(table(), study="tiny", executor=noting)) == uninterrupted
        assert "claimed" not in store().status().values()
        assert len(noting.trained) == 8 + 1 + 2 + 2 + 2 + 1 + 2 - 5

    def test_two_processes_at_once_train_each_run_once(self, uninterrupted: dict[str, object]) -> None:
        code = """
noting = Noting()
sys.stdin.readline()
found = runner.obtain(table(), study="tiny", executor=noting)
print(json.dumps([noting.trained, {record.spec.run_id: record.scores for record in found}]))
"""
        both = [in_another_process(code, stdin=subprocess.PIPE) for _ in range(2)]
        for process in both:
            process.stdin.write("go\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        (trained, table_of_one), (others, table_of_other) = [
            json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in both
        ]
        assert not set(trained) & set(others)
        assert len(trained) + len(others) == 8 + 1 + 2 + 2 + 2 + 1 + 2
        assert json.dumps(table_of_one) == json.dumps(table_of_other)
        assert content(runner.obtain(table(), study="tiny", executor=Nobody())) == uninterrupted


class TestEstimates:
    def test_a_guess_grows_with_the_budget_and_shrinks_with_the_workers(self) -> None:
        few, many = (run(training=TrainingSpec(images_seen=seen)) for seen in (4_000, 40_000))
        one = runner.estimate_seconds([many], store(), workers=1)
        assert one == pytest.approx(10 * runner.estimate_seconds([few], store(), workers=1))
        assert one == pytest.approx(2 * runner.estimate_seconds([many], store(), workers=2))

    def test_derived_runs_take_no_time(self) -> None:
        assert runner.estimate_seconds([run(remedy="logit_adjustment")], store(), workers=1) == 0

    def test_what_was_measured_replaces_the_guess(self) -> None:
        store().write(Record(run(), {}, {}, {"seconds": 7.0}, {}))
        assert runner.estimate_seconds([run(seed=1), run(seed=2)], store(), workers=1) == 14

    def test_what_was_measured_with_another_budget_counts_in_proportion(self) -> None:
        store().write(Record(run(), {}, {}, {"seconds": 7.0}, {}))
        longer = run(training=run().training.model_copy(update={"images_seen": 3 * run().training.images_seen}))
        assert runner.estimate_each([longer, run()], store()) == pytest.approx([21, 7])

    def test_a_guess_grows_with_the_operations_and_leaves_the_random_numbers_alone(self) -> None:
        before = torch.get_rng_state()
        small, large = (run().with_(model=ModelSpec(name="resnet", options={"width": width})) for width in (8, 32))
        one, other = runner.estimate_each([small, large], store())
        assert 0 < one < other
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_network_that_cannot_be_built_is_a_failure_of_its_run_and_not_of_the_estimate(self) -> None:
        broken = run().with_(model=ModelSpec(name="vit", options={"width": 33}))
        assert runner.estimate_each([broken], store())[0] >= 0

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [(0.0, "less than a minute"), (49.0, "less than a minute"), (50.0, "about 1 minute"), (200.0, "about 3 minutes")],
    )
    def test_durations_are_said_in_words(self, seconds: float, said: str) -> None:
        assert runner.say_duration(seconds) == said

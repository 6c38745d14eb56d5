"""Successive halving and the recommendation, on a small study of digits and on a folder with groups."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from imagestudy import data
from imagestudy.analysis import comparisons, recommendation
from imagestudy.core.errors import InputError
from imagestudy.data import datasets, splits
from imagestudy.experiments import grids, runner, search
from imagestudy.experiments.search import Candidate

FIXED = """\
dataset: digits
questions: [recommendation]
models: [majority]
profiles: [{name: exponential, ratio: 20}]
crossed: [mlp, svm]
remedies: [none, tuned, balanced_sampler, class_weights, logit_adjustment, seed_ensemble]
training: {images_seen: 1_920}
efforts: {smoke: {runs: 2, rungs: 1, finalists: 2}, default: {runs: 3, rungs: 2, finalists: 1}, full: {runs: 3}}
"""
FOLDER = """\
dataset: {name: folder, options: {path: PATH, side: 8, group: "^[^/]+/(\\\\d+)_"}}
questions: [recommendation]
models: [majority]
profiles: [{name: natural}]
crossed: [mlp, svm]
remedies: [none, balanced_sampler, logit_adjustment]
training: {images_seen: 1_920}
efforts: {smoke: {runs: 3, rungs: 1, finalists: 2}, default: {runs: 3}, full: {runs: 3}}
"""


@pytest.fixture
def fixed(tmp_path):
    (tmp_path / "small.yaml").write_text(FIXED, encoding="utf-8")
    return str(tmp_path / "small.yaml")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three digits as PNG files, imbalanced, each image in a group with its neighbour."""
    monkeypatch.setenv("IMAGESTUDY_DATA", str(tmp_path / "data"))
    found = load_digits()
    for label, number in ((0, 90), (1, 60), (3, 30)):
        (tmp_path / "own" / f"digit {label}").mkdir(parents=True)
        for place, image in enumerate(found.images[found.target == label][:number]):
            pixels = np.rint(image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / f"digit {label}" / f"{label}{place // 2}_{place}.png")
    (tmp_path / "own.yaml").write_text(FOLDER.replace("PATH", str(tmp_path / "own")), encoding="utf-8")
    return str(tmp_path / "own.yaml")


def test_candidates_are_single_trainings_and_what_follows_from_them(fixed):
    found = search.candidates(grids.open_study(fixed, "smoke"))
    assert {one.remedy for one in found if one.model == "mlp"} == {"none", "balanced_sampler", "class_weights", "logit_adjustment"}
    assert {one.model for one in found} == {"mlp", "svm"}


@pytest.mark.parametrize(("rungs", "number", "finalists"), [(1, 30, 4), (2, 28, 4), (3, 28, 2), (2, 3, 4), (4, 100, 1)])
def test_each_rung_keeps_a_third_and_the_last_the_finalists(rungs, number, finalists):
    kept = [search.kept_after(r, rungs=rungs, candidates=number, finalists=finalists) for r in range(rungs)]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == min(number, finalists)
    assert all(k == max(min(number, finalists), -(-number // 3 ** (r + 1))) for r, k in enumerate(kept[:-1]))


def test_every_rung_has_three_times_the_budget_of_the_one_before(fixed):
    plan = grids.open_study(fixed, "default")
    assert search.budgets(plan) == [213, 640]


def test_a_choice_is_loaded_the_second_time_and_is_the_best_of_its_own_run_on_validation(fixed, monkeypatch):
    plan = grids.open_study(fixed, "smoke")
    first = search.select(plan)
    monkeypatch.setenv("IMAGESTUDY_TRAIN", "never")
    again = search.select(plan)
    assert first.trials.equals(again.trials)
    assert [r.spec for r in search.chosen(first)] == [r.spec for r in search.chosen(again)]
    asked = {runner.stamp(spec).run_id for spec in first.wanted}
    assert asked <= {runner.stamp(spec).run_id for spec in search.possible(plan)}
    for number, own in first.trials.groupby("run"):
        scores = {Candidate(row.model, row.remedy): row.score for row in own.itertuples()}
        assert sorted(scores, key=lambda one: (-scores[one], search.simplicity(one)))[:2] == list(first.finalists[number])
    for record in search.chosen(first):
        rivals = [r for r in first.records if r.spec.seed == record.spec.seed]
        finalists = [r for r in rivals if Candidate(r.spec.model.name, r.spec.remedy.name) in first.finalists[record.spec.seed]]
        assert record.validation["balanced_accuracy"] == max(r.validation["balanced_accuracy"] for r in finalists)


def test_of_equal_candidates_the_simplest_goes_on(fixed):
    """The order of the letters once decided: balanced_sampler before none, bilstm before mlp."""
    remedies = ("balanced_sampler", "balanced_softmax", "crt", "logit_adjustment", "none")
    equal = {Candidate(model, name): 1.0 for model in ("bilstm", "resnet18", "mlp", "svm", "logistic") for name in remedies}
    ordered = sorted(equal, key=search.simplicity)
    assert list(dict.fromkeys(one.model for one in ordered)) == ["logistic", "svm", "mlp", "bilstm", "resnet18"]
    assert [one.remedy for one in ordered[:5]] == ["none", "logit_adjustment", "balanced_softmax", "crt", "balanced_sampler"]
    plan = grids.open_study(fixed, "smoke")
    scores = dict.fromkeys(search.candidates(plan), 1.0)
    kept = search._go_on(plan, scores, 0)
    assert kept == sorted(scores, key=search.simplicity)[: len(kept)]
    assert kept[0].remedy == "none"


def test_trials_see_the_run_s_own_training_images_and_no_test_image(fixed, monkeypatch):
    plan = grids.open_study(fixed, "smoke")
    spec = search.runs_of(plan, Candidate("mlp", "none"))[1]
    trial = search.trial(spec, 640)
    np.testing.assert_array_equal(data.prepare(trial).train.images, data.prepare(spec).train.images)
    monkeypatch.setattr(data, "test_part", lambda _: pytest.fail("a trial asked for test images"))
    (record,) = runner.obtain([trial], study=plan.name, workers=1)
    assert record.scores == {}


def test_a_derived_trial_is_what_its_parent_says_corrected(fixed):
    plan = grids.open_study(fixed, "smoke")
    plain, adjusted = (search.trial(search.runs_of(plan, Candidate("mlp", name))[0], 640) for name in ("none", "logit_adjustment"))
    one, other = runner.obtain([plain, adjusted], study=plan.name, workers=1)
    labels = data.held_out_labels(plan.study.dataset)["validation"]
    said = one.arrays["validation"].astype(float) - np.log(np.array(one.facts["counts"]) / sum(one.facts["counts"]))
    recall = [np.mean(said[labels == c].argmax(axis=1) == c) for c in range(10)]
    assert other.validation["balanced_accuracy"] == pytest.approx(np.mean(recall), abs=1e-6)
    assert other.scores == {}


def test_a_study_without_candidates_is_refused(tmp_path):
    (tmp_path / "none.yaml").write_text(FIXED.replace("crossed: [mlp, svm]", "crossed: []"), encoding="utf-8")
    with pytest.raises(InputError, match="names no model under 'crossed'"):
        recommendation.recommend(grids.open_study(str(tmp_path / "none.yaml"), "smoke"))


def test_a_study_whose_remedies_give_no_candidate_is_refused_in_a_sentence(tmp_path):
    text = FIXED.replace(FIXED.split("remedies: ")[1].split("\n")[0], "[tuned]")
    (tmp_path / "tuned.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"has no candidate: .* add 'none' to 'remedies'"):
        search.candidates(grids.open_study(str(tmp_path / "tuned.yaml"), "smoke"))


class TestFolder:
    def test_every_run_draws_another_split_and_no_group_stands_on_two_sides(self, folder):
        plan = grids.open_study(folder, "smoke")
        assert plan.is_redrawn
        dataset = datasets.load(plan.study.dataset)
        drawn = [splits.split(dataset, number=number) for number in range(3)]
        assert len({tuple(one.test) for one in drawn}) == 3
        for one in drawn:
            parts = [set(dataset.groups[rows]) for rows in (one.train, one.validation, one.test)]
            assert not parts[0] & parts[1]
            assert not parts[0] & parts[2]
            assert not parts[1] & parts[2]
            assert sorted(np.concatenate([one.train, one.validation, one.test])) == list(range(len(dataset.labels)))
            for rows in (one.train, one.validation, one.test):
                assert set(dataset.labels[rows]) == {0, 1, 2}

    def test_the_answer_is_that_of_the_choices_on_test_images_of_their_own(self, folder):
        answer = recommendation.recommend(grids.open_study(folder, "smoke"), workers=1)
        scores = [record.scores["balanced_accuracy"] for record in answer.chosen]
        assert answer.level.redrawn
        assert answer.level.estimate == pytest.approx(np.mean(scores))
        assert {record.spec.split for record in answer.chosen} == {0, 1, 2}
        assert answer.best in answer.selection.panel
        assert answer.panel["recommended"].sum() == 1
        assert answer.panel.loc[answer.panel["recommended"], "difference"].item() == 0
        gain = comparisons.difference(answer.chosen, answer.plain)
        assert answer.gain.interval.estimate == pytest.approx(gain.by_run.mean())
        assert "redrawn splits of" in recommendation.say_answer(answer)

    def test_confusion_counts_every_test_image_once(self, folder):
        answer = recommendation.recommend(grids.open_study(folder, "smoke"), workers=1)
        tests = [len(answer.chosen.labels_of(record)["test"]) for record in answer.cell(answer.best)]
        assert recommendation.confusion(answer).sum() == pytest.approx(np.mean(tests))
        frame = recommendation.recall(answer)
        assert set(frame["class"]) == {0, 1, 2}
        own = frame[frame["candidate"] == recommendation.name_of(answer.best)]
        scores = [record.scores["balanced_accuracy"] for record in answer.cell(answer.best)]
        assert own["recall"].mean() == pytest.approx(np.mean(scores), abs=1e-5)

"""Comparisons are paired, follow the verdict rule, and are said with the verb and the numbers of their interval."""

import numpy as np
import pytest

from imagestudy import stats
from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.comparisons import Effect
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec
from imagestudy.experiments.records import Record, Records, labels_key

DIGITS = Choice(name="digits")
LABELS = np.repeat(np.arange(10), 20).astype(np.int64)


def record(seed: int, *, wrong: list[int], model: str = "mlp", remedy: str = "none", validation: float = 0.5) -> Record:
    """A run that names every test image rightly but for the given ones."""
    named = LABELS.copy()
    named[wrong] = (named[wrong] + 1) % 10
    said = np.full((len(LABELS), 10), -8.0, dtype=np.float16)
    said[np.arange(len(LABELS)), named] = -0.001
    spec = RunSpec(dataset=DIGITS, model=ModelSpec(name=model), remedy=Choice(name=remedy), profile=ProfileSpec(), seed=seed)
    score = float((named == LABELS).mean())
    scores = {"balanced_accuracy": score, "accuracy": score, "nll": 0.1}
    return Record(spec, scores, {"balanced_accuracy": validation, "accuracy": validation}, {"seconds": 1.0}, {}, {"test": said})


def records(*members: Record) -> Records:
    return Records(members, {labels_key(DIGITS): {"test": LABELS}})


def cell(model: str, number: int, *, runs: int = 5, **more) -> Records:
    """Runs that fail on `number` images each, others in every run."""
    draws = np.random.default_rng(sum(map(ord, model)))
    return records(*(record(s, wrong=draws.choice(200, number, replace=False).tolist(), model=model, **more) for s in range(runs)))


def test_a_level_is_the_mean_of_the_runs_scores():
    some = cell("mlp", 30)
    effect = compare.level_of(some)
    assert effect.by_run == pytest.approx([r.scores["balanced_accuracy"] for r in some])
    assert effect.interval().estimate == pytest.approx(0.85)


def test_a_difference_is_paired_by_seed_whatever_the_order_of_the_records():
    a, b = cell("mlp", 10), cell("resnet", 30)
    shuffled = Records(a.records[::-1], a.labels)
    np.testing.assert_array_equal(compare.difference(a, b).values, compare.difference(shuffled, b).values)
    np.testing.assert_allclose(compare.difference(a, b).by_run, -compare.difference(b, a).by_run)


def test_only_shared_seeds_are_paired_and_two_records_of_a_seed_are_refused():
    a, b = cell("mlp", 10, runs=5), cell("resnet", 10, runs=3)
    assert compare.difference(a, b).values.shape == (3, 200)
    with pytest.raises(ValueError, match="several records with the same seed"):
        compare.difference(Records(a.records * 2, a.labels), b)
    with pytest.raises(ValueError, match="no seed in common"):
        compare.difference(records(record(7, wrong=[])), b)


def test_the_verdict_comes_from_the_interval_at_the_corrected_level():
    effect = compare.difference(cell("mlp", 10), cell("resnet", 60))
    for comparisons in (1, 10):
        judged = compare.judge(effect, margin=0.01, comparisons=comparisons)
        assert judged.interval.level == stats.corrected_level(comparisons)
        assert judged.verdict == stats.decide(judged.interval, margin=0.01) == "higher"
        assert judged.improvement == 1
    mirrored = compare.judge(Effect(-effect.values, effect.weights, effect.strata), margin=0.01, comparisons=1)
    assert mirrored.verdict == "lower"


@pytest.mark.parametrize(
    ("difference", "verb"), [(50, "is higher than"), (-50, "is lower than"), (0, "is statistically indistinguishable from")]
)
def test_the_verb_of_a_sentence_is_that_of_the_verdict(difference, verb):
    a, b = cell("mlp", 60), cell("resnet", 60 + difference)
    said = compare.say(compare.judge(compare.difference(a, b), margin=0.01, comparisons=1), "A", "B")
    assert said.startswith(f"A {verb} B in balanced accuracy: ")
    assert "n = 5 runs × 200 test images" in said
    assert ("would decide it" in said) == (verb == "is statistically indistinguishable from")


def test_a_sentence_holds_the_numbers_of_its_interval():
    assert compare.say_points(stats.Interval(-0.0123, -0.0245, 0.0, 0.95, 5, 100)) == "−1.2 points [−2.5, 0.0]"
    assert compare.say_share(stats.Interval(0.8123, 0.7981, 0.8252, 0.95, 5, 100)) == "0.812 [0.798, 0.825]"
    assert compare.say_needed(stats.Needed(1, None)) == "about 1 more run"
    assert compare.say_needed(stats.Needed(12, 1234)) == "about 12 more runs and 1,300 more test images"
    assert compare.say_needed(stats.Needed(None, 1)) == "about 1 more test image"
    assert compare.say_needed(stats.Needed(None, None)) == ""


def test_summaries_have_one_row_a_cell_and_the_means_of_all_scores():
    both = records(*cell("mlp", 10), *cell("resnet", 30))
    frame = compare.summarize(both)
    assert frame["model"].tolist() == ["mlp", "resnet"]
    assert frame["estimate"].tolist() == pytest.approx([0.95, 0.85])
    assert (frame["low"] < frame["estimate"]).all()
    assert (frame["high"] > frame["estimate"]).all()
    assert frame["runs"].tolist() == [5, 5]
    assert len(compare.tidy(both)) == 10


def test_the_best_is_near_itself_and_what_is_far_below_is_not():
    both = records(*cell("mlp", 20), *cell("resnet", 22), *cell("vit", 90))
    assert compare.near_best(both) == [True, True, False]


def test_the_choice_on_validation_is_made_anew_in_every_run_and_no_test_score_moves_it():
    a = records(record(0, wrong=[], validation=0.2), record(1, wrong=[], validation=0.9))
    b = records(*(record(s, wrong=list(range(100)), model="resnet", validation=0.5) for s in (0, 1)))
    chosen = compare.choose_by_validation([a, b])
    assert [r.spec.model.name for r in chosen] == ["resnet", "mlp"]


def test_the_log_odds_interval_of_one_cell_is_around_the_log_odds_of_its_mean():
    some = cell("mlp", 40)
    interval = compare.log_odds_interval([(1.0, some)], rng=np.random.default_rng(0))
    assert interval.estimate == pytest.approx(np.log(0.8 / 0.2))
    assert interval.low < interval.estimate < interval.high
    nothing = compare.log_odds_interval([(1.0, some), (-1.0, some)], rng=np.random.default_rng(0))
    assert nothing.estimate == 0

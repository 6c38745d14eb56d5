"""Intervals over redrawn splits: the correction of Nadeau and Bengio, its limits, and what it covers."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from imagestudy import stats
from imagestudy.analysis import comparisons
from imagestudy.core.specs import Choice, ModelSpec, RunSpec, TrainingSpec
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.versions import stamp

SHARE = 0.25 / 0.6
ALL_SEEN = {"jump": 0.0, "depth": 1.0}
"""No image weighs anything: the variance over splits alone."""


def test_it_is_the_corrected_t_interval():
    by_run = np.array([0.70, 0.74, 0.69, 0.77, 0.71])
    found = stats.redrawn_interval(by_run, test_share=SHARE, images=80, **ALL_SEEN)
    half = t.ppf(0.975, 4) * np.sqrt(by_run.var(ddof=1) * (1 / 5 + SHARE))
    assert (found.low, found.high) == pytest.approx((by_run.mean() - half, by_run.mean() + half))
    assert found.redrawn


def test_a_vanishing_test_share_gives_the_plain_t_interval():
    by_run = np.array([0.1, 0.3, 0.2, 0.25])
    found = stats.redrawn_interval(by_run, test_share=1e-12, images=10, **ALL_SEEN)
    assert found.high - found.estimate == pytest.approx(t.ppf(0.975, 3) * by_run.std(ddof=1) / 2, rel=1e-6)


def test_more_runs_never_take_away_the_part_of_the_images():
    rng = np.random.default_rng(0)
    by_run = rng.normal(size=5_000)
    found = stats.redrawn_interval(by_run, test_share=SHARE, images=80, **ALL_SEEN)
    assert found.high - found.estimate == pytest.approx(1.96 * np.sqrt(SHARE) * by_run.std(), rel=0.02)


@pytest.mark.parametrize(("by_run", "share", "level"), [([], SHARE, 0.95), ([0.5], 0.0, 0.95), ([0.5, 0.6], SHARE, 1.0)])
def test_what_has_no_interval_is_refused(by_run, share, level):
    with pytest.raises(ValueError, match="were given; allowed"):
        stats.redrawn_interval(np.array(by_run, dtype=float), test_share=share, images=10, level=level, **ALL_SEEN)


def test_one_run_shows_no_spread():
    found = stats.redrawn_interval(np.array([0.6]), test_share=SHARE, images=10, **ALL_SEEN, limits=(0.0, 1.0))
    assert (found.low, found.high) == (0.0, 1.0)


def covered(*, runs: int, corrected: bool, sets: int = 400, images: int = 200) -> float:
    """The share of data sets in which the interval of a nearest-mean classifier's accuracy covers what it has on average."""
    rng = np.random.default_rng(1)
    tests = images // 4
    levels, halves = np.zeros((2, sets))
    for number in range(sets):
        labels = rng.integers(0, 2, images)
        x = rng.normal(size=(images, 5)) + 0.5 * labels[:, None]
        scores = []
        for _ in range(runs):
            order = rng.permutation(images)
            test, train = order[:tests], order[int(0.4 * images) :]
            means = [x[train][labels[train] == c].mean(axis=0) for c in (0, 1)]
            said = ((x[test] - means[1]) ** 2).sum(axis=1) < ((x[test] - means[0]) ** 2).sum(axis=1)
            scores.append(np.mean(said == labels[test]))
        share = SHARE if corrected else 1e-9
        found = stats.redrawn_interval(np.array(scores), test_share=share, images=tests, **ALL_SEEN)
        levels[number], halves[number] = found.estimate, found.high - found.estimate
    return float(np.mean(np.abs(levels - levels.mean()) <= halves))


def test_the_correction_covers_another_data_set_where_the_plain_interval_does_not():
    assert covered(runs=10, corrected=True) >= 0.93
    assert covered(runs=10, corrected=False) < 0.85


def test_what_is_decided_needs_nothing_and_what_runs_cannot_do_images_can():
    clear = np.array([0.20, 0.21, 0.19, 0.20, 0.20])
    assert stats.what_would_decide_redrawn(clear, test_share=SHARE, images=80, margin=0.01, level=0.95, **ALL_SEEN).more_runs == 0
    vague = np.array([0.04, -0.005, 0.035, 0.01, 0.03, 0.00])
    needed = stats.what_would_decide_redrawn(vague, test_share=SHARE, images=80, margin=0.01, level=0.95, **ALL_SEEN)
    assert needed.more_runs is None
    more = needed.more_images
    assert more is not None
    scaled = vague.mean() + (vague - vague.mean()) / np.sqrt(1 + more / 80)
    assert stats.decide(stats.redrawn_interval(scaled, test_share=SHARE, images=80, **ALL_SEEN), margin=0.01) == "higher"


def test_few_splits_and_an_interval_wider_than_the_scale_give_no_forecast() -> None:
    given = {"test_share": SHARE, "images": 80, "margin": 0.01, "level": 0.95, **ALL_SEEN}
    vague = np.array([0.04, -0.005, 0.035, 0.01, 0.03])
    assert stats.what_would_decide_redrawn(vague, **given) != stats.Needed(None, None)
    assert stats.what_would_decide_redrawn(vague[:4], **given) == stats.Needed(None, None)
    assert stats.what_would_decide_redrawn(30 * vague, **given) == stats.Needed(None, None)


def test_where_no_run_errs_the_exact_binomial_bound_stays():
    """Twelve different images of one class of three, all right: the class may still fail as Clopper and Pearson say."""
    found = stats.redrawn_interval(np.ones(5), test_share=SHARE, images=16, jump=1 / (3 * 12), depth=12.0, limits=(0.0, 1.0))
    assert 1 - found.low == pytest.approx(binomtest(0, 12).proportion_ci(0.95).high / 3)
    assert found.high == 1.0


def test_what_is_not_seen_adds_to_what_is_and_vanishes_with_many_images():
    by_run = np.array([0.70, 0.74, 0.69, 0.77, 0.71])
    narrow = stats.redrawn_interval(by_run, test_share=SHARE, images=80, **ALL_SEEN)
    few = stats.redrawn_interval(by_run, test_share=SHARE, images=80, jump=1 / 30, depth=10.0)
    many = stats.redrawn_interval(by_run, test_share=SHARE, images=80_000, jump=1 / 30_000, depth=10_000.0)
    assert few.high - few.estimate > narrow.high - narrow.estimate
    assert many.high == pytest.approx(narrow.high, abs=1e-5)


def test_equal_scores_on_few_images_are_undecided_and_more_images_decide():
    equal = {"test_share": SHARE, "images": 16, "jump": 1 / 9, "depth": 3.0}
    assert stats.decide(stats.redrawn_interval(np.zeros(5), **equal), margin=0.01) == "undecided"
    needed = stats.what_would_decide_redrawn(np.zeros(5), **equal, margin=0.01, level=0.95)
    assert needed.more_images is not None
    times = 1 + needed.more_images / 16
    larger = equal | {"jump": 1 / 9 / times, "depth": 3 * times}
    assert stats.decide(stats.redrawn_interval(np.zeros(5), **larger), margin=0.01) == "equivalent"


def scored(runs: int, *, errors: int = 0) -> Records:
    """Runs on splits of their own with 8, 4 and 1 test images of three classes, of which the first are missed."""
    labels = np.repeat([0, 1, 2], [8, 4, 1])
    dataset, made, kept = Choice(name="digits"), [], {}
    for seed in range(runs):
        spec = stamp(RunSpec(dataset=dataset, model=ModelSpec(name="mlp"), training=TrainingSpec(), seed=seed, split=seed))
        missed = (np.arange(13) < errors).astype(np.int64)
        score = {"balanced_accuracy": 1 - errors / 24}
        made.append(Record(spec, score, {}, {"seconds": 1.0}, {"counts": [20, 10, 2]}, {"missed": missed}))
        kept[labels_key(spec.dataset, seed)] = {"test": labels, "validation": labels[:7]}
    return Records(tuple(made), kept)


def test_one_rare_test_image_leaves_a_class_open_even_where_all_is_right():
    found = comparisons.level_of(scored(5)).interval(limits=(0.0, 1.0))
    often = (1 - (1 - 13 / 52) ** 5) / (13 / 52)
    assert 1 - found.low == pytest.approx((1 - 0.025 ** (1 / often)) / 3)
    judged = comparisons.judge(comparisons.difference(scored(5), scored(5)), margin=0.01, comparisons=1)
    assert judged.verdict == "undecided"


def test_more_splits_have_seen_more_images():
    few, many = (comparisons.level_of(scored(runs, errors=1)) for runs in (2, 10))
    assert 1 < few.depth < many.depth < 4
    assert few.depth * few.jump == pytest.approx(many.depth * many.jump)


def test_cells_tested_on_other_images_are_compared_by_run_and_what_neither_shows_adds_up():
    a, b = scored(4), scored(4, errors=2)
    elsewhere = Choice(name="digits", options={"other": 1})
    moved = tuple(
        Record(record.spec.with_(dataset=elsewhere), record.scores, {}, record.cost, record.facts, record.arrays) for record in b
    )
    other = Records(
        moved, {labels_key(elsewhere, seed): {"test": np.arange(12) % 3, "validation": np.arange(6) % 3} for seed in range(4)}
    )
    short = tuple(Record(r.spec, r.scores, {}, r.cost, r.facts, {"missed": r.arrays["missed"][:12]}) for r in other)
    other = Records(short, other.labels)
    found, ours, theirs = comparisons.difference(a, other), comparisons.level_of(a), comparisons.level_of(other)
    assert found.by_run.tolist() == pytest.approx([2 / 24] * 4)
    assert found.jump == pytest.approx(ours.jump + theirs.jump)
    assert found.depth == min(ours.depth, theirs.depth)

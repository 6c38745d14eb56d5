"""Intervals over redrawn splits: the correction of Nadeau and Bengio, its limits, and what it covers."""

import numpy as np
import pytest
from scipy.stats import t

from imagestudy import stats

SHARE = 0.25 / 0.6


def test_it_is_the_corrected_t_interval():
    by_run = np.array([0.70, 0.74, 0.69, 0.77, 0.71])
    found = stats.redrawn_interval(by_run, test_share=SHARE, images=80)
    half = t.ppf(0.975, 4) * np.sqrt(by_run.var(ddof=1) * (1 / 5 + SHARE))
    assert (found.low, found.high) == pytest.approx((by_run.mean() - half, by_run.mean() + half))
    assert found.redrawn


def test_a_vanishing_test_share_gives_the_plain_t_interval():
    by_run = np.array([0.1, 0.3, 0.2, 0.25])
    found = stats.redrawn_interval(by_run, test_share=1e-12, images=10)
    assert found.high - found.estimate == pytest.approx(t.ppf(0.975, 3) * by_run.std(ddof=1) / 2, rel=1e-6)


def test_more_runs_never_take_away_the_part_of_the_images():
    rng = np.random.default_rng(0)
    by_run = rng.normal(size=5_000)
    found = stats.redrawn_interval(by_run, test_share=SHARE, images=80)
    assert found.high - found.estimate == pytest.approx(1.96 * np.sqrt(SHARE) * by_run.std(), rel=0.02)


@pytest.mark.parametrize(("by_run", "share", "level"), [([], SHARE, 0.95), ([0.5], 0.0, 0.95), ([0.5, 0.6], SHARE, 1.0)])
def test_what_has_no_interval_is_refused(by_run, share, level):
    with pytest.raises(ValueError, match="were given; allowed"):
        stats.redrawn_interval(np.array(by_run, dtype=float), test_share=share, images=10, level=level)


def test_one_run_shows_no_spread():
    found = stats.redrawn_interval(np.array([0.6]), test_share=SHARE, images=10, limits=(0.0, 1.0))
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
        found = stats.redrawn_interval(np.array(scores), test_share=share, images=tests)
        levels[number], halves[number] = found.estimate, found.high - found.estimate
    return float(np.mean(np.abs(levels - levels.mean()) <= halves))


def test_the_correction_covers_another_data_set_where_the_plain_interval_does_not():
    assert covered(runs=10, corrected=True) >= 0.93
    assert covered(runs=10, corrected=False) < 0.85


def test_what_is_decided_needs_nothing_and_what_runs_cannot_do_images_can():
    clear = np.array([0.20, 0.21, 0.19, 0.20])
    assert stats.what_would_decide_redrawn(clear, test_share=SHARE, images=80, margin=0.01, level=0.95).more_runs == 0
    vague = np.array([0.04, -0.005, 0.035, 0.01, 0.03, 0.00])
    needed = stats.what_would_decide_redrawn(vague, test_share=SHARE, images=80, margin=0.01, level=0.95)
    assert needed.more_runs is None
    more = needed.more_images
    assert more is not None
    scaled = vague.mean() + (vague - vague.mean()) / np.sqrt(1 + more / 80)
    assert stats.decide(stats.redrawn_interval(scaled, test_share=SHARE, images=80), margin=0.01) == "higher"

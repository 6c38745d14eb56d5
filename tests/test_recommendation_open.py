"""What would decide an undecided comparison: images of one class, images of all classes, runs, or nothing realistic."""

from math import inf, sqrt

import numpy as np
import pytest

from imagestudy import stats
from imagestudy.analysis import comparisons, recommendation
from imagestudy.analysis.recommendation import undecided
from imagestudy.analysis.recommendation.undecided import round_up, say_deciding
from imagestudy.experiments.search import Candidate
from imagestudy.stats import ImagesNeeded, Needed

CLASSES, EACH, RUNS = 4, 60, 6
LABELS = np.repeat(np.arange(CLASSES), EACH).astype(np.int64)
WEIGHTS = np.full(len(LABELS), 1 / len(LABELS))
LEVEL = 0.99


def differences(*, spoiled: tuple[int, ...] = (), moved: float = 0.0, lead: float = 0.02, seed: int = 0) -> np.ndarray:
    """Return differences of correctness: a lead everywhere, deviating images in spoiled classes (in all runs), moved runs."""
    rng = np.random.default_rng(seed)
    values = np.full((RUNS, len(LABELS)), lead)
    for label in spoiled:
        own = rng.choice([-1.0, 1.0], size=EACH)
        values[:, label == LABELS] += own - own.mean()
    return values + moved * np.linspace(-1, 1, RUNS)[:, None]


def measured(values: np.ndarray) -> stats.SpreadByStratum:
    return stats.measure_by_stratum(values, weights=WEIGHTS, strata=LABELS)


def asked(values: np.ndarray, *, margin: float = 0.01) -> ImagesNeeded:
    apart = measured(values)
    return stats.what_images_decide(
        lambda times: apart.enlarged(times).half_width(level=LEVEL),
        counts=apart.sizes.astype(float),
        estimate=apart.whole.estimate,
        margin=margin,
    )


class TestParts:
    @pytest.fixture
    def values(self):
        rng = np.random.default_rng(3)
        return rng.choice([-1.0, 0.0, 1.0], size=(RUNS, len(LABELS)), p=[0.1, 0.7, 0.2])

    def test_they_add_up_to_the_whole(self, values):
        apart = measured(values)
        assert apart.between_images.sum() == pytest.approx(apart.whole.between_images)
        assert apart.residual.sum() == pytest.approx(apart.whole.residual)

    def test_as_many_images_as_there_are_change_nothing_and_as_many_times_in_all_classes_are_the_projection(self, values):
        apart = measured(values)
        for times in (1.0, 2.5, 40.0):
            found, known = apart.enlarged(np.full(CLASSES, times)), apart.whole.projected(runs=RUNS, images=times)
            for name in ("estimate", "images", "between_runs", "between_images", "residual", "jump", "depth"):
                assert getattr(found, name) == pytest.approx(getattr(known, name)), name

    def test_images_of_one_class_take_away_its_own_part_and_no_other(self, values):
        apart = measured(values)
        found = apart.enlarged(np.array([1.0, 1e12, 1.0, 1.0]))
        assert found.between_images == pytest.approx(apart.whole.between_images - apart.between_images[1])
        assert found.residual == pytest.approx(apart.whole.residual - apart.residual[1])

    def test_with_endless_images_training_is_left(self, values):
        found = measured(values + 0.3 * np.linspace(-1, 1, RUNS)[:, None]).enlarged(np.full(CLASSES, 1e12))
        assert found.between_runs == pytest.approx(found.training)
        assert found.between_images == pytest.approx(0, abs=1e-9)


class TestLimits:
    def test_where_one_class_varies_its_images_decide_and_one_less_do_not(self):
        values = differences(spoiled=(2,), lead=0.05)
        found, apart = asked(values), measured(values)
        assert found.stratum == 2
        assert found.more is not None
        assert found.more > 0

        def half(more: int) -> float:
            return apart.enlarged(np.where(np.arange(CLASSES) == 2, 1 + more / EACH, 1.0)).half_width(level=LEVEL)

        assert half(found.more) < 0.05 <= half(found.more - 1)

    def test_where_two_classes_vary_alike_neither_alone_decides_but_all_do(self):
        found = asked(differences(spoiled=(0, 3), lead=0.065))
        assert found.more is None
        assert found.stratum in (0, 3)
        assert found.of_all is not None

    def test_where_only_runs_vary_no_image_helps(self):
        values = differences(moved=0.2)
        found = asked(values)
        training = np.std(values[:, 0], ddof=1)
        assert found.more is found.of_all is None
        assert found.floor == pytest.approx(training / sqrt(RUNS) * 4.032, rel=1e-3)  # Student's t, 5 degrees of freedom, 99 %
        assert found.left >= found.floor

    def test_no_difference_at_all_is_decided_once_the_width_is_inside_the_margin(self):
        found = asked(np.zeros((RUNS, len(LABELS))), margin=0.02)
        assert found.enough == 0.02
        assert found.of_all is not None
        assert found.floor == pytest.approx(0, abs=1e-9)

    def test_a_width_that_depends_on_nothing_is_never_decided(self):
        found = stats.what_images_decide(lambda _: inf, counts=np.ones(3), estimate=0.5, margin=0.01)
        assert found.more is found.of_all is None
        assert found.left == found.floor == inf

    def test_redrawn_splits_need_splits_and_images_together_where_images_alone_are_out_of_reach(self):
        by_run = np.array([0.12, -0.09, 0.10, -0.05, 0.02])
        needed = stats.what_would_decide_redrawn(by_run, test_share=0.4, images=50, jump=0.0, depth=1.0, margin=0.01, level=0.95)
        assert needed.more_runs == stats.MOST_REDRAWN - 5
        fewer = stats.what_would_decide_redrawn(2 + by_run, test_share=0.4, images=50, jump=0.0, depth=1.0, margin=0.01, level=0.95)
        assert fewer == Needed(0, None)


NAMES, NOTHING = ["a", r"\<b\>"], Needed(None, None)


def said(images: ImagesNeeded, needed: Needed = NOTHING, *, estimate: float = 0.03, redrawn: bool = False) -> str:
    return say_deciding(images, needed, names=NAMES, estimate=estimate, margin=0.01, redrawn=redrawn)


class TestWords:
    def test_a_class_that_decides_is_named_with_its_number_and_runs_that_do_beside_it(self):
        found = ImagesNeeded(1, 312, None, 0.03, 0.02, 0.01)
        assert said(found) == r": about 320 more test images of class \<b\> would decide it."
        assert said(found, redrawn=True).endswith(r"320 more images of class \<b\> (25% of them for testing) would decide it.")
        assert said(found, Needed(3, None)).endswith("would decide it; about 3 more runs would decide it, too.")

    def test_runs_come_before_images_of_all_classes(self):
        found = ImagesNeeded(0, None, 900, 0.03, 0.02, 0.01)
        assert said(found, Needed(3, None)).startswith(": about 3 more runs would decide it.")
        assert said(found).startswith(": about 900 more test images, in the present class shares,")
        assert "class a" in said(found)

    def test_where_nothing_within_reach_decides_it_says_so_and_what_is_left(self):
        found = ImagesNeeded(0, None, None, 0.03, 0.05, 0.04)
        assert said(found) == (
            ". More images will not decide it: 10 times as many in every class would leave ± 5.0 points (± 4.0 comes from training "
            "and shrinks only with more runs), but less than ± 3.0 is needed."
        )
        assert "comes from training" not in said(ImagesNeeded(0, None, None, 0.03, 0.05, 0.0))
        assert said(found, Needed(9, 80)).endswith("needed; about 9 more runs and 80 more test images would decide it.")

    def test_a_difference_inside_the_margin_is_called_small_and_a_larger_one_is_not(self):
        found = ImagesNeeded(0, None, None, 0.007, 0.05, 0.04)
        assert said(found, estimate=-0.003).endswith(
            "The difference of 0.3 points is inside the margin of 1.0, so it is probably too small to matter."
        )
        assert "margin" not in said(found, estimate=0.02)

    @pytest.mark.parametrize(("number", "rounded"), [(0, 1), (9, 9), (99, 99), (101, 110), (1_234, 1_300), (1_300, 1_300)])
    def test_numbers_of_images_are_rounded_up(self, number, rounded):
        assert round_up(number) == rounded


@pytest.mark.parametrize(("runs", "few"), [(1, "1 run does"), (4, "4 runs do")])
def test_with_fewer_than_five_runs_no_number_is_given(runs: int, few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = differences(moved=0.03)[:runs]
    monkeypatch.setattr(undecided, "_effect", lambda *_: comparisons.Effect(values, WEIGHTS, LABELS))
    answer = object.__new__(recommendation.Answer)
    object.__setattr__(answer, "best", Candidate("mlp", "none"))
    assert undecided._say_between(answer, Candidate("vit", "none")) == (
        f"Undecided between mlp and vit. {few} not show well enough how much runs vary to say what would decide it."
    )

"""What would decide the undecided comparisons: each counts once, and the projection starts at the recorded runs."""

import numpy as np
import pytest

from imagestudy import figures, stats
from imagestudy.analysis import comparisons
from imagestudy.analysis.comparisons import Effect
from imagestudy.analysis.variance import power
from imagestudy.analysis.variance.power import Gain
from imagestudy.core.errors import InputError
from imagestudy.experiments import grids
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Records

LABELS = np.repeat(np.arange(10), 50)
WEIGHTS = np.full(500, 1 / 500)
MARGIN = 0.01


def gain(shares: list[float] | np.ndarray, *, model: str = "mlp", remedy: str = "focal", noise: float = 0.0) -> Gain:
    """Return a gain with these values per run, the same on every image, plus noise that cancels out, the same in every run."""
    values = np.repeat(np.array(shares, dtype=np.float64)[:, None], 500, axis=1)
    values += noise * np.tile([-1.0, 1.0], 250)
    effect = Effect(values, WEIGHTS, LABELS, unit=1e-6)
    spread = stats.measure_spread(values, weights=WEIGHTS, strata=LABELS, unit=1e-6)
    return Gain(model, remedy, comparisons.judge(effect, margin=MARGIN, comparisons=1), spread)


CLEAR = gain([0.1, 0.1, 0.1, 0.101, 0.1])
FEW_RUNS = gain([0.03, 0.0, 0.06, -0.01, 0.07], model="vit")
MANY_RUNS = gain([0.03, -0.05, 0.11, -0.09, 0.1])
IMAGES = gain([0.02] * 5, noise=0.5)
GAINS = [CLEAR, FEW_RUNS, MANY_RUNS, IMAGES]


def test_every_comparison_counts_once_in_the_row_of_what_it_needs() -> None:
    table = power.settle(GAINS)
    assert list(table) == ["needed", "mlp", "vit", "all"]
    assert table["all"].sum() == len(GAINS)
    assert (table["mlp"] + table["vit"] == table["all"]).all()
    counted = table.set_index("needed")
    assert counted.loc[power.DECIDED, "mlp"] == 1
    assert counted.loc["1 to 10 more runs", "vit"] == 1
    assert counted.loc[power.IMAGES, "mlp"] == 1


@pytest.mark.parametrize(
    ("runs", "images", "row"),
    [
        (1, None, "1 to 10 more runs"),
        (10, None, "1 to 10 more runs"),
        (11, None, "11 to 20 more runs"),
        (50, None, "21 to 50 more runs"),
        (51, None, "over 50 more runs"),
        (None, 400, power.IMAGES),
        (12, 400, power.BOTH),
        (None, None, power.BEYOND),
    ],
)
def test_the_row_of_a_need(runs: int | None, images: int | None, row: str) -> None:
    judged = stats.Judged(stats.Interval(0.0, -1.0, 1.0, 0.95, 5, 500), "undecided", 1, 0.5, 0.5, stats.Needed(runs, images))
    assert power.name_need(judged) == row


def test_what_is_said_is_what_the_table_counts() -> None:
    said = power.say(GAINS)
    table = power.settle(GAINS).set_index("needed")["all"]
    assert said.startswith("3 of 4 comparisons are undecided after 5 runs.")
    assert f"with 10 more runs, {table['1 to 10 more runs']}; with 20 more runs," in said
    assert f"50 more runs, {table.iloc[1:4].sum()}. 1 needs more test images instead, 0 need both, and" in said
    assert power.say([CLEAR]) == "The 1 comparison is decided."


def test_the_projection_is_what_is_decided_now_at_the_recorded_number_of_runs() -> None:
    frame = power.project(GAINS, margin=MARGIN, more_images=4)
    now = frame[(frame["runs"] == 5) & (frame["images"] == 500)]["share"].item()
    assert now == np.mean([one.judged.verdict != "undecided" for one in GAINS]) == 0.25


def test_the_projection_agrees_with_what_would_decide() -> None:
    more = FEW_RUNS.judged.needed.more_runs
    assert more is not None
    assert not power._is_decided(FEW_RUNS, 5 + more - 1, 1, MARGIN)
    assert power._is_decided(FEW_RUNS, 5 + more, 1, MARGIN)


def test_more_runs_and_more_images_never_decide_less() -> None:
    frame = power.project(GAINS, margin=MARGIN, more_images=9)
    for _, rows in frame.groupby("images"):
        assert rows.sort_values("runs")["share"].is_monotonic_increasing
    wide = frame.pivot(index="runs", columns="images", values="share")
    assert (wide[4500] >= wide[500]).all()
    assert wide.loc[100, 4500] > wide.loc[100, 500]


def test_once_the_test_images_is_one_line() -> None:
    assert set(power.project(GAINS, margin=MARGIN, more_images=1)["images"]) == {500}


def test_single_runs_cannot_be_projected() -> None:
    alone = [gain([0.02])]
    assert power.settle(alone).set_index("needed")["all"][power.BEYOND] == 1
    assert power.project(alone, margin=MARGIN, more_images=4).empty


def test_the_median_gain_is_that_of_the_named_models() -> None:
    assert power.median_gain(GAINS, models=["vit"]) == pytest.approx(0.03)
    assert np.isnan(power.median_gain(GAINS, models=["resnet"]))


@pytest.mark.parametrize("times", [0, 101])
def test_a_factor_that_makes_no_sense_is_refused(times: int) -> None:
    with pytest.raises(InputError, match=f"{times} was given in parameter 'more_images'; allowed: 1 to 100 times"):
        power.check(more_images=times)


def test_a_study_without_imbalanced_profile_has_nothing_to_settle() -> None:
    plan = grids.open_study("digits", "smoke")
    without = Plan(plan.study.model_copy(update={"profiles": ()}), plan.effort)
    assert power.needs(without) == []
    assert power.judge_gains(without, Records((), {})) == []
    assert power.say([]) == power.NOTHING
    assert power.settle([])["all"].sum() == 0
    assert (
        "There are no runs to draw"
        in figures.draw_power(power.project([], margin=MARGIN, more_images=4), recorded=5).axes[0].texts[0].get_text()
    )


def test_the_grid_is_what_the_study_trains_under_its_first_profile() -> None:
    plan = grids.open_study("digits", "full")
    wanted = power.needs(plan)
    assert {spec.profile for spec in wanted} == {plan.study.profiles[0]}
    assert {spec.run_id for spec in wanted} <= {spec.run_id for spec in grids.imbalance(plan)}
    assert len(wanted) == sum(len(grids.remedies_of(plan, name, whole=True)) for name in plan.study.crossed) * plan.effort.runs

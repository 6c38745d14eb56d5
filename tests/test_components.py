"""The sources of variance between runs: known components are recovered, and a stream without effect gives exactly 0."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from imagestudy import data, figures
from imagestudy.analysis.accuracy import variation
from imagestudy.analysis.variance import components
from imagestudy.core.specs import SEED_STREAMS, Choice, ProfileSpec, RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.study import VarianceEffort
from imagestudy.experiments.versions import stamp

DIGITS = Choice(name="digits")
LABELS = data.held_out_labels(DIGITS)
PROFILE = ProfileSpec(name="exponential", ratio=50.0)
SIZES = {"draw": 40.0, "order": 20.0, "init": 10.0, "batches": 5.0}
"""Standard deviation of each stream's effect, in missed test images."""


def record(spec: RunSpec, missed: np.ndarray) -> Record:
    said = np.where(np.isin(np.arange(500), missed), (LABELS["test"] + 1) % 10, LABELS["test"])
    arrays = {"test": np.log(np.where(np.arange(10) == said[:, None], 0.91, 0.01)).astype(np.float16)}
    return Record(spec, {"balanced_accuracy": 1 - len(missed) / 500}, {}, {"seconds": 1.0}, {}, arrays)


def effect(seed: int, stream: str, size: float) -> float:
    """The same seed of a stream has the same effect in every run."""
    return size * np.random.default_rng([seed, SEED_STREAMS.index(stream)]).standard_normal()


def specs(number: int, model: str = "mlp") -> list[RunSpec]:
    plan = grids.open_study("digits", "full")
    plan = dataclasses.replace(
        plan, effort=plan.effort.model_copy(update={"runs": number, "variance": VarianceEffort(moved=(model,))})
    )
    return [stamp(spec) for spec in grids.spread(plan)]


def collect(wanted: list[RunSpec], missed: dict[str, np.ndarray]) -> Records:
    return Records(tuple(record(spec, missed[spec.run_id]) for spec in wanted), {labels_key(wanted[0].dataset): LABELS})


def additive(number: int, sizes: dict[str, float]) -> Records:
    """Return runs with a score that is the sum of the effects of four seeds; they miss the first images of a shuffled list."""
    hardest = np.random.default_rng(0).permutation(500)
    wanted = specs(number)
    missed = {s.run_id: 200 + sum(effect(s.seed_of(stream), stream, size) for stream, size in sizes.items()) for s in wanted}
    return collect(wanted, {run_id: hardest[: round(count)] for run_id, count in missed.items()})


def by_source(frame: pd.DataFrame) -> dict[str, dict]:
    return frame.set_index("source").to_dict("index")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return components.measure(additive(10, {"draw": 60.0, "order": 6.0, "init": 3.0, "batches": 3.0}))


class TestTotalEffects:
    def test_known_components_of_an_additive_model_are_found_again(self) -> None:
        found = by_source(components.measure(additive(200, SIZES)))
        expected = {"subset draw": 8.0, "class order": 4.0, "initialization": 2.0, "batch order": 1.0}
        expected |= {"restart": np.sqrt(2**2 + 1), "all four": np.sqrt(8**2 + 4**2 + 2**2 + 1)}
        assert {source: found[source]["points"] for source in expected} == pytest.approx(expected, rel=0.15)
        assert sum(found[source]["share"] for source in components.SINGLE) == pytest.approx(1, abs=0.2)
        assert found["all four"]["share"] == pytest.approx(1)

    def test_a_stream_without_effect_gives_exactly_nothing(self) -> None:
        found = by_source(components.measure(additive(5, {"draw": 40.0, "order": 10.0})))
        for source in ("initialization", "batch order", "restart"):
            assert [found[source][name] for name in ("points", "low", "high", "endless", "share")] == [0] * 5
        assert found["subset draw"]["points"] > 0

    def test_an_interaction_counts_in_full_in_both_of_its_streams(self) -> None:
        wanted, hardest = specs(200), np.random.default_rng(0).permutation(500)
        product = {
            s.run_id: 200 + 40 * effect(s.seed_of("draw"), "draw", 1) * np.sign(effect(s.seed_of("order"), "order", 1))
            for s in wanted
        }
        found = by_source(components.measure(collect(wanted, {k: hardest[: round(v)] for k, v in product.items()})))
        assert found["subset draw"]["share"] == pytest.approx(1, abs=0.15)
        assert found["class order"]["share"] == pytest.approx(1, abs=0.15)
        assert found["initialization"]["points"] == 0

    def test_by_hand(self) -> None:
        # Two runs miss 0 and 50 images; with the subset moved 10 and 50, with the class order moved 0 and 20; else as they were.
        wanted = specs(2)
        number = {"": (0, 50), "draw": (10, 50), "order": (0, 20)}
        moved = {s.run_id: next((name for name in ("draw", "order") if s.seed_of(name) != s.seed), "") for s in wanted}
        seeds = {s.run_id: s.seed for s in wanted}
        found = by_source(components.measure(collect(wanted, {k: np.arange(number[moved[k]][seeds[k]]) for k in seeds})))
        balanced = 100 / 10 / np.bincount(LABELS["test"])[LABELS["test"]][:50]
        first, last = balanced[:10].sum(), balanced[20:50].sum()
        assert found["subset draw"]["points"] == pytest.approx(np.sqrt((first**2 / 2 + 0) / 2))
        assert found["class order"]["points"] == pytest.approx(np.sqrt((last**2 / 2 + 0) / 2))
        assert found["all four"]["points"] == pytest.approx(balanced.sum() / np.sqrt(2))

    def test_what_runs_share_in_no_image_is_left_out_in_the_limit_of_infinitely_many_test_images(self) -> None:
        wanted, rng = specs(40), np.random.default_rng(1)
        found = by_source(components.measure(collect(wanted, {s.run_id: rng.choice(500, 100, replace=False) for s in wanted})))
        assert found["subset draw"]["endless"] < 0.7 * found["subset draw"]["points"]
        alike = by_source(components.measure(additive(40, SIZES)))
        assert alike["subset draw"]["endless"] > 0.95 * alike["subset draw"]["points"]

    def test_whole_and_test_set_are_those_of_the_ranking(self) -> None:
        records = additive(6, SIZES)
        found = by_source(components.measure(records))
        plain = records.of([r.spec for r in records if all(r.spec.seed_of(s) == r.spec.seed for s in SEED_STREAMS)])
        (seen,) = variation.measure_spread(plain, score="balanced_accuracy").to_dict("records")
        assert found["all four"]["points"] == pytest.approx(seen["seen"])
        assert found["all four"]["endless"] == pytest.approx(seen["training"])
        assert found["test set"]["points"] == pytest.approx(seen["test_set"])
        assert found["test set"]["low"] < found["test set"]["points"] < found["test set"]["high"]

    def test_a_moved_run_that_failed_leaves_its_pair_out(self) -> None:
        records = additive(5, SIZES)
        lost = next(r for r in records if r.spec.seed == 3 and r.spec.seed_of("init") != 3 and r.spec.seed_of("batches") == 3)
        left = Records(tuple(r for r in records if r is not lost), records.labels)
        assert by_source(components.measure(left))["initialization"]["runs"] == 4
        assert by_source(components.measure(left))["subset draw"]["runs"] == 5

    def test_a_single_run_has_pairs_but_no_whole(self) -> None:
        found = by_source(components.measure(additive(1, SIZES)))
        assert found["subset draw"]["points"] > 0
        assert np.isnan(found["all four"]["points"])


class TestInterval:
    """Coverage is simulated; the constants stand in the docstring of `variance_interval`."""

    @staticmethod
    def coverage(squares: np.ndarray, truth: float) -> float:
        intervals = [components.variance_interval(one, freedom=len(one)) for one in squares]
        return float(np.mean([low <= truth <= high for low, high, _ in intervals]))

    @pytest.mark.parametrize("runs", [2, 5, 10])
    def test_coverage_for_normal_and_for_flat_effects(self, runs: int) -> None:
        rng = np.random.default_rng(0)
        normal = rng.normal(size=(2_000, runs)) ** 2
        flat = (rng.uniform(-1, 1, (2_000, runs)) - rng.uniform(-1, 1, (2_000, runs))) ** 2 / 2
        assert 0.93 <= self.coverage(normal, 1.0) <= 0.975
        assert 0.93 <= self.coverage(flat, 1 / 3) <= 0.99

    @pytest.mark.parametrize("runs", [5, 10])
    def test_coverage_where_tails_are_heavy_is_what_the_docstring_admits(self, runs: int) -> None:
        rng = np.random.default_rng(1)
        skewed = (rng.exponential(size=(2_000, runs)) - rng.exponential(size=(2_000, runs))) ** 2 / 2
        half = np.sqrt(0.5)
        mixed = ((half + half * rng.normal(size=(2_000, runs))) * rng.normal(size=(2_000, runs))) ** 2
        assert 0.84 <= self.coverage(skewed, 1.0) <= 0.92
        assert 0.79 <= self.coverage(mixed, 1.0) <= 0.88

    def test_the_bootstrap_over_runs_does_worse(self) -> None:
        rng, runs = np.random.default_rng(2), 10
        squares = rng.normal(size=(1_000, runs)) ** 2
        weights = rng.multinomial(runs, np.full(runs, 1 / runs), size=400) / runs
        low, high = np.quantile(squares @ weights.T, [0.025, 0.975], axis=1)
        assert np.mean((low <= 1) & (high >= 1)) < 0.87

    def test_equal_squares_give_the_chi_square_interval(self) -> None:
        low, high, freedom = components.variance_interval(np.full(10, 2.0), freedom=10)
        assert (low, high, freedom) == pytest.approx((2 * 10 / 20.483, 2 * 10 / 3.247, 10), rel=1e-3)

    def test_coverage_of_the_ratio_of_two_sources(self) -> None:
        rng = np.random.default_rng(3)
        hits = []
        for one, other in rng.normal(size=(1_000, 2, 10)) ** 2 * np.array([9.0, 1.0])[:, None]:
            above, below = (
                {"points": np.sqrt(s.mean()), "freedom": components.variance_interval(s, freedom=10)[2]} for s in (one, other)
            )
            _, low, high = components.ratio_interval(above, below)
            hits.append(low <= 3 <= high)
        assert 0.93 <= np.mean(hits) <= 0.99


class TestSentences:
    def test_the_largest_is_named_with_its_lead(self, frame: pd.DataFrame) -> None:
        said = components.say_largest(frame)
        assert said.startswith("* **mlp**: the largest source is subset draw with ")
        assert "the next, class order" in said
        assert "indistinguishable" not in said

    def test_equals_cannot_be_told_apart(self) -> None:
        said = components.say_largest(components.measure(additive(5, dict.fromkeys(SEED_STREAMS, 20.0))))
        assert said.endswith("The two are statistically indistinguishable.")

    def test_restarts_show_a_small_share_where_the_draw_rules(self, frame: pd.DataFrame) -> None:
        row = by_source(frame)["restart"]
        said = components.say_restart(frame)
        assert f"* **mlp**: {100 * row['share']:.0f} % [" in said
        assert f"an error bar from restarts is {1 / np.sqrt(row['share']):.1f} times too short." in said

    def test_redraw_and_initialization_stand_side_by_side(self, frame: pd.DataFrame) -> None:
        rows = by_source(frame)
        said = components.say_redraw(frame)
        for source in ("subset draw", "initialization"):
            assert f"{source} {rows[source]['points']:.1f} points ({rows[source]['endless']:.1f} in the limit" in said
        ratio = rows["subset draw"]["points"] / rows["initialization"]["points"]
        assert f"Ratio of subset draw to initialization: mlp {ratio:.1f} [" in said
        assert "10 pairs of runs" in said

    def test_tables_have_a_column_a_model(self, frame: pd.DataFrame) -> None:
        assert list(components.spread_out(frame)) == ["source", "mlp"]
        assert list(components.spread_out(frame)["source"]) == [*components.MOVED, "all four", "test set"]
        shares = components.shares(frame).set_index("source")["mlp"]
        assert list(shares.index) == list(components.MOVED)
        assert shares["restart"].startswith(f"{100 * by_source(frame)['restart']['share']:.0f} % [")

    def test_what_moves_nothing_has_no_share_and_no_ratio(self) -> None:
        still = components.measure(additive(5, {"draw": 40.0, "order": 10.0}))
        assert components.shares(still).set_index("source")["mlp"]["restart"] == "0 %"
        assert "Ratio of subset draw to initialization: mlp –." in components.say_redraw(still)
        assert components.say_restart(still).endswith("a share that cannot be estimated from these runs.")

    def test_an_effort_without_such_runs_says_so_everywhere(self) -> None:
        empty = components.measure(Records((), {}))
        for say in (components.say_largest, components.say_redraw, components.say_restart, components.say_test_set):
            assert say(empty) == components.NOTHING
        assert components.spread_out(empty).empty
        assert components.shares(empty).empty
        assert figures.draw_variance_components(empty).axes

"""Test-set peeking: it never lowers a score, more looks never add less, and no code that selects uses diagnostic runs."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imagestudy import data, figures
from imagestudy.analysis import comparisons
from imagestudy.analysis.variance import test_set_peeking
from imagestudy.core import paths
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.experiments import grids, runner
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.study import VarianceEffort

DIGITS = Choice(name="digits")
LABELS = {labels_key(DIGITS): data.held_out_labels(DIGITS)}


def curve(test: list[float] | np.ndarray, validation: list[float] | np.ndarray | None = None) -> np.ndarray:
    """Return a training curve; its other columns are arbitrary."""
    points = len(test)
    seen = 64.0 * np.arange(1, points + 1)
    columns = [seen, 1 / seen, np.zeros(points), np.array(test if validation is None else validation), np.array(test)]
    return np.stack(columns, axis=1).astype(np.float32)


def diagnostic(values: np.ndarray, *, model: str = "mlp", seed: int = 0, profile: ProfileSpec | None = None) -> Record:
    spec = RunSpec(dataset=DIGITS, model=ModelSpec(name=model), seed=seed, profile=profile or ProfileSpec(), kind="diagnostic")
    return Record(spec, {}, {}, {"seconds": 1.0}, {}, {"curve": values})


def wander(seed: int, points: int = 100) -> np.ndarray:
    """Return a curve that rises and then fluctuates, as in a training."""
    rng = np.random.default_rng(seed)
    test, validation = 0.8 - 0.5 * np.exp(-np.arange(points) / 10) + 0.01 * rng.standard_normal((2, points))
    return curve(test, validation)


@pytest.fixture(scope="module")
def records() -> Records:
    cells = [("mlp", ProfileSpec()), ("resnet", ProfileSpec()), ("mlp", ProfileSpec(name="exponential", ratio=50.0))]
    made = [
        diagnostic(wander(10 * place + seed), model=model, seed=seed, profile=profile)
        for place, (model, profile) in enumerate(cells)
        for seed in range(5)
    ]
    return Records(tuple(made), LABELS)


class TestLooks:
    @pytest.mark.parametrize("looks", [1, 2, 3, 5, 7, 10, 50, 100, 1_000])
    @pytest.mark.parametrize("points", [1, 7, 20, 100])
    def test_there_are_as_many_as_asked_for_and_the_last_weights_are_one_of_them(self, looks: int, points: int) -> None:
        places = test_set_peeking.places(points, looks=looks)
        assert len(places) == min(looks, points)
        assert places[-1] == points - 1
        assert np.ptp(np.diff(places, prepend=-1)) <= 1

    def test_twice_as_many_hold_all_of_the_half(self) -> None:
        for looks in range(1, 51):
            assert set(test_set_peeking.places(100, looks=looks)) <= set(test_set_peeking.places(100, looks=2 * looks))

    def test_by_hand(self) -> None:
        one = curve([0.5, 0.9, 0.7, 0.8], validation=[0.1, 0.2, 0.4, 0.3])
        assert [test_set_peeking.pick(one, looks=looks, on="test") for looks in (1, 2, 4)] == [3, 1, 1]
        assert test_set_peeking.above_last(one, looks=4, on="test") == pytest.approx(0.1)
        assert test_set_peeking.above_last(one, looks=4, on="validation") == pytest.approx(-0.1)
        assert test_set_peeking.above_last(one, looks=1, on="validation") == 0

    def test_of_equal_looks_the_last_is_taken(self) -> None:
        assert test_set_peeking.pick(curve([0.1, 0.3, 0.3, 0.2]), looks=4, on="test") == 2

    @pytest.mark.parametrize("looks", [0, 101])
    def test_a_number_of_looks_that_no_curve_can_give_is_refused(self, looks: int) -> None:
        with pytest.raises(InputError, match=f"{looks} was given in parameter 'looks'; allowed: 1 to 100 looks"):
            test_set_peeking.check(looks=looks)


class TestAboveTheLast:
    @pytest.mark.parametrize("seed", range(10))
    def test_it_is_never_below_nothing_and_never_less_with_twice_the_looks(self, seed: int) -> None:
        values = [test_set_peeking.above_last(wander(seed), looks=looks, on="test") for looks in (1, 2, 4, 8, 16, 32)]
        assert values[0] == 0
        assert values == sorted(values)

    def test_a_curve_with_its_best_look_at_the_end_gains_nothing_from_peeking(self) -> None:
        assert test_set_peeking.above_last(curve(np.linspace(0.1, 0.9, 100)), looks=100, on="test") == 0

    def test_the_test_set_never_picks_worse_than_validation(self, records: Records) -> None:
        for record in records:
            one = record.arrays["curve"]
            assert test_set_peeking.above_last(one, looks=50, on="test") >= test_set_peeking.above_last(
                one, looks=50, on="validation"
            )

    def test_pure_noise_is_too_good_by_the_expected_maximum(self) -> None:
        # The maximum of 100 standard normals is 2.51 on average; the last weights are one of them, and 0 on average.
        noise = np.random.default_rng(0).standard_normal((400, 100))
        values = [test_set_peeking.above_last(curve(0.5 + 0.01 * one), looks=100, on="test") for one in noise]
        assert np.mean(values) == pytest.approx(0.0251, abs=0.002)

    def test_validation_that_knows_nothing_picks_no_gain(self) -> None:
        rng = np.random.default_rng(1)
        values = [
            test_set_peeking.above_last(curve(*(0.5 + 0.01 * rng.standard_normal((2, 100)))), looks=100, on="validation")
            for _ in range(400)
        ]
        assert abs(np.mean(values)) < 0.002


class TestMeasure:
    def test_one_row_a_cell_look_and_pick_with_a_t_interval_over_runs(self, records: Records) -> None:
        frame = test_set_peeking.measure(records, looks=[10, 100])
        assert len(frame) == 3 * 2 * 2
        row = frame.query("model == 'resnet' and picked == 'test' and looks == 100").to_dict("records")[0]
        values = [test_set_peeking.above_last(r.arrays["curve"], looks=100, on="test") for r in records.where(model="resnet")]
        half = 2.776445 * np.std(values, ddof=1) / np.sqrt(5)
        assert (row["runs"], row["difference"]) == (5, pytest.approx(np.mean(values)))
        assert (row["low"], row["high"]) == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=1e-6)

    def test_coverage_of_the_interval(self) -> None:
        rng = np.random.default_rng(2)
        hits = []
        for _ in range(400):
            cell = [diagnostic(curve(0.5 + 0.01 * rng.standard_normal(100)), seed=seed) for seed in range(10)]
            low, high = (
                test_set_peeking.measure(Records(tuple(cell), LABELS), looks=[100])
                .query("picked == 'test'")[["low", "high"]]
                .iloc[0]
            )
            hits.append(low <= 0.0251 <= high)
        assert 0.92 <= np.mean(hits) <= 0.98

    def test_a_single_run_has_no_bounds_but_its_limits(self, records: Records) -> None:
        one = Records(records.records[:1], LABELS)
        row = test_set_peeking.measure(one, looks=[100]).query("picked == 'test'").to_dict("records")[0]
        assert (row["low"], row["high"]) == (0, 1)

    def test_a_short_curve_is_looked_at_as_often_as_it_can_be(self) -> None:
        short = Records((diagnostic(wander(0, points=20)),), LABELS)
        assert sorted(set(test_set_peeking.measure(short, looks=test_set_peeking.LOOKS)["looks"])) == [1, 2, 5, 10, 20]

    def test_runs_of_another_kind_are_left_aside(self, records: Records) -> None:
        plain = Record(records.records[0].spec.with_(kind="run"), {}, {}, {}, {}, {"curve": wander(0)[:, :4]})
        both = Records((*records, plain), LABELS)
        pd.testing.assert_frame_equal(test_set_peeking.measure(both, looks=[100]), test_set_peeking.measure(records, looks=[100]))


class TestSentences:
    def test_they_say_the_table_s_numbers(self, records: Records) -> None:
        frame = test_set_peeking.measure(records, looks=[100])
        said = test_set_peeking.say(frame, gain=0.034)
        test = 100 * frame[frame["picked"] == "test"]["difference"]
        assert f"the best of 100 looks on the test set adds {test.min():.1f} to {test.max():.1f} points" in said
        imbalanced = 100 * frame.query("picked == 'test' and profile == 'exponential 50'")["difference"].mean()
        assert f"Under imbalance, peeking adds {imbalanced:.1f} points on average over the models." in said
        assert said.endswith("over plain training of the same models is +3.4.")
        assert "median gain" not in test_set_peeking.say(frame, gain=float("nan"))
        assert "median gain" not in test_set_peeking.say(frame[frame["profile"] == "balanced"], gain=0.034)

    def test_few_and_many_looks_stand_side_by_side(self, records: Records) -> None:
        frame = test_set_peeking.measure(records, looks=test_set_peeking.LOOKS)
        means = 100 * frame[frame["picked"] == "test"].groupby("looks")["difference"].mean()
        assert (
            f"best of 2 looks at the test set adds {means[2]:.1f} points, and the best of 100 looks adds {means[100]:.1f}"
            in test_set_peeking.say_looks(frame)
        )

    def test_an_effort_without_such_runs_says_so_everywhere(self) -> None:
        nobody = Records((), {})
        empty = test_set_peeking.measure(nobody, looks=[100])
        assert (
            test_set_peeking.say(empty, gain=0.1)
            == test_set_peeking.say_looks(empty)
            == test_set_peeking.say_same(nobody)
            == test_set_peeking.NOTHING
        )
        assert test_set_peeking.spread_out(empty).empty
        for picture in (
            figures.draw_peeking_gain(empty, margin=0.01),
            figures.draw_gain_by_looks(empty),
            figures.draw_peeking({}, model=""),
        ):
            assert "There are no runs to draw" in picture.axes[0].texts[0].get_text()

    def test_the_model_that_is_shown_is_one_that_is_diagnosed(self) -> None:
        plan = grids.open_study("digits", "full")
        assert test_set_peeking.model_of(plan, "") == "mlp"
        assert test_set_peeking.model_of(plan, "vit") == "vit"
        with pytest.raises(InputError, match="unknown model 'svm' in parameter 'model'; allowed: mlp, resnet, bilstm, vit"):
            test_set_peeking.model_of(plan, "svm")
        without = Plan(plan.study, plan.effort.model_copy(update={"variance": VarianceEffort()}))
        assert test_set_peeking.model_of(without, "") == ""
        assert test_set_peeking.needs(without) == []


class TestNothingElsePeeks:
    @pytest.fixture
    def trained(self) -> Records:
        training = TrainingSpec(images_seen=1_280)
        spec = RunSpec(dataset=DIGITS, model=ModelSpec(name="mlp", params=40_000), training=training, kind="diagnostic")
        return runner.obtain([spec, spec.with_(kind="run")], study="peeking", workers=1)

    def test_the_last_look_is_the_recorded_score_of_the_same_run(self, trained: Records) -> None:
        assert test_set_peeking.last_gaps(trained) == pytest.approx([0], abs=1e-5)
        assert "of 1 diagnostic run differs by at most 0.00 points" in test_set_peeking.say_same(trained)

    def test_a_peeking_run_has_nothing_by_which_to_choose(self, trained: Records) -> None:
        peeking = trained.where(kind="diagnostic")
        (record,) = peeking
        assert (record.scores, record.validation) == ({}, {})
        assert set(record.arrays) == {"curve"}
        with pytest.raises(KeyError):
            comparisons.choose_by_validation([peeking])
        with pytest.raises(KeyError):
            comparisons.level_of(peeking)

    def test_no_other_module_knows_of_such_runs(self) -> None:
        declaring = {"core/specs.py", "experiments/study.py"}
        declaring |= {f"experiments/grids/{name}.py" for name in ("__init__", "imbalance", "plan")}
        needed = {"analysis/variance/test_set_peeking.py", "experiments/grids/imbalance.py", "experiments/execute.py"}
        allowed = {*needed, *declaring, "report/publish.py", "report/run_table.py"}
        package = paths.ROOT / "src" / "imagestudy"
        found = {str(file.relative_to(package)) for file in package.rglob("*.py") if names_peeking(file)}
        assert needed <= found <= allowed

    @pytest.mark.parametrize(
        "source",
        ['x = "diagnostic"', "grids.diagnostics(plan)", "from a import diagnostics", 'f(kind="diagnostic")', "_diagnose()"],
    )
    def test_this_test_finds_whoever_does(self, source: str, tmp_path: Path) -> None:
        (tmp_path / "module.py").write_text(source)
        assert names_peeking(tmp_path / "module.py")

    def test_a_docstring_may_mention_them(self, tmp_path: Path) -> None:
        (tmp_path / "module.py").write_text('"""Of diagnostic runs."""\n\n\ndef f():\n    """No diagnostic run."""\n')
        assert not names_peeking(tmp_path / "module.py")


def names_peeking(file: Path) -> bool:
    """Return whether the code of a file names diagnostic runs; docstrings do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    words = [
        str(getattr(node, field))
        for node in ast.walk(tree)
        if id(node) not in spoken
        for field in ("id", "attr", "name", "arg", "value")
        if isinstance(getattr(node, field, None), str)
    ]
    return any("diagnos" in word for word in words)

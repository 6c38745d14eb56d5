"""Laws of the comparison of frameworks: pairing, turns, ratios, the verdict, the listing; and all of it without TensorFlow."""

import ast
import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.display import HTML

from imagestudy import data
from imagestudy.analysis import catalog, comparisons, frameworks
from imagestudy.analysis.frameworks import costs
from imagestudy.core.errors import InputError
from imagestudy.core.specs import SEED_STREAMS, Choice, ProfileSpec, RunSpec
from imagestudy.experiments import grids, import_cost, runner
from imagestudy.experiments.grids import TWINS, Plan
from imagestudy.experiments.records import Record, Records, labels_key
from imagestudy.experiments.study import AccuracyEffort
from imagestudy.experiments.versions import stamp
from imagestudy.models.keras import HOW_TO_INSTALL, is_installed
from imagestudy.training import KerasLearner, TorchLearner, make_learner
from imagestudy.training.history import Tracker

STUDY = """\
dataset: digits
models: [majority, resnet]
profiles: [{name: exponential, ratio: 20}]
crossed: [resnet]
remedies: [none, logit_adjustment]
learning_rates: {resnet: 0.003}
training: {images_seen: 640}
efforts: {smoke: {runs: 4}, default: {runs: 4}, full: {runs: 4}}
"""
REMEDIES = ("balanced_softmax", "logit_adjustment")
DIGITS = Choice(name="digits")
LABELS = data.held_out_labels(DIGITS)
WITH_TENSORFLOW = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
NOTEBOOK = catalog.notebook_of("frameworks")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("studies") / "twins.yaml"
    file.write_text(STUDY, encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def plan(study: str) -> Plan:
    return grids.open_study(study, "smoke")


def done(spec: RunSpec, missed: int, *, shift: int = 0) -> Record:
    """A record of a run that misses so many of the 500 test images, spread over the classes."""
    off = np.zeros(len(LABELS["test"]), dtype=np.uint8)
    off[np.random.default_rng(shift).permutation(len(off))[:missed]] = 1
    share = 1 - missed / len(off)
    scores = {"accuracy": share, "balanced_accuracy": share, "tail": share}
    return Record(stamp(spec), scores, dict(scores), {"seconds": 1.0}, {"counts": [10] * 10}, {"missed": off})


def collect(records: Sequence[Record]) -> Records:
    return Records(tuple(records), {labels_key(DIGITS): LABELS})


def twins(plan: Plan, **missed: tuple[int, int]) -> Records:
    """All runs of the twins; a model named in `missed` misses so many images in even and odd runs, others 20; a remedy saves 5."""
    found = []
    for spec in grids.twins(plan, remedies_=REMEDIES):
        saved = 0 if spec.remedy.name == "none" else 5
        found.append(done(spec, missed.get(spec.model.name, (20, 20))[spec.seed % 2] - saved, shift=spec.seed))
    return collect(found)


def numbers(*, within: bool = True) -> pd.DataFrame:
    return pd.DataFrame({"model": ["keras_lenet"], "batch": ["random images"], "what": ["logits"], "within": [within]})


class TestPairs:
    def test_twins_share_data_seeds_and_recipe(self, plan: Plan) -> None:
        for profile in (ProfileSpec(), *plan.study.profiles):
            for name, twin in TWINS.items():
                pair = zip(*(grids.twin_cell(plan, one, profile=profile) for one in (name, twin)), strict=True)
                for theirs, ours in pair:
                    assert ours.with_(model=theirs.model) == theirs
                    assert all(ours.seed_of(stream) == theirs.seed_of(stream) for stream in SEED_STREAMS)

    def test_a_twin_takes_the_learning_rate_of_the_model_that_it_copies(self, plan: Plan) -> None:
        assert grids.twin_cell(plan, "keras_resnet")[0].training.learning_rate == 0.003
        assert grids.twin_cell(plan, "keras_lenet")[0].training.learning_rate is None

    @WITH_TENSORFLOW
    def test_both_learners_see_the_same_batches(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: dict[type, list[np.ndarray]] = {TorchLearner: [], KerasLearner: []}
        for name in ("lenet", "keras_lenet"):
            spec = grids.twin_cell(plan, name, profile=plan.study.profiles[0], remedy=Choice(name="balanced_sampler"))[2]
            prepared = data.prepare(spec)
            learner = make_learner(spec, classes=10)
            follow = seen[type(learner)]
            kept = Tracker.follow
            monkeypatch.setattr(
                Tracker, "follow", lambda self, *a, f=follow, k=kept: (f.append(a[2].cpu().numpy().copy()), k(self, *a))[1]
            )
            learner.fit(prepared.train.images, prepared.train.labels)
            monkeypatch.setattr(Tracker, "follow", kept)
        assert len(seen[TorchLearner]) == 10
        np.testing.assert_array_equal(seen[TorchLearner], seen[KerasLearner])


class TestTurns:
    def test_twins_are_measured_side_by_side_and_take_turns_in_being_first(self, plan: Plan) -> None:
        specs = grids.twin_costs(plan.__class__(plan.study.model_copy(update={"models": ("lenet", "resnet")}), plan.effort))
        both = [specs[place : place + 2] for place in range(0, len(specs), 2)]
        for one, other in both:
            assert (one.kind, one.seed) == (other.kind, other.seed)
            assert TWINS.get(one.model.name) == other.model.name or TWINS.get(other.model.name) == one.model.name
        first = {(pair[0].seed, pair[0].model.name.startswith("keras")) for pair in both}
        assert first == {(1, False), (2, True)}

    def test_they_are_run_in_that_order(self, plan: Plan) -> None:
        specs = [stamp(spec) for spec in grids.twin_costs(plan)]
        assert [spec.run_id for spec in runner.missing(specs, study="none")] == [spec.run_id for spec in specs]

    def test_a_start_ends_with_the_first_batch_and_no_round_is_the_cost_measured_once(self, plan: Plan) -> None:
        specs = grids.twin_costs(plan)
        assert {spec.training.images_seen for spec in specs if spec.kind == "start"} == {plan.training.batch}
        assert {spec.seed for spec in specs} == {1, 2}

    def test_models_that_the_effort_does_not_price_are_not_measured(self, plan: Plan) -> None:
        priced = Plan(plan.study, plan.effort.model_copy(update={"accuracy": AccuracyEffort(costs=("mlp", "resnet"))}))
        assert {spec.model.name for spec in grids.twin_costs(priced)} == {"resnet", "keras_resnet"}

    @pytest.mark.parametrize("kind", ["neural", pytest.param("keras", marks=WITH_TENSORFLOW)])
    def test_an_import_is_measured_alone(self, kind: str) -> None:
        held = np.ones(80_000_000)
        found = import_cost.measure_import(kind)
        assert 0.1 < found["import_seconds"] < 300
        assert 50 < found["import_mb"] < held.nbytes / 2**20 + 500

    def test_a_start_is_recorded_with_the_import_and_the_step(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imagestudy.experiments.execute.measure_import", lambda _: {"import_seconds": 1.0, "import_mb": 2.0})
        (spec, *_) = (one for one in grids.twin_costs(plan) if one.kind == "start" and one.model.name == "lenet")
        found = runner.record(runner.task(stamp(spec), {}))
        assert isinstance(found, Record)
        assert found.cost["seconds"] > 0
        assert found.cost["import_seconds"] == 1.0
        assert (found.scores, found.validation, found.arrays) == ({}, {}, {})


def measurements(plan: Plan, number_of: Any) -> Records:
    """Costs and starts of all rounds, as `number_of(spec)` says."""
    return collect([replace(done(spec, 0), cost=number_of(spec), scores={}, arrays={}) for spec in grids.twin_costs(plan)])


def one_for_all(spec: RunSpec, *, seconds: float = 0.0, factor: float = 1.0) -> dict[str, float]:
    """Numbers that depend on the round; a whole training takes longer than its start."""
    base = (2.0 if spec.kind == "cost" else 1.0 + seconds) + spec.seed / 10
    names = ("images_per_second", "latency_ms", "memory_mb", "import_seconds", "import_mb")
    return {"seconds": base} | {name: factor * (place + spec.seed) for place, name in enumerate(names, start=1)}


class TestRatios:
    def test_a_thing_with_itself_is_exactly_one(self, plan: Plan) -> None:
        frame = frameworks.measured(plan, measurements(plan, one_for_all))
        assert set(frame["what"]) == set(costs.QUANTITIES)
        assert (frame["ratio"] == 1).all()
        assert (frameworks.ratios(frame)[["ratio", "low", "high"]] == 1).all(axis=None)

    def test_twice_as_much_is_two(self, plan: Plan) -> None:
        found = measurements(plan, lambda spec: one_for_all(spec, factor=2.0 if spec.model.name in TWINS.values() else 1.0))
        frame = frameworks.ratios(frameworks.measured(plan, found)).set_index("what")
        assert (frame.loc[[costs.PREDICTION, costs.LATENCY, costs.IMPORT, costs.MEMORY], "ratio"] == 2).all()
        assert (
            "Keras processes 2 [2, 2] times as many images per second as PyTorch on resnet: it is faster in every round."
            in " ".join(frameworks.say_speed(frame.reset_index()))
        )

    def test_training_is_timed_after_the_first_step(self, plan: Plan) -> None:
        frame = frameworks.measured(plan, measurements(plan, one_for_all))
        rates = frame[frame["what"] == costs.TRAINING]
        assert rates["torch"].to_list() == pytest.approx([(640 - 64) / 1.0] * len(rates))
        slower = frameworks.measured(plan, measurements(plan, lambda spec: one_for_all(spec, seconds=9.0)))
        assert costs.TRAINING not in set(slower["what"]), "a start that outlasts the whole gives no rate"

    def test_a_round_that_is_not_whole_is_left_out(self, plan: Plan) -> None:
        found = measurements(plan, one_for_all)
        lacking = Records(found.records[1:], found.labels)
        frame = frameworks.measured(plan, lacking)
        own = frame[frame["what"] == costs.PREDICTION]
        assert len(own) == len(frameworks.measured(plan, found).query("what == @costs.PREDICTION")) - 1


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("missed", "verdict"),
        [
            ({}, "supported"),
            ({"keras_lenet": (120, 120)}, "contradicted"),
            ({"resnet": (120, 120)}, "contradicted"),
            ({"keras_lenet": (10, 60)}, "undecided"),
        ],
    )
    def test_it_follows_from_the_rule(self, plan: Plan, missed: dict[str, tuple[int, int]], verdict: str) -> None:
        records = twins(plan, **missed)
        (finding,) = frameworks.find_equality(plan, records, numbers())
        assert finding.verdict == verdict
        assert len(finding.judged) == len(TWINS) == finding.judged[0][1].comparisons
        for (name, judged), (torch, keras) in zip(finding.judged, TWINS.items(), strict=True):
            assert name == f"{keras} − {torch}, accuracy"
            effect = comparisons.difference(*(records.of(grids.twin_cell(plan, one)) for one in (keras, torch)), score="accuracy")
            assert judged == comparisons.judge(effect, margin=plan.study.margin, comparisons=2)

    def test_numbers_that_differ_contradict_it(self, plan: Plan) -> None:
        (finding,) = frameworks.find_equality(plan, twins(plan), numbers(within=False))
        assert finding.verdict == "contradicted"

    def test_rows_and_finding_agree(self, plan: Plan) -> None:
        records = twins(plan, keras_lenet=(10, 60))
        frame = frameworks.compare_twins(plan, records, remedies=REMEDIES)
        (finding,) = frameworks.find_equality(plan, records, numbers())
        balanced = frame[frame["training"] == "balanced"]
        assert balanced["verdict"].to_list() == [judged.verdict for _, judged in finding.judged]
        assert len(frame) == 2 + 2 + len(REMEDIES)
        assert set(frame.loc[frame["training"] != "balanced", "comparisons"]) == {2 + len(REMEDIES)}

    def test_the_same_gain_in_both_is_equivalent_and_another_is_not(self, plan: Plan) -> None:
        frame = frameworks.compare_gains(plan, twins(plan), remedies=REMEDIES)
        assert frame["difference"].to_list() == [0.0, 0.0]
        assert set(frame["verdict"]) == {"equivalent"}
        found = twins(plan)
        worse = [
            done(r.spec, 200, shift=r.spec.seed) if (r.spec.model.name, r.spec.remedy.name) == ("keras_resnet", REMEDIES[0]) else r
            for r in found
        ]
        frame = frameworks.compare_gains(plan, collect(worse), remedies=REMEDIES).set_index("remedy")
        assert sorted(frame["verdict"]) == ["equivalent", "lower"]
        assert "Different gains: balanced softmax" in frameworks.say_gains(frame.reset_index())


class TestListing:
    @pytest.mark.parametrize(("model", "said"), [("keras_lenet", "FullyConnectedPool"), ("keras_resnet", "QuadrantPool")])
    def test_it_is_the_code_that_runs(self, model: str, said: str) -> None:
        shown = frameworks.show_listing(model)
        assert isinstance(shown, HTML)
        text = re.sub(r"<[^>]*>", "", shown.data.replace("</span>", "\n"))
        assert f"def {model}(" in text
        assert f"class {said}(nn.Module):" in text
        assert "def strides(" not in text
        assert "def grid_size(" not in text, "what both use is no difference"

    @WITH_TENSORFLOW
    def test_weights_are_listed_in_both_orders(self, plan: Plan) -> None:
        frame = frameworks.pair_weights(plan, "keras_lenet").set_index("weight")
        assert frame.loc["conv2/kernel", ["PyTorch", "Keras"]].to_list() == ["16 × 6 × 5 × 5", "5 × 5 × 6 × 16"]
        assert "each, in 10 weights" in frameworks.say_weights(frame.reset_index(), "keras_lenet")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "lenet"}, "unknown Keras model 'lenet' in parameter 'model'"),
        ({"remedies": ["mixup"]}, "unknown remedy for a Keras model 'mixup'"),
        ({"remedies": "none"}, "parameter 'remedies' is 'none'; allowed: a list"),
        ({"batch": 1}, "parameter 'batch' is 1; allowed: whole numbers from 2 to 512"),
        ({"batch": True}, "parameter 'batch' is True"),
    ],
)
def test_what_is_not_allowed_is_refused_by_a_sentence(changed: dict, message: str) -> None:
    given = {"model": "keras_lenet", "remedies": list(REMEDIES), "batch": 64}
    frameworks.check(**given)
    with pytest.raises(InputError, match=re.escape(message)):
        frameworks.check(**given | changed)


class TestWithoutTensorFlow:
    @pytest.fixture(autouse=True)
    def _absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "tensorflow", None)

    def test_no_study_asks_for_keras_runs(self, plan: Plan) -> None:
        assert not is_installed()
        assert grids.frameworks(plan) == []
        assert not any(spec.model.name in TWINS.values() for spec in catalog.needs(plan))

    def test_the_notebook_runs_to_its_end_and_says_how_to_install_it(self, study: str) -> None:
        shown = execute(study)
        assert sum(HOW_TO_INSTALL in text for text in shown) == 1
        assert "A14" in shown[-1]
        assert "is not decided" in shown[-1]


def execute(study: str) -> list[str]:
    """The notebook's cells in this process, with parameters of a study; the text that each shows."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    space: dict[str, Any] = {}
    shown = []
    for cell in cells:
        body = ast.parse(cell.source).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "cell", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            space |= {"study": study, "effort": "smoke"}
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last else None
        shown.append(str(getattr(value, "data", value)))
    return shown

"""A study at an effort is a list of runs: every cell with the same seeds, nothing twice, nothing that is not allowed."""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from imagestudy import data, grids
from imagestudy.errors import InputError
from imagestudy.grids import Plan
from imagestudy.models import models
from imagestudy.remedies import classical_remedies
from imagestudy.runs.lineage import parents
from imagestudy.specs import EFFORTS, Choice, ProfileSpec, RunSpec
from imagestudy.versions import stamp

PARTS: dict[str, Callable[[Plan], list[RunSpec]]] = {
    "accuracy": grids.accuracy,
    "imbalance": grids.imbalance,
    "loss_to_imbalance": grids.loss_to_imbalance,
    "preprocessing": grids.preprocessing,
    "probe": grids.probe,
    "recipes": grids.recipes,
    "costs": grids.costs,
    **{f"overfit {name}": lambda plan, name=name: grids.overfit(plan, name) for name in grids.DECIDING.values()},
    **{f"ablation {name}": lambda plan, name=name: grids.ablation(plan, name) for name in grids.DECIDING.values()},
}
PAIRED = [name for name in PARTS if name.split()[0] not in ("costs", "overfit", "probe", "recipes")]

STUDY = """\
dataset: digits
models: [mlp, svm]
efforts: {smoke: {runs: 1, images_seen: 640}, default: {runs: 2}, full: {runs: 3}}
"""


@lru_cache
def plan(effort: str) -> Plan:
    return grids.open_study("digits", effort)


@pytest.fixture(params=EFFORTS)
def each(request: pytest.FixtureRequest) -> Plan:
    return plan(request.param)


def ids(specs: list[RunSpec]) -> list[str]:
    return [spec.run_id for spec in specs]


@lru_cache
def everything(effort: str) -> tuple[str, ...]:
    return tuple(ids(grids.everything(plan(effort))))


def cells(specs: list[RunSpec]) -> dict[str, list[int]]:
    """Cell → its seeds, in the order in which they come."""
    seeds: dict[str, list[int]] = {}
    for spec in specs:
        seeds.setdefault(spec.with_(seed=0).run_id, []).append(spec.seed)
    return seeds


@pytest.mark.parametrize("effort", EFFORTS)
class TestEverything:
    def test_nothing_is_in_it_twice(self, effort: str) -> None:
        assert len(everything(effort)) == len(set(everything(effort)))

    def test_it_is_its_parts_and_nothing_else(self, effort: str) -> None:
        parts = {name: set(ids(part(plan(effort)))) for name, part in PARTS.items()}
        assert [name for name, found in parts.items() if not found <= set(everything(effort))] == []
        assert set(everything(effort)) == set().union(*parts.values())

    def test_every_run_passes_the_checks(self, effort: str) -> None:
        specs = grids.everything(plan(effort))
        for spec in specs:
            stamp(spec)
        for dataset, profile in {(spec.dataset.name, spec.profile) for spec in specs if not spec.dataset.options}:
            data.profile_size(Choice(name=dataset), profile)

    def test_declaring_twice_declares_the_same(self, effort: str) -> None:
        assert tuple(ids(grids.everything(plan(effort)))) == everything(effort)


class TestSize:
    def test_full_contains_default(self) -> None:
        assert set(everything("default")) < set(everything("full"))


class TestPairing:
    @pytest.mark.parametrize("part", PAIRED)
    def test_all_cells_share_the_same_seeds(self, part: str, each: Plan) -> None:
        found = cells(PARTS[part](each))
        assert found
        assert all(seeds == list(range(each.effort.runs)) for seeds in found.values())

    def test_no_stream_is_moved_alone(self, each: Plan) -> None:
        assert all((s.draw, s.order, s.init, s.batches) == (None,) * 4 for s in grids.everything(each))

    def test_the_probe_gives_all_runs_to_the_rnn_and_the_first_to_the_others(self, each: Plan) -> None:
        for spec in grids.probe(each):
            seeds = [s.seed for s in grids.probe(each) if s.with_(seed=0) == spec.with_(seed=0)]
            runs = each.effort.runs if spec.model.name == "bilstm" else min(each.effort.runs, grids.PROBE_RUNS_BESIDE)
            assert seeds == list(range(runs))
        distances = {
            name: {s.dataset.options["distance"] for s in grids.probe(each) if s.model.name == name} for name in ("bilstm", "vit")
        }
        assert distances == {"bilstm": set(each.effort.distances), "vit": set(each.effort.beside or each.effort.distances)}

    def test_a_model_is_measured_and_overfits_once(self, each: Plan) -> None:
        assert [(s.model.name, s.seed, s.kind) for s in grids.costs(each)] == [
            (name, 0, "cost") for name in each.effort.costs or each.study.models
        ]
        assert [s.seed for s in grids.overfit(each, "mlp")] == [0]


class TestImbalance:
    def test_full_crosses_everything(self) -> None:
        full = plan("full")
        study = full.study
        found = {(s.profile.label, s.model.name, s.remedy.name) for s in grids.imbalance(full)}
        expected = {
            (profile.label, model, remedy)
            for profile in study.profiles
            for model in study.crossed
            for remedy in study.remedies
            if model != "svm" or remedy in classical_remedies()
        }
        assert found == expected
        assert len(grids.imbalance(full)) == len(expected) * full.effort.runs

    def test_default_is_whole_under_the_first_profile_and_thinned_in_the_others(self) -> None:
        default = plan("default")
        first, *others = grids.imbalanced_profiles(default)
        assert first == ProfileSpec(name="exponential", ratio=50.0)
        remedies = {p.label: {s.remedy.name for s in grids.imbalance(default) if s.profile == p} for p in (first, *others)}
        assert remedies.pop(first.label) == set(default.study.remedies)
        assert all(names == {"none", *default.effort.thinned} for names in remedies.values())

    def test_a_classical_model_leaves_out_remedies_with_a_loss_of_their_own(self, each: Plan) -> None:
        left_out = set(each.study.remedies) - set(classical_remedies())
        assert left_out == {"focal", "balanced_softmax"}
        assert set(grids.remedies_of(each, "svm", whole=True)) == set(each.study.remedies) - left_out
        assert set(grids.remedies_of(each, "mlp", whole=True)) == set(each.study.remedies)

    def test_plain_training_is_always_there_to_compare_with(self, each: Plan) -> None:
        found = {(s.profile.label, s.model.name) for s in grids.imbalance(each) if s.remedy.name == "none"}
        assert found == {(s.profile.label, s.model.name) for s in grids.imbalance(each)}

    def test_other_ratios_replace_those_of_the_file(self) -> None:
        profiles = grids.imbalanced_profiles(plan("smoke"), ratios=[20, 2.5])
        assert [p.label for p in profiles] == ["exponential 20", "exponential 2.5", "step 20", "step 2.5"]
        assert {s.profile for s in grids.imbalance(plan("smoke"), ratios=[20])} == set(profiles[::2])

    @pytest.mark.parametrize("ratio", [0.5, 0, -3, "20", True, None, float("nan")])
    def test_a_ratio_that_is_no_number_of_at_least_one_is_refused(self, ratio: object) -> None:
        with pytest.raises(InputError, match=r"^ratio .* was given in parameter 'ratios'; allowed: numbers of at least 1$"):
            grids.imbalanced_profiles(plan("smoke"), ratios=[20, ratio])

    @pytest.mark.parametrize("ratio", [500, float("inf")])
    def test_a_ratio_that_leaves_a_class_empty_is_refused(self, ratio: float) -> None:
        with pytest.raises(InputError, match=r"leaves a class without an image; allowed: 1 to \d+"):
            grids.imbalanced_profiles(plan("smoke"), ratios=[ratio])

    def test_natural_imbalance_has_no_ratio_to_replace(self, tmp_path: Path) -> None:
        profiles = "profiles: [{name: natural}, {name: step, ratio: 5}]\n"
        opened = grids.open_study(write(tmp_path, STUDY + profiles), "smoke")
        assert [p.label for p in grids.imbalanced_profiles(opened)] == ["natural", "step 5"]
        assert [p.label for p in grids.imbalanced_profiles(opened, ratios=[3])] == ["step 3"]


class TestLossToImbalance:
    def test_as_many_balanced_images_are_exactly_as_many(self, each: Plan) -> None:
        for profile in grids.imbalanced_profiles(each):
            balanced = grids.as_many_balanced(each, profile)
            assert balanced.name == "balanced"
            counts = [data.prepare(run(profile=p)).counts for p in (profile, balanced)]
            assert counts[0].sum() == counts[1].sum()
            assert counts[1].max() - counts[1].min() <= 1

    def test_every_imbalanced_cell_has_a_balanced_one_beside_it(self, each: Plan) -> None:
        found = {(s.model.name, s.profile) for s in grids.loss_to_imbalance(each)}
        for model in (*grids.TRADITIONAL.values(), *(grids.DECIDING[f] for f in grids.TRADITIONAL)):
            for profile in grids.imbalanced_profiles(each):
                assert {(model, profile), (model, grids.as_many_balanced(each, profile))} <= found

    def test_no_remedy_is_in_it(self, each: Plan) -> None:
        assert {s.remedy.name for s in grids.loss_to_imbalance(each)} == {"none"}


class TestBudget:
    def test_every_run_has_the_studys_recipe(self, each: Plan) -> None:
        seen = each.effort.images_seen or each.study.training.images_seen
        for part in ("accuracy", "imbalance", "loss_to_imbalance", "preprocessing"):
            assert {s.training for s in PARTS[part](each)} == {each.study.training.model_copy(update={"images_seen": seen})}

    def test_an_effort_may_cut_the_budget_of_the_probe_too(self) -> None:
        assert {s.training.images_seen for s in grids.probe(plan("smoke"))} == {plan("smoke").effort.images_seen}
        assert {s.training for s in grids.probe(plan("full"))} == {plan("full").study.probe}

    def test_tuning_gets_the_efforts_trials(self) -> None:
        smoke = {len(parents(stamp(s))) for s in grids.imbalance(plan("smoke")) if s.remedy.name == "tuned"}
        full = {len(parents(stamp(s))) for s in grids.imbalance(plan("full")) if s.remedy.name == "tuned"}
        assert (smoke, full) == ({plan("smoke").effort.trials}, {8})

    def test_models_with_a_width_get_the_studys_parameters(self, each: Plan) -> None:
        given = {s.model.name: s.model.params for s in grids.accuracy(each)}
        assert all(given[name] == each.study.params for name in grids.DECIDING.values())
        assert all(given[name] is None for name in (*grids.TRADITIONAL.values(), "svm", "majority"))


class TestOtherParts:
    def test_every_network_tries_every_learning_rate_equally_often_and_is_not_reported(self, each: Plan) -> None:
        found = grids.recipes(each)
        tried = Counter((s.model.name, s.profile.label, s.training.learning_rate) for s in found)
        networks = {s.model.name for s in grids.accuracy(each) if models.entry(s.model.name).facts["kind"] == "neural"}
        profiles = ("balanced", grids.imbalanced_profiles(each)[0].label)
        everywhere = {(name, profile, rate) for name in networks for profile in profiles for rate in grids.RATES}
        assert tried == Counter(dict.fromkeys(everywhere, each.effort.recipes)) if each.effort.recipes else not found
        assert {s.kind for s in found} <= {"trial"}
        assert {s.seed for s in found}.isdisjoint(s.seed for s in grids.everything(each) if s.kind == "run")

    def test_preprocessing_is_tried_on_clean_and_noisy_images_alike(self, each: Plan) -> None:
        specs = grids.preprocessing(each)
        clean = [s.preprocessing for s in specs if s.preprocessing.noise is None]
        noisy = [s.preprocessing.model_copy(update={"noise": None}) for s in specs if s.preprocessing.noise == grids.NOISE]
        assert clean == noisy
        settings = grids.preprocessing_settings(each)
        assert settings.keys() == {"off", "filter", "denoise", "augment"}
        assert len(specs) == 2 * each.effort.runs * sum(map(len, settings.values()))

    def test_an_ablation_takes_one_part_away_at_a_time(self, each: Plan) -> None:
        for name, parts in grids.ABLATIONS.items():
            options = list(dict.fromkeys(tuple(s.model.options.items()) for s in grids.ablation(each, name)))
            assert options == [(), *(tuple(part.items()) for part in parts)]

    def test_accuracy_can_be_asked_of_some_models(self, each: Plan) -> None:
        assert {s.model.name for s in grids.accuracy(each, models_=["mlp", "vit"])} == {"mlp", "vit"}

    def test_a_study_without_a_probe_has_none(self, tmp_path: Path) -> None:
        opened = grids.open_study(write(tmp_path, STUDY), "smoke")
        assert grids.probe(opened) == []
        with pytest.raises(InputError, match="study 'mine' has no probe"):
            grids.probe_cell(opened, "mlp", 6)


class TestOpening:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (("mlp, svm", "mlp, swm"), "unknown model 'swm' in study {file!r}; allowed: "),
            (("mlp, svm]", "mlp]\ncrossed: [mpl]"), "unknown model 'mpl' in study {file!r}; allowed: "),
            (("mlp, svm]", "mlp]\nremedies: [none, fokal]"), "unknown remedy 'fokal' in study {file!r}; allowed: "),
            (("{runs: 2}", "{runs: 2, thinned: [nine]}"), "unknown remedy 'nine' in study {file!r}; allowed: "),
            (("dataset: digits", "dataset: digit"), "unknown dataset 'digit' in study {file!r}; allowed: "),
            (
                ("dataset: digits", "dataset: {name: digits, options: {size: 9}}"),
                "unknown key 'size' of dataset 'digits' in study {file!r}",
            ),
            (("mlp, svm]", "mlp]\nprofiles: [{name: step, ratio: 0.5}]"), "profiles.0.ratio: 0.5 was given in {file}; "),
            (("mlp, svm]", "mlp]\nprofiles: [{name: step, ratio: 500}]"), "leaves a class without an image; allowed: 1 to 95"),
            (("mlp, svm]", "mlp]\nprofiles: [{name: step, ratio: 500}]"), "; given in study {file!r}"),
        ],
    )
    def test_what_a_study_file_gets_wrong_is_said_with_its_place(self, change: tuple[str, str], said: str, tmp_path: Path) -> None:
        file = write(tmp_path, STUDY.replace(*change))
        with pytest.raises(InputError) as caught:
            grids.open_study(file, "smoke")
        assert said.format(file=file) in str(caught.value)

    def test_an_unknown_effort_is_refused(self) -> None:
        with pytest.raises(InputError, match="unknown effort 'fast' in study 'digits'; allowed: smoke, default, full"):
            grids.open_study("digits", "fast")

    def test_a_small_study_opens(self, tmp_path: Path) -> None:
        opened = grids.open_study(write(tmp_path, STUDY), "smoke")
        assert opened.name == "mine"
        assert opened.training.images_seen == 640
        assert {s.model.name for s in grids.accuracy(opened)} == {"mlp", "svm"}


def write(folder: Path, text: str) -> str:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def run(**fields: object) -> RunSpec:
    return grids.accuracy(plan("smoke"), models_=["mlp"])[0].with_(dataset=Choice(name="digits"), **fields)

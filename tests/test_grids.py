"""A study at an effort is a list of runs: every cell with the same seeds, nothing twice, nothing that is not allowed."""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from imagestudy import data
from imagestudy.analysis import catalog, families
from imagestudy.core.errors import InputError
from imagestudy.core.specs import MOVED_BY, SEED_STREAMS, Choice, ProfileSpec, RunSpec
from imagestudy.experiments import grids
from imagestudy.experiments.dependencies import parents
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.study import EFFORTS
from imagestudy.experiments.versions import stamp
from imagestudy.models import models
from imagestudy.remedies import classical_remedies

PARTS: dict[str, Callable[[Plan], list[RunSpec]]] = {
    "accuracy": grids.accuracy,
    "imbalance": grids.imbalance,
    "loss_to_imbalance": grids.loss_to_imbalance,
    "preprocessing": grids.preprocessing,
    "probe": grids.probe,
    "recipes": grids.recipes,
    "longer": grids.longer,
    "curves": grids.curves,
    "at_scale": grids.at_scale,
    "spread": grids.spread,
    "diagnostics": grids.diagnostics,
    "costs": grids.costs,
    "twins": grids.twins,
    "costs of twins": grids.twin_costs,
    **{f"overfit {name}": lambda plan, name=name: grids.overfit(plan, name) for name in grids.DECIDING.values()},
    **{f"ablation {name}": lambda plan, name=name: grids.ablation(plan, name) for name in grids.DECIDING.values()},
}
PAIRED = [name for name in PARTS if name.split()[0] not in ("costs", "overfit", "probe", "recipes", "spread")]
OF_A_NETWORK = {
    *("focal", "balanced_softmax", "drw", "ldam", "ldam_drw", "label_aware_smoothing", "mixup_drw"),
    *("progressive_sampler", "drs", "mixup", "remix", "tail_cutmix", "crt", "lws", "tau_norm", "ncm", "seed_ensemble"),
}
"""Remedies of the study that only a network can follow."""

STUDY = """\
dataset: digits
models: [mlp, svm]
efforts: {smoke: {runs: 1, images_seen: 640}, default: {runs: 2}, full: {runs: 3}}
"""
PROFILES = "profiles: [{name: exponential, ratio: 5}]\n"
RATES = "learning_rates: {mlp: 0.003}\n"
SIZES = [ProfileSpec(name="exponential", ratio=10.0, largest=size) for size in (24, 48, None)]


@lru_cache
def plan(effort: str) -> Plan:
    return grids.open_study("digits", effort)


@pytest.fixture(params=EFFORTS)
def each(request: pytest.FixtureRequest) -> Plan:
    return plan(request.param)


def ids(specs: list[RunSpec]) -> list[str]:
    return [stamp(spec).run_id for spec in specs]


@lru_cache
def needed(effort: str) -> tuple[RunSpec, ...]:
    return tuple(catalog.needs(plan(effort)))


def everything(effort: str) -> tuple[str, ...]:
    return tuple(spec.run_id for spec in needed(effort))


@lru_cache
def declared(effort: str, part: str) -> tuple[RunSpec, ...]:
    return tuple(PARTS[part](plan(effort)))


def part(each: Plan, name: str) -> tuple[RunSpec, ...]:
    """The runs of one part, declared once for all tests."""
    return declared(effort_of(each), name)


def needs_of(each: Plan) -> tuple[RunSpec, ...]:
    """All runs of a plan."""
    return needed(effort_of(each))


def effort_of(each: Plan) -> str:
    return next(effort for effort in EFFORTS if plan(effort) is each)


def of_families(each: Plan) -> list[RunSpec]:
    """Every network of each family on balanced training data."""
    return [spec for family in grids.DECIDING for spec in families.needs(each, family)]


def of_adjustment(each: Plan) -> list[RunSpec]:
    """Post-hoc adjustment of every crossed model under the first profile, which is shown whatever the effort leaves out."""
    names = ("logit_adjustment", "logit_adjustment_tuned")
    given = [(model, grids.remedy_of(each, name)) for model in each.study.crossed for name in names]
    return [s for model, remedy in given for s in grids.cell(each, model, profile=each.study.profiles[0], remedy=remedy)]


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
        behind = {parent.run_id for spec in needed(effort) for parent in parents(spec)}
        others = [*of_families(plan(effort)), *of_adjustment(plan(effort))]
        assert set(everything(effort)) - behind <= set().union(*parts.values(), set(ids(others)))

    def test_every_run_passes_the_checks(self, effort: str) -> None:
        specs = needed(effort)
        assert all(stamp(spec) == spec for spec in specs)
        for dataset, profile in {(spec.dataset.name, spec.profile) for spec in specs if not spec.dataset.options}:
            data.profile_size(Choice(name=dataset), profile)

    def test_declaring_twice_declares_the_same(self, effort: str) -> None:
        assert tuple(ids(catalog.needs(plan(effort)))) == everything(effort)


class TestSize:
    def test_full_contains_default(self) -> None:
        assert set(everything("default")) < set(everything("full"))


class TestPairing:
    @pytest.mark.parametrize("part", PAIRED)
    def test_all_cells_share_the_same_seeds(self, part: str, each: Plan) -> None:
        found = cells(PARTS[part](each))
        assert found
        assert all(seeds == list(range(each.effort.runs)) for seeds in found.values())

    def test_no_stream_is_moved_alone_but_to_measure_the_spread(self, each: Plan) -> None:
        behind = {parent.run_id for spec in needs_of(each) for parent in parents(spec)}
        moved = [s for s in needs_of(each) if (s.draw, s.order, s.init, s.batches) != (None,) * 4]
        assert set(ids(moved)) - behind <= set(ids(grids.spread(each)))

    def test_the_probe_gives_all_runs_to_the_rnn_and_the_first_to_the_others(self, each: Plan) -> None:
        for spec in grids.probe(each):
            seeds = [s.seed for s in grids.probe(each) if s.with_(seed=0) == spec.with_(seed=0)]
            runs = each.effort.runs if spec.model.name == "bilstm" else min(each.effort.runs, grids.PROBE_RUNS_BESIDE)
            assert seeds == list(range(runs))
        distances = {
            name: {s.dataset.options["distance"] for s in grids.probe(each) if s.model.name == name} for name in ("bilstm", "vit")
        }
        assert distances == {
            "bilstm": set(each.effort.families.distances),
            "vit": set(each.effort.families.beside or each.effort.families.distances),
        }

    def test_a_model_is_measured_and_overfits_once(self, each: Plan) -> None:
        alone = [s for s in grids.costs(each) if s.profile == ProfileSpec()]
        assert [s.model.name for s in alone] == list(each.effort.accuracy.costs or each.study.models)
        assert {s.remedy.name for s in alone} == {"none"}
        assert {(s.seed, s.kind) for s in grids.costs(each)} == {(0, "cost")}
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
            if model != "svm" or remedy not in OF_A_NETWORK
        }
        assert found == expected
        assert len(grids.imbalance(full)) == len(expected) * full.effort.runs

    def test_default_is_whole_under_the_first_profile_and_thinned_in_the_others(self) -> None:
        default = plan("default")
        first, *others = grids.imbalanced_profiles(default)
        assert first == ProfileSpec(name="exponential", ratio=50.0)
        remedies = {p.label: {s.remedy.name for s in grids.imbalance(default) if s.profile == p} for p in (first, *others)}
        assert remedies.pop(first.label) == set(default.study.remedies)
        assert all(names == {"none", *default.effort.imbalance.thinned} for names in remedies.values())

    def test_a_classical_model_leaves_out_remedies_that_only_a_network_can_follow(self, each: Plan) -> None:
        left_out = set(each.study.remedies) - set(classical_remedies())
        assert left_out == OF_A_NETWORK
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


class TestCurves:
    def test_the_ratios_are_those_of_the_effort_under_the_first_kind_of_profile(self, each: Plan) -> None:
        profiles = grids.curve_profiles(each)
        assert [p.ratio for p in profiles] == sorted(each.effort.imbalance.ratios)
        assert {p.name for p in profiles} == {"exponential"}

    def test_every_crossed_model_has_a_curve_of_plain_training_and_of_each_remedy(self, each: Plan) -> None:
        found = {(s.model.name, s.profile.ratio, s.remedy.name) for s in part(each, "curves")}
        wanted = {"none", *each.effort.imbalance.curves}
        assert found == {
            (model, ratio, name)
            for model in each.study.crossed
            for ratio in each.effort.imbalance.ratios
            for name in (wanted - OF_A_NETWORK if model == "svm" else wanted)
        }

    def test_where_a_ratio_is_also_a_profile_the_runs_are_the_same(self, each: Plan) -> None:
        first = [s for s in part(each, "curves") if s.profile == each.study.profiles[0]]
        assert first
        if each.effort.imbalance.whole:
            assert set(ids(first)) <= set(ids(part(each, "imbalance")))

    @pytest.mark.parametrize("profiles", ["", "profiles: [{name: natural}, {name: step, ratio: 5}]\n"])
    def test_without_a_profile_that_has_a_ratio_there_is_none(self, profiles: str, tmp_path: Path) -> None:
        text = STUDY.replace("images_seen: 640", "ratios: [2, 5]") + "crossed: [mlp]\n" + profiles
        opened = grids.open_study(write(tmp_path, text), "smoke")
        assert grids.curves(opened) == []

    def test_they_follow_a_step_profile_too(self, tmp_path: Path) -> None:
        text = STUDY.replace("images_seen: 640", "ratios: [7, 2]") + "crossed: [mlp]\nprofiles: [{name: step, ratio: 5}]\n"
        opened = grids.open_study(write(tmp_path, text), "smoke")
        assert [p.label for p in grids.curve_profiles(opened)] == ["step 2", "step 7"]
        assert {s.remedy.name for s in grids.curves(opened)} == {"none"}


class TestScale:
    def test_the_sets_grow_to_the_whole_one_at_one_ratio(self, each: Plan) -> None:
        profiles = grids.scale_profiles(each)
        assert [p.largest for p in profiles] == [*sorted(each.effort.claims.sizes), None]
        assert {(p.name, p.ratio) for p in profiles} == {("exponential", each.study.scale_ratio)}
        images = [data.profile_size(each.study.dataset, p) for p in profiles]
        assert images == sorted(set(images))

    def test_a_smaller_set_is_part_of_a_larger_one(self) -> None:
        sets = [set(data.prepare(run(profile=p)).train.images.reshape(-1, 64).astype(int).dot(range(1, 65))) for p in SIZES]
        assert sets[0] < sets[1] < sets[2]

    def test_the_same_classes_are_rare_in_all(self) -> None:
        counts = [data.prepare(run(profile=p, seed=3)).counts for p in SIZES]
        assert counts[0].max() == 24
        assert counts[1].max() == 48
        assert all((c.argsort(kind="stable")[::9] == counts[0].argsort(kind="stable")[::9]).all() for c in counts)

    def test_every_one_has_both_members_of_every_family_and_as_many_balanced_images_beside_it(self, each: Plan) -> None:
        names = [*grids.TRADITIONAL.values(), *(grids.DECIDING[family] for family in grids.TRADITIONAL)]
        found = {(s.model.name, s.profile) for s in part(each, "at_scale")}
        profiles = [p for one in grids.scale_profiles(each) for p in (one, grids.as_many_balanced(each, one))]
        assert found == {(name, profile) for name in names for profile in profiles}
        assert {s.remedy.name for s in part(each, "at_scale")} == {"none"}

    def test_a_study_that_names_no_sizes_has_none(self, tmp_path: Path) -> None:
        assert grids.at_scale(grids.open_study(write(tmp_path, STUDY), "smoke")) == []


class TestSpread:
    def test_every_run_stands_beside_four_in_which_one_stream_is_moved_and_a_restart(self, each: Plan) -> None:
        found = part(each, "spread")
        assert {(s.profile, s.remedy.name, s.kind) for s in found} == {(each.study.profiles[0], "none", "run")}
        assert [s.model.name for s in found[:: 6 * each.effort.runs]] == list(each.effort.variance.moved)
        for number in range(0, len(found), 6):
            plain, *moved = found[number : number + 6]
            assert (plain.draw, plain.order, plain.init, plain.batches) == (None,) * 4
            streams = [{n: v for n in SEED_STREAMS if (v := getattr(one, n)) is not None} for one in moved]
            by = plain.seed + MOVED_BY
            assert streams == [*({stream: by} for stream in SEED_STREAMS), {"init": by, "batches": by}]
            assert all(one.with_(**dict.fromkeys(SEED_STREAMS)) == plain for one in moved)

    def test_what_stands_still_is_in_the_grid_anyway(self, each: Plan) -> None:
        plain = [s for s in part(each, "spread") if s.init is s.batches is s.draw is s.order is None]
        assert set(ids(plain)) <= set(ids(part(each, "imbalance")))

    def test_a_moved_seed_moves_its_own_part_of_the_training_set_alone(self) -> None:
        plain, draw, order, init, batches = (data.prepare(s) for s in grids.spread(plan("smoke"))[:5])
        assert (draw.counts == plain.counts).all()
        assert (draw.train.images != plain.train.images).any()
        assert (order.counts != plain.counts).any()
        assert sorted(order.counts) == sorted(plain.counts)
        for other in (init, batches):
            assert (other.train.images == plain.train.images).all()


class TestDiagnostics:
    def test_they_are_plain_training_balanced_and_under_the_first_profile(self, each: Plan) -> None:
        found = part(each, "diagnostics")
        cells_ = {(s.model.name, s.profile) for s in found}
        assert cells_ == {(name, p) for name in each.effort.variance.diagnosed for p in (ProfileSpec(), each.study.profiles[0])}
        assert {(s.remedy.name, s.kind) for s in found} == {("none", "diagnostic")}

    def test_every_one_stands_beside_the_run_that_it_watches(self, each: Plan) -> None:
        watched = set(ids([s.with_(kind="run") for s in part(each, "diagnostics")]))
        assert watched <= set(ids(grids.accuracy(each, models_=grids.members(each)))) | set(ids(part(each, "imbalance")))

    def test_nothing_stands_on_one(self) -> None:
        specs = needed("smoke")
        diagnostics = {s.run_id for s in specs if s.kind == "diagnostic"}
        assert diagnostics
        assert all(p.run_id not in diagnostics for s in specs for p in parents(s))


class TestPriced:
    def test_every_remedy_that_is_one_training_has_its_price_under_the_first_profile(self, each: Plan) -> None:
        found = {(s.model.name, s.remedy.name) for s in part(each, "costs") if s.profile != ProfileSpec()}
        crossed = {(s.model.name, s.remedy.name) for s in part(each, "imbalance") if s.profile == each.study.profiles[0]}
        computed = {"tuned", "logit_adjustment", "logit_adjustment_tuned", "seed_ensemble"}
        assert found == {(model, name) for model, name in crossed if model in each.effort.imbalance.costs and name not in computed}
        assert {s.profile for s in part(each, "costs")} == {
            ProfileSpec(),
            *each.study.profiles[: bool(each.effort.imbalance.costs)],
        }

    @pytest.mark.parametrize(
        ("name", "once"), [("none", True), ("crt", True), ("ncm", True), ("seed_ensemble", False), ("tuned", False)]
    )
    def test_what_is_computed_or_chosen_from_other_runs_is_not_one_training(self, name: str, once: bool) -> None:
        assert grids.trains_once(name) == once

    def test_a_classical_model_is_priced_for_what_it_can_follow(self, tmp_path: Path) -> None:
        text = STUDY.replace("images_seen: 640", "priced: [svm]") + PROFILES + "remedies: [none, tau_norm, class_weights, tuned]\n"
        opened = grids.open_study(write(tmp_path, text), "smoke")
        priced = [s.remedy.name for s in grids.costs(opened) if s.profile != ProfileSpec()]
        assert priced == ["none", "class_weights"]


class TestBudget:
    def test_every_run_has_the_studys_recipe(self, each: Plan) -> None:
        seen = each.effort.images_seen or each.study.training.images_seen
        for part in (
            "accuracy",
            "imbalance",
            "loss_to_imbalance",
            "preprocessing",
            "curves",
            "at_scale",
            "spread",
            "diagnostics",
            "costs",
        ):
            assert {s.training for s in PARTS[part](each)} == {each.study.training.model_copy(update={"images_seen": seen})}

    def test_an_effort_may_cut_the_budget_of_the_probe_too(self) -> None:
        assert {s.training.images_seen for s in grids.probe(plan("smoke"))} == {plan("smoke").effort.images_seen}
        assert {s.training for s in grids.probe(plan("full"))} == {plan("full").study.probe}

    def test_tuning_gets_the_efforts_trials(self) -> None:
        smoke = {len(parents(stamp(s))) for s in grids.imbalance(plan("smoke")) if s.remedy.name == "tuned"}
        full = {len(parents(stamp(s))) for s in grids.imbalance(plan("full")) if s.remedy.name == "tuned"}
        assert (smoke, full) == ({plan("smoke").effort.imbalance.trials}, {8})

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
        assert (
            tried == Counter(dict.fromkeys(everywhere, each.effort.accuracy.trials)) if each.effort.accuracy.trials else not found
        )
        assert {s.kind for s in found} <= {"trial"}
        assert {s.seed for s in found}.isdisjoint(s.seed for s in needs_of(each) if s.kind == "run")

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
            (("{runs: 2}", "{runs: 2, curves: [nine]}"), "unknown remedy 'nine' in study {file!r}; allowed: "),
            (("images_seen: 640", "spread: [mpl]"), "unknown model 'mpl' in study {file!r}; allowed: "),
            (("images_seen: 640", "priced: [mpl]"), "unknown model 'mpl' in study {file!r}; allowed: "),
            (("images_seen: 640", "diagnosed: [mpl]"), "unknown model 'mpl' in study {file!r}; allowed: "),
            (
                ("images_seen: 640", "diagnosed: [svm]"),
                "unknown network under 'diagnosed' 'svm' in study {file!r}; allowed: perceptron, article, mlp",
            ),
            (("images_seen: 640", "sizes: [500]"), "a largest class of 500 was given to profile 'exponential'; allowed: 1 to 95"),
            (("images_seen: 640", "sizes: [500]"), "; given in study {file!r}"),
            (
                ("images_seen: 640}", "ratios: [500]}"),
                "ratio 500 of profile 'exponential' leaves a class without an image; allowed: 1 to 95",
            ),
        ],
    )
    def test_what_a_study_file_gets_wrong_is_said_with_its_place(self, change: tuple[str, str], said: str, tmp_path: Path) -> None:
        file = write(tmp_path, STUDY.replace(*change) + (PROFILES if "ratios" in change[1] else ""))
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


def test_a_network_with_a_learning_rate_of_its_own_has_it_in_every_run_and_the_others_keep_theirs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(STUDY + PROFILES + "crossed: [mlp, vit]\n", encoding="utf-8")
    shared = grids.open_study(str(file), "default")
    file.write_text(STUDY + PROFILES + "crossed: [mlp, vit]\n" + RATES, encoding="utf-8")
    own = grids.open_study(str(file), "default")
    for grid in (grids.accuracy, grids.imbalance, grids.spread, grids.costs, lambda one: grids.inside(one, "ann")):
        for before, after in zip(grid(shared), grid(own), strict=True):
            rate = 0.003 if before.model.name == "mlp" else before.training.learning_rate
            assert after == before.with_(training=before.training.model_copy(update={"learning_rate": rate}))


@pytest.mark.parametrize("name", ["svm", "mpl"])
def test_only_a_network_can_have_a_learning_rate_of_its_own(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(STUDY + f"learning_rates: {{{name}: 0.003}}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"unknown network under 'learning_rates' '{name}' in study .*; allowed: "):
        grids.open_study(str(tmp_path / "mine.yaml"), "default")

"""The id of a run is a hash of everything it depends on. A study file is validated before anything else happens."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, Spec, TrainingSpec
from imagestudy.experiments.study import load_study, study_file

PLAIN = RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name="mlp"))
IMBALANCED = RunSpec(
    dataset=Choice(name="digits"),
    model=ModelSpec(name="resnet", params=40_000),
    profile=ProfileSpec(name="exponential", ratio=50.0),
    remedy=Choice(name="focal", options={"gamma": 1.0}),
    seed=3,
)
TRIAL = RunSpec(
    dataset=Choice(name="probe", options={"distance": 12}),
    model=ModelSpec(name="vit", params=40_000, options={"depth": 1}),
    preprocessing=PreprocessingSpec(
        noise=Choice(name="gaussian", options={"sigma": 0.3}),
        steps=(Choice(name="median", options={"size": 3}),),
        augment=(Choice(name="shift"),),
    ),
    training=TrainingSpec(images_seen=640, learning_rate=0.001),
    seed=1,
    draw=0,
    kind="trial",
)

STUDY = """\
dataset: digits
models: [mlp]
efforts: {smoke: {runs: 1}, default: {runs: 2}, full: {runs: 3}}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    """The error sentence for an invalid study file, with the path replaced by FILE. The path must be in the sentence."""
    file = write(folder, text)
    with pytest.raises(InputError) as caught:
        load_study(str(file))
    assert str(file) in str(caught.value)
    return str(caught.value).replace(str(file), "FILE")


class TestRunId:
    @pytest.mark.parametrize(
        ("spec", "run_id"), [(PLAIN, "f78e594856e9bf9c"), (IMBALANCED, "bbb01fbe52511343"), (TRIAL, "99efcfa5e2293506")]
    )
    def test_recorded_runs_keep_their_ids(self, spec: RunSpec, run_id: str) -> None:
        assert spec.run_id == run_id

    def test_a_field_added_later_changes_no_id(self) -> None:
        class LaterTraining(TrainingSpec):
            momentum: float = 0.9

        class LaterRun(RunSpec):
            training: LaterTraining = LaterTraining()
            purpose: str = "study"

        for spec in (PLAIN, IMBALANCED, TRIAL):
            assert LaterRun.model_validate_json(spec.key()).run_id == spec.run_id

    def test_an_explicit_default_is_the_same_run(self) -> None:
        spelled = PLAIN.with_(training=TrainingSpec(images_seen=40_000, threads=1), profile=ProfileSpec(name="balanced"), seed=0)
        assert spelled == PLAIN
        assert spelled.run_id == PLAIN.run_id

    @pytest.mark.parametrize(
        "change",
        [
            {"dataset": Choice(name="probe")},
            {"dataset": Choice(name="digits", version=2)},
            {"model": ModelSpec(name="vit")},
            {"model": ModelSpec(name="mlp", version=2)},
            {"model": ModelSpec(name="mlp", params=1_000)},
            {"model": ModelSpec(name="mlp", options={"dropout": 0.0})},
            {"profile": ProfileSpec(name="step", ratio=2.0)},
            {"profile": ProfileSpec(size=40)},
            {"profile": ProfileSpec(name="step", ratio=2.0, largest=40)},
            {"preprocessing": PreprocessingSpec(noise=Choice(name="gaussian"))},
            {"preprocessing": PreprocessingSpec(steps=(Choice(name="gaussian"),))},
            {"preprocessing": PreprocessingSpec(augment=(Choice(name="gaussian"),))},
            {"remedy": Choice(name="focal")},
            {"remedy": Choice(name="none", version=2)},
            {"training": TrainingSpec(images_seen=640)},
            {"training": TrainingSpec(batch=32)},
            {"training": TrainingSpec(learning_rate=0.003)},
            {"training": TrainingSpec(weight_decay=0.0)},
            {"training": TrainingSpec(threads=2)},
            {"training": TrainingSpec(device="cuda")},
            {"training": TrainingSpec(dtype="bfloat16")},
            {"training": TrainingSpec(version=2)},
            {"seed": 1},
            {"draw": 0},
            {"order": 0},
            {"init": 0},
            {"batches": 0},
            {"kind": "trial"},
            {"kind": "cost"},
            {"kind": "diagnostic"},
        ],
        ids=str,
    )
    def test_the_id_depends_on_every_field(self, change: dict) -> None:
        assert PLAIN.with_(**change).run_id != PLAIN.run_id

    def test_the_id_depends_on_the_size_of_the_largest_class_if_given(self) -> None:
        whole, smaller, smallest = (ProfileSpec(name="exponential", ratio=50.0, largest=size) for size in (None, 48, 24))
        assert IMBALANCED.with_(profile=whole).run_id == IMBALANCED.run_id
        assert len({IMBALANCED.with_(profile=profile).run_id for profile in (whole, smaller, smallest)}) == 3

    def test_the_id_depends_on_the_order_of_steps(self) -> None:
        there, back = (PreprocessingSpec(steps=tuple(map(Choice.model_validate, s))) for s in (("a", "b"), ("b", "a")))
        assert PLAIN.with_(preprocessing=there).run_id != PLAIN.with_(preprocessing=back).run_id

    def test_the_id_does_not_depend_on_the_order_of_keys(self) -> None:
        there = Choice(name="shift", options={"x": 1, "y": 2})
        back = Choice(options={"y": 2, "x": 1}, name="shift")
        assert PLAIN.with_(remedy=there).run_id == PLAIN.with_(remedy=back).run_id

    @pytest.mark.parametrize("spec", [PLAIN, IMBALANCED, TRIAL])
    def test_the_key_contains_everything(self, spec: RunSpec) -> None:
        assert RunSpec.model_validate_json(spec.key()) == spec

    def test_a_stream_has_the_seed_of_the_run_unless_it_has_its_own(self) -> None:
        moved = PLAIN.with_(seed=4, init=7)
        assert [moved.seed_of(stream) for stream in ("draw", "order", "init", "batches")] == [4, 4, 7, 4]

    def test_streams_moved_together_leave_the_others_and_the_seed(self) -> None:
        moved = PLAIN.with_(seed=4, init=7).moved("init", "batches", by=10)
        assert [moved.seed_of(stream) for stream in ("draw", "order", "init", "batches")] == [4, 4, 17, 14]
        assert moved.seed == 4


class TestCopies:
    def test_a_copy_has_the_id_of_its_own_fields(self) -> None:
        assert PLAIN.run_id
        for copy in (PLAIN.with_(seed=7), PLAIN.model_copy(update={"seed": 7}), PLAIN.model_copy(update={"seed": 7}, deep=True)):
            assert copy.run_id == RunSpec(dataset=PLAIN.dataset, model=PLAIN.model, seed=7).run_id != PLAIN.run_id

    def test_a_spec_whose_id_is_known_equals_one_whose_id_is_not(self) -> None:
        assert PLAIN.run_id
        assert RunSpec(dataset=Choice(name="digits"), model=ModelSpec(name="mlp")) == PLAIN
        assert "run_id" not in PLAIN.key()

    def test_a_change_to_what_it_has_already_gives_the_spec_itself(self) -> None:
        assert PLAIN.with_(seed=PLAIN.seed, model=PLAIN.model) is PLAIN

    def test_numbers_that_are_equal_and_of_different_types_are_different_changes(self) -> None:
        assert type(Choice(name="x", version=2).with_(version=2.0).version) is float


class TestSpecs:
    def test_specs_are_frozen(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            PLAIN.seed = 1  # type: ignore[misc]

    @pytest.mark.parametrize("kind", Spec.__subclasses__(), ids=lambda k: k.__name__)
    def test_an_unknown_key_is_an_error_everywhere(self, kind: type[Spec]) -> None:
        with pytest.raises(ValidationError, match="Extra inputs"):
            kind.model_validate({"colour": "red"})

    def test_a_bare_name_is_a_choice(self) -> None:
        assert Choice.model_validate("digits") == Choice(name="digits")
        assert ModelSpec.model_validate("mlp") == ModelSpec(name="mlp")

    def test_nothing_is_converted_in_silence(self) -> None:
        with pytest.raises(ValidationError):
            TrainingSpec(images_seen="640")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"name": "balanced", "ratio": 2.0}, "takes no ratio"),
            ({"name": "natural", "ratio": 2.0}, "takes no ratio"),
            ({"name": "step", "ratio": 2.0, "size": 40}, "only a balanced profile takes a size"),
            ({"name": "step", "ratio": 0.5}, "greater than or equal to 1"),
            ({"name": "balanced", "largest": 9}, "a balanced profile takes no largest class"),
            ({"name": "natural", "largest": 9}, "a natural profile takes no largest class"),
            ({"name": "step", "ratio": 2.0, "largest": 0}, "greater than 0"),
            ({"name": "slope"}, "'balanced', 'exponential', 'step' or 'natural'"),
        ],
    )
    def test_a_profile_that_does_not_fit_together_is_refused(self, given: dict, reason: str) -> None:
        with pytest.raises(ValidationError, match=reason):
            ProfileSpec.model_validate(given)

    def test_labels_are_short(self) -> None:
        assert Choice(name="median", options={"size": 3, "fast": True}).label == "median(size=3, fast=True)"
        assert Choice(name="median").label == "median"
        profiles = [ProfileSpec(name="exponential", ratio=50.0), ProfileSpec(name="step", ratio=2.5), ProfileSpec(name="natural")]
        assert [p.label for p in profiles] == ["exponential 50", "step 2.5", "natural"]
        assert [p.label for p in (ProfileSpec(), ProfileSpec(size=257))] == ["balanced", "balanced, 257 images"]
        assert ProfileSpec(name="step", ratio=2.5, largest=24).label == "step 2.5, largest 24"


class TestStudyFile:
    def test_a_name_is_looked_up_in_the_studies_folder(self) -> None:
        study = load_study("digits")
        assert study.name == "digits"
        assert study.dataset == Choice(name="digits")

    def test_a_path_is_relative_to_the_working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "deep").mkdir()
        file = write(tmp_path, STUDY)
        monkeypatch.chdir(tmp_path / "deep")
        assert study_file("../mine.yaml") == file
        monkeypatch.chdir(tmp_path)
        assert study_file("mine.yaml") == file
        assert load_study("mine.yaml").name == "mine"

    def test_a_file_may_name_the_study(self, tmp_path: Path) -> None:
        assert load_study(str(write(tmp_path, STUDY + "name: other\n"))).name == "other"

    def test_an_unknown_study_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(InputError, match=r"^unknown study 'digit' in .*studies; allowed: .*digits.*did you mean 'digits'\?$"):
            load_study("digit")

    @pytest.mark.parametrize("given", ["none.yaml", "none.yml", "./none", "a/b"])
    def test_a_path_without_a_file_says_where_it_was_looked_for(
        self, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError) as caught:
            load_study(given)
        assert str(caught.value) == f"no study file {given!r}; looked for {(tmp_path / given).resolve()}"

    @pytest.mark.parametrize(
        ("added", "said"),
        [
            ("colour: red", "unknown key 'colour' of the study in FILE"),
            ("params: many", "the study, params: 'many' was given in FILE; input should be a valid integer"),
            (
                "profiles: [{name: step, ratio: 0.5}]",
                "the study, profiles.0.ratio: 0.5 was given in FILE; input should be greater than or equal to 1",
            ),
            (
                "profiles: [{name: step, ratio: .nan}]",
                "the study, profiles.0.ratio: nan was given in FILE; input should be greater than or equal to 1",
            ),
            ("training: {batch: 64.5}", "the study, training.batch: 64.5 was given in FILE; input should be a valid integer"),
            ("training: {bacth: 64}", "unknown key 'training.bacth' of the study in FILE"),
            (
                "name: ../up",
                "the study, name: '../up' was given in FILE; string should match pattern '^[A-Za-z0-9][A-Za-z0-9_-]*$'",
            ),
        ],
    )
    def test_a_bad_value_is_answered_with_given_allowed_and_place(self, added: str, said: str, tmp_path: Path) -> None:
        assert refusal(tmp_path, STUDY + added) == said

    def test_a_missing_key_is_named(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, STUDY.replace("models: [mlp]\n", "")) == "key 'models' of the study is missing in FILE"

    def test_all_efforts_are_needed(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, STUDY.replace(", full: {runs: 3}", "")).endswith("missing: full")

    def test_an_effort_of_another_name_is_refused(self, tmp_path: Path) -> None:
        assert "'smoke', 'default' or 'full'" in refusal(tmp_path, STUDY.replace("smoke", "quick"))

    @pytest.mark.parametrize("text", [STUDY + "profiles: [", "a: b: c", "\t- x", "!!python/object:os.system {}"])
    def test_broken_or_unsafe_yaml_is_refused_with_its_place(self, text: str, tmp_path: Path) -> None:
        assert refusal(tmp_path, text).startswith("FILE is not readable as YAML: ")

    def test_a_file_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="not readable as YAML"):
            load_study(str(file))

    @pytest.mark.parametrize(("text", "held"), [("- a\n- b\n", "list"), ("", "NoneType"), ("word", "str")])
    def test_a_file_that_is_no_mapping_is_refused(self, text: str, held: str, tmp_path: Path) -> None:
        assert refusal(tmp_path, text) == f"FILE contains {held}; a study file is a mapping of keys to values"

    def test_a_value_that_yaml_makes_but_a_study_cannot_hold_is_refused(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, STUDY + "margin: 2020-01-01").startswith("FILE contains a value that is not allowed in a study")

    def test_an_unknown_effort_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(InputError) as caught:
            load_study("digits").effort("fast")
        assert str(caught.value) == "unknown effort 'fast' in study 'digits'; allowed: smoke, default, full"

    def test_the_canonical_form_of_a_study_is_a_study_file(self, tmp_path: Path) -> None:
        study = load_study("digits")
        assert load_study(str(write(tmp_path, json.dumps(study.canonical())))) == study

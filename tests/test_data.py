"""The data of a run: parts do not overlap, its seeds draw the same images for every model, noise depends on the dataset only."""

import numpy as np
import pytest

from imagestudy import data
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, ProfileSpec, RunSpec, TrainingSpec
from imagestudy.data import datasets, splits
from imagestudy.data import prepared as preparation
from imagestudy.models import models
from imagestudy.remedies import remedies

DIGITS = Choice(name="digits")
NOISY = PreprocessingSpec(noise=Choice(name="gaussian", options={"sigma": 0.3}))
EXPONENTIAL = ProfileSpec(name="exponential", ratio=20.0)


def run(**fields: object) -> RunSpec:
    return RunSpec(**({"dataset": DIGITS, "model": ModelSpec(name="mlp")} | fields))


def rows(part: data.Part) -> list[bytes]:
    return [image.tobytes() for image in part.images]


def same(one: data.Part, other: data.Part) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


class TestParts:
    def test_the_parts_have_the_sizes_of_the_dataset(self) -> None:
        prepared, test = data.prepare(run()), data.test_part(run())
        assert len(prepared.validation.labels) == 297
        assert len(test.labels) == 500
        assert len(prepared.train.labels) == data.profile_size(DIGITS, ProfileSpec())

    def test_no_image_is_in_two_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        numbered = datasets.load(DIGITS)
        marks = np.zeros_like(numbered.images)
        marks[:, 0, 0, 0], marks[:, 0, 1, 0] = np.divmod(np.arange(len(marks)), 256)
        marked = datasets.Dataset(marks, numbered.labels, numbered.classes, numbered.part, numbered.flips, numbered.held_out)
        monkeypatch.setattr(datasets, "load", lambda *_, **__: marked)
        monkeypatch.setattr(preparation, "_kept", preparation._process)
        prepared, test = data.prepare(run()), data.test_part(run())
        parts = [rows(prepared.train), rows(prepared.validation), rows(test)]
        assert [len(set(part)) for part in parts] == [len(part) for part in parts]
        assert len(set().union(*parts)) == sum(map(len, parts))

    def test_held_out_parts_do_not_depend_on_the_run(self) -> None:
        moved = run(seed=7, profile=EXPONENTIAL)
        assert same(data.prepare(run()).validation, data.prepare(moved).validation)
        assert same(data.test_part(run()), data.test_part(moved))

    def test_labels_are_kept_in_the_order_of_the_images(self) -> None:
        labels = data.held_out_labels(DIGITS)
        np.testing.assert_array_equal(labels["validation"], data.prepare(run()).validation.labels)
        np.testing.assert_array_equal(labels["test"], data.test_part(run()).labels)

    def test_preparing_never_touches_the_test_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[np.ndarray] = []
        take = preparation._take
        monkeypatch.setattr(preparation, "test_part", lambda _: pytest.fail("the test images were requested"))
        monkeypatch.setattr(preparation, "_take", lambda spec, indices: seen.append(indices) or take(spec, indices))
        data.prepare(run(profile=EXPONENTIAL, preprocessing=NOISY))
        test = splits.split(datasets.load(DIGITS)).test
        assert len(seen) == 2
        assert not set(test) & set(np.concatenate(seen))

    def test_prepared_images_are_a_copy(self) -> None:
        first = data.prepare(run())
        first.train.images[:] = 0
        assert data.prepare(run()).train.images.any()


class TestDraws:
    def test_every_model_remedy_and_training_setting_gets_the_same_draw(self) -> None:
        plain = data.prepare(run(profile=EXPONENTIAL, seed=3))
        changes: list[dict] = [{"model": ModelSpec(name=name)} for name in models.names()]
        changes += [{"remedy": Choice(name=name)} for name in remedies.names()]
        changes += [{"training": TrainingSpec(images_seen=64)}, {"init": 9, "batches": 9}]
        for change in changes:
            other = data.prepare(run(profile=EXPONENTIAL, seed=3, **change))
            assert same(other.train, plain.train)
            np.testing.assert_array_equal(other.counts, plain.counts)

    def test_the_same_seed_draws_the_same_images_and_another_seed_others(self) -> None:
        draws = [data.prepare(run(seed=seed, profile=EXPONENTIAL)).train for seed in (0, 0, 1)]
        assert same(draws[0], draws[1])
        assert not same(draws[0], draws[2])

    def test_the_order_seed_changes_only_the_order_of_classes(self) -> None:
        plain, moved = (data.prepare(run(profile=EXPONENTIAL, order=order)) for order in (0, 1))
        assert plain.counts.tolist() != moved.counts.tolist()
        assert sorted(plain.counts) == sorted(moved.counts)

    def test_the_draw_seed_changes_only_the_drawn_images(self) -> None:
        plain, moved = (data.prepare(run(profile=EXPONENTIAL, draw=draw)) for draw in (0, 1))
        assert plain.counts.tolist() == moved.counts.tolist()
        assert not same(plain.train, moved.train)

    def test_counts_are_those_of_the_training_labels(self) -> None:
        prepared = data.prepare(run(profile=ProfileSpec(size=40)))
        assert prepared.counts.tolist() == [4] * 10
        assert len(prepared.train.labels) == data.profile_size(DIGITS, ProfileSpec(size=40)) == 40

    def test_a_ratio_that_leaves_a_class_empty_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"ratio 500 of profile 'step' leaves a class without an image; allowed: 1 to \d+"):
            data.prepare(run(profile=ProfileSpec(name="step", ratio=500.0)))


class TestPreprocessing:
    def test_noise_is_the_same_for_every_run(self) -> None:
        one, other = (data.prepare(run(seed=seed, preprocessing=NOISY)) for seed in (0, 5))
        assert same(one.validation, other.validation)
        assert same(data.test_part(run(preprocessing=NOISY)), data.test_part(run(seed=5, preprocessing=NOISY)))
        assert not same(one.validation, data.prepare(run()).validation)

    def test_steps_are_applied_to_every_part(self) -> None:
        blurred = PreprocessingSpec(steps=(Choice(name="gaussian", options={"sigma": 0.6}),))
        plain, changed = data.prepare(run()), data.prepare(run(preprocessing=blurred))
        pairs = [(plain.train, changed.train), (plain.validation, changed.validation)]
        pairs.append((data.test_part(run()), data.test_part(run(preprocessing=blurred))))
        for before, after in pairs:
            np.testing.assert_array_equal(before.labels, after.labels)
            assert (before.images != after.images).any(axis=(1, 2, 3)).mean() > 0.9

    def test_augmentation_is_left_to_the_learner(self) -> None:
        shifted = PreprocessingSpec(augment=(Choice(name="shift"),))
        assert same(data.prepare(run(preprocessing=shifted)).train, data.prepare(run()).train)

    def test_a_flip_that_changes_the_class_is_refused(self) -> None:
        with pytest.raises(InputError, match="does not keep the classes"):
            data.prepare(run(preprocessing=PreprocessingSpec(augment=(Choice(name="flip"),))))


class TestChecks:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"dataset": Choice(name="digit")}, "unknown dataset 'digit'"),
            ({"dataset": Choice(name="digits", options={"size": 9})}, "unknown key 'size' of dataset 'digits'"),
            ({"preprocessing": PreprocessingSpec(noise=Choice(name="hiss"))}, "unknown noise 'hiss'"),
            ({"preprocessing": PreprocessingSpec(steps=(Choice(name="sharpen"),))}, "unknown .*'sharpen'"),
            ({"preprocessing": PreprocessingSpec(augment=(Choice(name="melt"),))}, "unknown augmentation 'melt'"),
            ({"dataset": Choice(name="digits", version=99)}, "dataset 'digits' is at version"),
        ],
    )
    def test_a_bad_name_or_option_is_refused(self, fields: dict, said: str) -> None:
        with pytest.raises(InputError, match=said):
            data.check(run(**fields))

    def test_a_stamped_run_passes(self) -> None:
        steps = {"steps": (Choice(name="median"),), "augment": (Choice(name="shift"),)}
        whole = run(preprocessing=NOISY.model_copy(update=steps))
        stamped = data.stamp(whole)
        data.check(stamped)
        assert stamped.with_(dataset=whole.dataset, preprocessing=whole.preprocessing) == whole

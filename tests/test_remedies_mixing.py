"""Tests of mixing: pixels, labels, and the cases in which nothing is mixed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare, kstest
from torch.nn import functional
from torchvision.transforms.v2 import CutMix, MixUp

from imagestudy.remedies.mixing import Blend, Mixing, Mixture, TailPatch
from imagestudy.remedies.sampling import Epochs

COUNTS = np.array([90, 31, 7, 2])
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
SIZE = (28, 20)
PLAN = Epochs().plan(LABELS, images_seen=16_000, batch=16, rng=np.random.default_rng(1))
MIXUP, REMIX, PASTE = Blend(1.0), Blend(1.0, 3.0, 0.5), TailPatch(1.0)
EVERY = [MIXUP, REMIX, PASTE, TailPatch(0.5), Blend(0.2)]


def schedule(way, plan=PLAN, labels=LABELS, *, size=SIZE, seed=2):
    return way.schedule(plan, labels, size=size, rng=np.random.default_rng(seed))


def images(n=5, *, seed=0, size=SIZE):
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(seed))


class GivenDraws(np.random.Generator):
    """A random generator that returns given draws."""

    def __init__(self, **draws):
        super().__init__(np.random.PCG64(0))
        self.draws = {name: iter(values) for name, values in draws.items()}

    def beta(self, *_args, **_options):
        return np.array(next(self.draws["beta"]))

    def permuted(self, *_args, **_options):
        return np.array(next(self.draws["permuted"]))

    def random(self, *_args, **_options):
        return np.array(next(self.draws["random"]))

    def integers(self, *_args, **_options):
        return np.array(next(self.draws["integers"])) if "integers" in self.draws else super().integers(*_args, **_options)


class TestEveryMixing:
    @pytest.mark.parametrize("way", EVERY)
    def test_it_mixes_the_images_of_a_plan_one_by_one(self, way: Mixing) -> None:
        found = schedule(way)
        assert isinstance(way, Mixing)
        assert found.partners.shape == found.shares.shape == PLAN.shape
        assert found.kept.shape == PLAN.shape[:1]
        assert found.partners.min() >= 0
        assert found.partners.max() < len(LABELS)
        assert ((found.shares >= 0) & (found.shares <= 1)).all()
        assert ((found.kept >= 0) & (found.kept <= 1)).all()

    @pytest.mark.parametrize("way", EVERY)
    def test_the_same_generator_mixes_the_same_bit_for_bit_and_another_one_differs(self, way: Mixing) -> None:
        first, again, other = schedule(way), schedule(way), schedule(way, seed=3)
        for name in ("partners", "kept", "shares"):
            assert np.array_equal(getattr(first, name), getattr(again, name))
            assert not np.array_equal(getattr(first, name), getattr(other, name))

    @pytest.mark.parametrize("boxes", [None, np.array([[2, 9, 3, 11]])])
    def test_mixing_does_not_change_the_given_images(self, boxes: np.ndarray | None) -> None:
        own, other = images(seed=0), images(seed=1)
        kept = (own.clone(), other.clone())
        Mixture(np.zeros((1, 5), np.int64), np.array([0.3]), np.full((1, 5), 0.3), boxes).mix(own, other, 0)
        assert torch.equal(own, kept[0])
        assert torch.equal(other, kept[1])


class TestMixup:
    def test_the_kept_share_is_uniform_at_alpha_one_and_shared_by_a_batch_and_its_labels(self) -> None:
        found = schedule(MIXUP)
        assert kstest(found.kept, "uniform").pvalue > 1e-3
        assert np.array_equal(found.shares, np.tile(found.kept[:, None], (1, 16)))

    @pytest.mark.parametrize("alpha", [0.2, 2.0])
    def test_the_kept_share_has_the_beta_distribution_of_alpha(self, alpha: float) -> None:
        assert kstest(schedule(Blend(alpha)).kept, "beta", args=(alpha, alpha)).pvalue > 1e-3

    def test_partners_are_a_random_order_of_the_same_batch(self) -> None:
        partners = schedule(MIXUP).partners
        assert np.array_equal(np.sort(partners, axis=1), np.sort(PLAN, axis=1))
        plan = np.tile(np.arange(4), (20_000, 1))
        shown = schedule(MIXUP, plan, np.arange(4)).partners
        for place in range(4):
            assert chisquare(np.bincount(shown[:, place], minlength=4)).pvalue > 1e-3
        assert not np.array_equal(partners[0].argsort(), partners[1].argsort())

    @pytest.mark.parametrize(("kept", "of"), [(1.0, "own"), (0.0, "other")])
    def test_a_share_of_one_or_zero_is_one_of_the_two_images_bit_for_bit(self, kept: float, of: str) -> None:
        pair = {"own": images(seed=0), "other": 1e3 * images(seed=1)}
        mixture = Mixture(np.zeros((1, 5), np.int64), np.array([kept]), np.full((1, 5), kept))
        assert torch.equal(mixture.mix(pair["own"], pair["other"], 0), pair[of])

    @pytest.mark.parametrize("kept", [0.0, 0.25, 0.7, 1.0])
    def test_images_and_labels_equal_those_of_torchvision(self, kept: float) -> None:
        """In torchvision, the partner is the previous image and the label is a vector; its loss is the blended loss."""
        own, labels = images(), torch.tensor([0, 3, 1, 1, 2])
        theirs = MixUp(num_classes=4)
        theirs._dist = SimpleNamespace(sample=lambda _: torch.tensor(kept, dtype=torch.float64))
        mixed, soft = theirs(own, labels)
        mixture = Mixture(np.roll(np.arange(5), 1)[None], np.array([kept]), np.full((1, 5), kept))
        partner = torch.from_numpy(mixture.partners[0])
        torch.testing.assert_close(mixture.mix(own, own[partner], 0), mixed)
        logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
        two = [functional.cross_entropy(logits, target, reduction="none") for target in (labels[partner], labels)]
        torch.testing.assert_close(
            torch.lerp(*two, torch.full((5,), kept)), functional.cross_entropy(logits, soft, reduction="none")
        )


class TestRemix:
    COUNTS = (90, 30, 31, 10)
    LABELS = np.repeat(np.arange(4), COUNTS)
    FIRST = np.cumsum((0, *COUNTS))[:4]

    def share(self, own: int, partner: int, kept: float, *, ratio: float = 3.0, threshold: float = 0.5) -> float:
        """Return the share of its own label that an image of class `own` keeps with a partner of class `partner`."""
        generator = GivenDraws(beta=[[kept]], permuted=[[[self.FIRST[partner]]]])
        plan = np.array([[self.FIRST[own]]])
        found = Blend(1.0, ratio, threshold).schedule(plan, self.LABELS, size=SIZE, rng=generator)
        assert found.kept.tolist() == [kept]
        return float(found.shares[0, 0])

    @pytest.mark.parametrize(
        ("own", "partner", "kept", "share"),
        [
            (0, 1, 0.4, 0.0),  # 90 against 30 images: three times as many, and less than half of the pixels
            (0, 1, 0.5, 0.5),  # at the threshold, the label is the same as in mixup
            (0, 1, 0.6, 0.6),
            (0, 1, 0.0, 0.0),
            (1, 0, 0.6, 1.0),  # 30 against 90 images: the partner's share is below the threshold
            (1, 0, 0.5, 0.5),
            (1, 0, 0.4, 0.4),
            (1, 0, 1.0, 1.0),
            (0, 2, 0.4, 0.4),  # 90 against 31 images is not three times as many
            (2, 0, 0.6, 0.6),
            (0, 3, 0.1, 0.0),
            (3, 0, 0.9, 1.0),
            (1, 1, 0.4, 0.4),  # both from the same class
            (0, 0, 0.9, 0.9),
        ],
    )
    def test_the_label_goes_to_the_rarer_class_if_counts_and_pixels_differ_enough(
        self, own: int, partner: int, kept: float, share: float
    ) -> None:
        assert self.share(own, partner, kept) == share

    def test_a_higher_ratio_and_a_lower_threshold_move_fewer_labels(self) -> None:
        assert self.share(0, 1, 0.4, ratio=3.1) == 0.4
        assert self.share(0, 1, 0.4, threshold=0.4) == 0.4
        assert self.share(0, 2, 0.4, ratio=2.9) == 0.0
        assert self.share(1, 0, 0.4, threshold=1.0) == 1.0

    @pytest.mark.parametrize("ratio", [1.0, 3.0, 50.0])
    def test_a_threshold_of_zero_is_mixup_bit_for_bit(self, ratio: float) -> None:
        found, plain = schedule(Blend(1.0, ratio, 0.0)), schedule(MIXUP)
        for name in ("partners", "kept", "shares"):
            assert np.array_equal(getattr(found, name), getattr(plain, name))

    def test_uniform_counts_make_it_mixup_and_other_counts_change_only_labels(self) -> None:
        labels = np.repeat(np.arange(5), 26)
        assert np.array_equal(schedule(REMIX, labels=labels).shares, schedule(MIXUP, labels=labels).shares)
        found, plain = schedule(REMIX), schedule(MIXUP)
        assert np.array_equal(found.partners, plain.partners)
        assert np.array_equal(found.kept, plain.kept)
        assert not np.array_equal(found.shares, plain.shares)

    def test_labels_of_rare_classes_have_a_larger_total_share_than_in_mixup(self) -> None:
        def mass(mixture: Mixture) -> np.ndarray:
            own, partner = LABELS[PLAN].ravel(), LABELS[mixture.partners].ravel()
            shares = mixture.shares.ravel()
            return np.bincount(own, weights=shares, minlength=4) + np.bincount(partner, weights=1 - shares, minlength=4)

        found, plain = mass(schedule(REMIX)), mass(schedule(MIXUP))
        assert found.sum() == pytest.approx(plain.sum())
        assert found[0] < 0.99 * plain[0]
        assert (found[2:] > 1.1 * plain[2:]).all()


class TestTailPatch:
    def test_patches_are_class_balanced_and_backgrounds_follow_the_plan(self) -> None:
        before = PLAN.copy()
        partners = schedule(PASTE).partners
        assert chisquare(np.bincount(LABELS[partners].ravel(), minlength=4)).pvalue > 1e-3
        assert chisquare(np.bincount(partners.ravel(), minlength=130)[LABELS == 0]).pvalue > 1e-3
        assert np.array_equal(PLAN, before)

    def test_boxes_are_inside_the_image(self) -> None:
        top, bottom, left, right = schedule(PASTE).boxes.T
        assert ((top >= 0) & (top <= bottom) & (bottom <= SIZE[0])).all()
        assert ((left >= 0) & (left <= right) & (right <= SIZE[1])).all()
        assert {(top == 0).any(), (bottom == SIZE[0]).any(), (left == 0).any(), (right == SIZE[1]).any()} == {True}

    def test_labels_are_weighted_by_area(self) -> None:
        found = schedule(PASTE)
        top, bottom, left, right = found.boxes.T
        pasted = np.zeros((len(PLAN), *SIZE))
        for step, (a, b, c, d) in enumerate(zip(top, bottom, left, right, strict=True)):
            pasted[step, a:b, c:d] = 1
        np.testing.assert_allclose(found.kept, 1 - pasted.mean(axis=(1, 2)), atol=1e-12)
        assert np.array_equal(found.shares, np.tile(found.kept[:, None], (1, 16)))

    def test_exactly_the_box_is_pasted(self) -> None:
        own, other = images(seed=0), images(seed=1)
        found = schedule(PASTE)
        step = int(np.argmin(np.abs(found.kept - 0.7)))
        top, bottom, left, right = found.boxes[step]
        mixed = found.mix(own, other, step)
        inside = torch.zeros(SIZE, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        assert torch.equal(mixed[..., inside], other[..., inside])
        assert torch.equal(mixed[..., ~inside], own[..., ~inside])
        assert 0 < inside.sum() < inside.numel()

    @pytest.mark.parametrize("kept", [0.05, 0.4, 0.75, 0.99, 1.0])
    @pytest.mark.parametrize("center", [(0, 0), (14, 10), (27, 19), (3, 18)])
    def test_box_images_and_labels_equal_those_of_torchvision(
        self, kept: float, center: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both get the same share and the same center; torchvision draws the column first."""
        own, labels = images(), torch.tensor([0, 3, 1, 1, 2])
        theirs = CutMix(num_classes=4)
        theirs._dist = SimpleNamespace(sample=lambda _: torch.tensor(kept, dtype=torch.float64))
        places = iter(center[::-1])
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", lambda *_, **__: torch.tensor([next(places)]))
            mixed, soft = theirs(own, labels)

        generator = GivenDraws(
            random=[np.zeros((1, 5)), [1 - kept], [0.0]], integers=[np.zeros((1, 5), np.int64), [center[0]], [center[1]]]
        )
        found = PASTE.schedule(np.arange(5)[None], labels.numpy(), size=SIZE, rng=generator)
        torch.testing.assert_close(found.mix(own, own.roll(1, 0), 0), mixed, rtol=0, atol=0)
        one_hot = functional.one_hot(labels, 4).double()
        torch.testing.assert_close(found.shares[0, 0] * one_hot + (1 - found.shares[0, 0]) * one_hot.roll(1, 0), soft.double())

    def test_the_area_before_the_cut_is_uniform_and_the_box_has_the_shape_of_the_image(self) -> None:
        large = schedule(PASTE, size=(2_000, 1_000))
        top, bottom, left, right = large.boxes.T
        whole = (top > 0) & (bottom < 2_000) & (left > 0) & (right < 1_000)
        np.testing.assert_allclose((bottom - top)[whole], 2 * (right - left)[whole], atol=4)
        sure = whole & (bottom - top < 600)  # for these sizes, the centers are nearly uniform
        assert whole.any()
        assert kstest(((bottom - top)[sure] / 2_000) ** 2 / 0.09, "uniform").pvalue > 1e-4

    def test_the_given_fraction_of_steps_has_a_patch(self) -> None:
        plan = np.tile(PLAN[:, :1], (4, 1))
        pasted = schedule(TailPatch(0.5), plan, size=(300, 300)).kept < 1
        assert binomtest(int(pasted.sum()), len(pasted), 0.5).pvalue > 1e-3
        assert (schedule(TailPatch(1.0), plan, size=(300, 300)).kept < 1).mean() > 0.99

    def test_a_probability_of_zero_pastes_nothing(self) -> None:
        found = schedule(TailPatch(0.0))
        assert (found.kept == 1).all()
        assert (found.shares == 1).all()
        own = images()
        assert all(torch.equal(found.mix(own, images(seed=1), step), own) for step in range(5))

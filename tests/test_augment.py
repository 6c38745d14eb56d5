"""Augmentations keep shape and range, do nothing at strength zero, and draw once per image, only from the generator."""

import time

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from imagestudy.core.errors import InputError
from imagestudy.core.seeding import torch_generator
from imagestudy.core.specs import Choice
from imagestudy.data.augmentation import apply, augmentations, bind, check_allowed, preview
from imagestudy.data.datasets import load

FLIPS = ("horizontal", "vertical")
SHAPES = [(8, 1, 8, 8), (5, 3, 9, 14), (1, 1, 32, 32)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(shape: tuple[int, ...] = (64, 1, 8, 8)) -> torch.Tensor:
    return torch.rand(shape, generator=seeded(99)) * 0.8 + 0.1


def digits(number: int = 64) -> torch.Tensor:
    return torch.tensor(load(Choice(name="digits")).images[:number]).permute(0, 3, 1, 2) / 255


def once(images: torch.Tensor, name: str, seed: int = 0, **options) -> torch.Tensor:
    return apply(images, (Choice(name=name, options=options),), seeded(seed), flips=FLIPS)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", augmentations.names())
def test_shape_range_and_type_are_kept_and_the_batch_is_left_alone(name, shape):
    images = batch(shape)
    before = images.clone()
    result = once(images, name)
    assert result.shape == images.shape
    assert result.dtype == images.dtype
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", augmentations.names())
def test_white_images_stay_in_range_under_many_draws(name):
    for seed in range(20):
        result = once(torch.ones(64, 3, 9, 14), name, seed)
        assert result.min() >= 0
        assert result.max() <= 1


@pytest.mark.parametrize("name", augmentations.names())
def test_the_same_state_gives_the_same_bits_and_another_seed_others(name):
    images = batch()
    assert torch.equal(once(images, name), once(images, name))
    assert not torch.equal(once(images, name), once(images, name, seed=1))


@pytest.mark.parametrize("name", augmentations.names())
def test_the_global_generator_is_neither_read_nor_moved(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = once(batch(), name)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(once(batch(), name), first)


@pytest.mark.parametrize("name", augmentations.names())
def test_each_image_has_its_own_draw_and_each_batch_a_new_one(name):
    images = batch((1, 1, 8, 8)).expand(64, -1, -1, -1)
    generator = seeded()
    augment = bind((Choice(name=name),), flips=FLIPS)
    first, second = augment(images, generator), augment(images, generator)
    assert len(torch.unique(first.reshape(64, -1), dim=0)) > 1
    assert not torch.equal(first, second)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("name", "options"),
    [("shift", {"fraction": 0}), ("flip", {"probability": 0}), ("erase", {"fraction": 0}), ("erase", {"probability": 0})],
)
def test_strength_zero_is_the_identity(name, options, shape):
    images = batch(shape)
    assert torch.equal(once(images, name, **options), images)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "options"), [("rotate", {"degrees": 0}), ("scale", {"fraction": 0})])
def test_strength_zero_of_a_resampling_is_the_identity_to_rounding(name, options, shape):
    images = batch(shape)
    torch.testing.assert_close(once(images, name, **options), images, atol=2e-5, rtol=0)


def rolled(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Roll the image with NumPy and fill the entering pixels with zeros."""
    result = np.roll(image, (down, right), axis=(-2, -1))
    height, width = image.shape[-2:]
    result[..., [r for r in range(height) if not 0 <= r - down < height], :] = 0
    result[..., [c for c in range(width) if not 0 <= c - right < width]] = 0
    return result


def test_a_shift_is_a_roll_by_whole_pixels_with_black_coming_in_and_every_one_occurs():
    images = batch((400, 2, 8, 12))
    shifted = once(images, "shift", fraction=0.25)
    found = set()
    for image, result in zip(images.numpy(), shifted.numpy(), strict=True):
        moves = [(d, r) for d in range(-2, 3) for r in range(-3, 4) if np.array_equal(rolled(image, d, r), result)]
        assert len(moves) == 1
        found.add(moves[0])
    assert len(found) == 5 * 7


@pytest.mark.parametrize("direction", FLIPS)
def test_a_certain_flip_is_numpys_and_its_own_inverse(direction):
    images = batch((5, 3, 9, 14))
    flipped = once(images, "flip", direction=direction, probability=1)
    np.testing.assert_array_equal(flipped.numpy(), np.flip(images.numpy(), axis=-1 if direction == "horizontal" else -2))
    assert torch.equal(once(flipped, "flip", direction=direction, probability=1), images)


def test_a_flip_with_probability_a_half_flips_about_half_of_the_images():
    images = batch((1000, 1, 8, 8))
    changed = (once(images, "flip") != images).flatten(1).any(1).float().mean()
    assert changed == pytest.approx(0.5, abs=0.05)


def test_erasing_blackens_one_rectangle_of_the_stated_share_inside_the_image():
    images = batch((300, 2, 8, 12))
    erased = once(images, "erase", fraction=0.25, probability=1)
    black = erased == 0
    assert torch.equal(erased[~black], images[~black])
    assert (black.flatten(2).sum(-1) == 4 * 6).all()
    assert (black.any(-1).sum(-1) == 4).all()
    assert (black.any(-2).sum(-1) == 6).all()
    assert torch.equal(black[:, 0], black[:, 1])
    assert len(torch.unique(black[:, 0].flatten(1), dim=0)) == 5 * 7


def test_erasing_everything_leaves_black():
    assert once(batch(), "erase", fraction=1, probability=1).max() == 0


@pytest.mark.parametrize("shape", [(8, 8), (9, 14)])
def test_a_rotation_agrees_with_torchvision(shape):
    images = batch((6, 2, *shape))
    degrees = (torch.rand(6, generator=seeded()) * 2 - 1) * 40
    rotated = once(images, "rotate", degrees=40)
    for image, result, angle in zip(images, rotated, degrees.tolist(), strict=True):
        expected = reference.rotate(image, angle, interpolation=reference.InterpolationMode.BILINEAR)
        torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


def test_a_scaling_agrees_with_torchvision():
    images = batch((6, 2, 9, 14))
    factors = (torch.rand(6, generator=seeded()) * 2 - 1) * 0.4 + 1
    scaled = once(images, "scale", fraction=0.4)
    for image, result, factor in zip(images, scaled, factors.tolist(), strict=True):
        expected = reference.affine(image, 0.0, [0, 0], factor, [0.0], interpolation=reference.InterpolationMode.BILINEAR)
        torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


def test_small_rotations_and_scalings_keep_a_digit_recognizable():
    images = digits()
    for name in ("rotate", "scale"):
        result = once(images, name)
        nearest = torch.cdist(result.flatten(1), images.flatten(1)).argmin(dim=1)
        assert (nearest == torch.arange(64)).float().mean() > 0.95


def test_steps_are_applied_in_order_from_one_generator():
    images, chosen = batch(), (Choice(name="shift"), Choice(name="erase"))
    generator = seeded()
    by_hand = augmentations.entry("erase").function(augmentations.entry("shift").function(images, generator), generator)
    assert torch.equal(apply(images, chosen, seeded(), flips=()), by_hand)
    assert torch.equal(apply(images, (), seeded(), flips=()), images)


@pytest.mark.parametrize(
    ("step", "flips", "message"),
    [
        (Choice(name="flip"), (), "direction: 'horizontal' was given in a study; .* allowed: none"),
        (
            Choice(name="flip", options={"direction": "vertical"}),
            ("horizontal",),
            "'vertical' was given in a study; .* allowed: horizontal",
        ),
        (Choice(name="flip", options={"direction": "diagonal"}), FLIPS, "direction: 'diagonal' was given in a study"),
        (Choice(name="rotat"), FLIPS, "unknown augmentation 'rotat' in a study; allowed: .*did you mean 'rotate'"),
        (Choice(name="shift", options={"fraction": 0.6}), FLIPS, "fraction: 0.6 was given in a study"),
    ],
)
def test_what_is_not_allowed_is_refused_by_a_sentence(step, flips, message):
    with pytest.raises(InputError, match=message):
        check_allowed((step,), flips, where="a study")
    with pytest.raises(InputError, match=message):
        bind((step,), flips=flips, where="a study")


def test_flips_that_keep_the_classes_are_allowed():
    check_allowed((Choice(name="flip"),), ("horizontal",))
    check_allowed((Choice(name="flip", options={"direction": "vertical"}),), FLIPS)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_preview_is_the_augmented_batch_as_bytes(channels):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 9, channels), dtype=np.uint8)
    steps = (Choice(name="shift"), Choice(name="flip"))
    batch_of_them = torch.tensor(images).permute(0, 3, 1, 2) / 255
    expected = apply(batch_of_them, steps, torch_generator(3, "augment"), flips=FLIPS).permute(0, 2, 3, 1).numpy() * 255
    np.testing.assert_allclose(preview(images, steps, seed=3, flips=FLIPS), expected, atol=0.5)
    np.testing.assert_array_equal(preview(images, (), seed=3), images)


@pytest.mark.parametrize("name", augmentations.names())
def test_an_augmentation_is_faster_than_ten_passes_of_a_small_convolution(name):
    images, generator = batch(), seeded()
    augment = bind((Choice(name=name),), flips=FLIPS)
    weight = torch.rand(32, 32, 3, 3)
    wide = torch.rand(64, 32, 8, 8)

    def fastest(function) -> float:
        times = []
        for _ in range(30):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return min(times)

    assert fastest(lambda: augment(images, generator)) < 10 * fastest(lambda: torch.conv2d(wide, weight, padding=1))

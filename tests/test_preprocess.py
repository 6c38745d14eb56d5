"""Steps keep shape and type, treat every image independently and work as documented; noise has the stated strength."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_sample_image

from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice
from imagestudy.data.datasets import load
from imagestudy.data.preprocessing import add_noise, apply, noises, steps

IDENTITIES = [
    Choice(name="gaussian", options={"sigma": 0}),
    Choice(name="median", options={"size": 1}),
    Choice(name="bilateral", options={"sigma_color": 0}),
    Choice(name="non_local_means", options={"sigma": 0}),
    Choice(name="total_variation", options={"weight": 0}),
    Choice(name="wavelet", options={"sigma": 0}),
    Choice(name="gamma", options={"gamma": 1}),
]
NEAR_IDENTITIES = [
    Choice(name="gaussian", options={"sigma": 0.1}),
    Choice(name="bilateral", options={"sigma_color": 1e-4}),
    Choice(name="non_local_means", options={"sigma": 1e-4}),
    Choice(name="total_variation", options={"weight": 1e-4}),
    Choice(name="wavelet", options={"sigma": 1e-4}),
]
SMOOTHING = steps.names(kind="filter") + steps.names(kind="denoise")


def digits(number: int = 12) -> np.ndarray:
    return load(Choice(name="digits")).images[:number]


def photographs(height: int, width: int, number: int = 4) -> np.ndarray:
    whole = load_sample_image("flower.jpg")
    return np.stack([whole[100 + 40 * i : 100 + 40 * i + height, 300 : 300 + width] for i in range(number)])


SHAPES = [digits(5), photographs(8, 8), photographs(32, 32), photographs(9, 13), photographs(11, 8)[..., :1]]


def noisy(images: np.ndarray, sigma: float) -> np.ndarray:
    return add_noise(images, Choice(name="gaussian", options={"sigma": sigma}), np.random.default_rng(0))


def squared_error(images: np.ndarray, truth: np.ndarray) -> float:
    return float(((images.astype(float) - truth) ** 2).mean())


@pytest.mark.parametrize("images", SHAPES, ids=lambda images: str(images.shape[1:]))
@pytest.mark.parametrize("name", steps.names())
def test_an_image_gives_the_same_result_alone_and_in_a_batch(name, images):
    before = images.copy()
    result = apply(images, (Choice(name=name),))
    assert (result.shape, result.dtype) == (images.shape, np.uint8)
    alone = np.concatenate([apply(images[i : i + 1], (Choice(name=name),)) for i in range(len(images))])
    np.testing.assert_array_equal(result, alone)
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(result, images)


@pytest.mark.parametrize("images", SHAPES, ids=lambda images: str(images.shape[1:]))
@pytest.mark.parametrize("name", noises.names())
def test_noise_is_drawn_image_by_image_and_only_from_the_generator(name, images):
    noise = Choice(name=name)
    result = add_noise(images, noise, np.random.default_rng(5))
    assert (result.shape, result.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(result, add_noise(images, noise, np.random.default_rng(5)))
    assert (result != add_noise(images, noise, np.random.default_rng(6))).any()
    rng = np.random.default_rng(5)
    alone = np.concatenate([add_noise(images[i : i + 1], noise, rng) for i in range(len(images))])
    np.testing.assert_array_equal(result, alone)


@pytest.mark.parametrize("images", [digits(), photographs(16, 16)], ids=["grey", "RGB"])
@pytest.mark.parametrize("step", IDENTITIES, ids=lambda step: step.label)
def test_strength_zero_is_the_identity(step, images):
    np.testing.assert_array_equal(apply(images, (step,)), images)


@pytest.mark.parametrize("step", NEAR_IDENTITIES, ids=lambda step: step.label)
def test_the_identity_is_reached_continuously(step):
    images = photographs(16, 16)
    assert np.abs(apply(images, (step,)).astype(int) - images).max() <= 1


@pytest.mark.parametrize("noise", [Choice(name="gaussian", options={"sigma": 0}), Choice(name="impulse", options={"amount": 0})])
def test_noise_of_strength_zero_is_the_identity(noise):
    np.testing.assert_array_equal(add_noise(digits(), noise, np.random.default_rng(0)), digits())


def test_shot_noise_vanishes_with_many_photons():
    result = add_noise(digits(), Choice(name="shot", options={"photons": 1e6}), np.random.default_rng(0))
    assert np.abs(result.astype(int) - digits()).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMOOTHING)
def test_filters_and_denoisers_leave_constant_images_alone(name, channels):
    constant = np.broadcast_to(np.array([0, 1, 100, 254, 255], np.uint8)[:, None, None, None], (5, 8, 10, channels)).copy()
    np.testing.assert_array_equal(apply(constant, (Choice(name=name),)), constant)


@pytest.mark.parametrize("name", SMOOTHING)
def test_filters_and_denoisers_reduce_the_error_of_a_noisy_photograph(name):
    clean = photographs(48, 48)
    assert squared_error(apply(noisy(clean, 0.1), (Choice(name=name),)), clean) < 0.95 * squared_error(noisy(clean, 0.1), clean)


@pytest.mark.parametrize("name", SMOOTHING)
def test_smoothing_an_image_lowers_its_total_variation(name):
    def variation(images: np.ndarray) -> float:
        return sum(float(np.abs(np.diff(images.astype(int), axis=axis)).mean()) for axis in (1, 2))

    images = noisy(digits(50), 0.15)
    assert variation(apply(images, (Choice(name=name),))) < variation(images)


def test_median_filter_agrees_with_scipy():
    images = photographs(9, 13)
    expected = ndimage.median_filter(images, size=(1, 3, 3, 1), mode="nearest")
    np.testing.assert_array_equal(apply(images, (Choice(name="median"),)), expected)


def test_gaussian_filter_agrees_with_scipy_to_a_grey_value():
    images = photographs(16, 16)
    expected = ndimage.gaussian_filter(images.astype(float), (0, 1, 1, 0), mode="mirror", radius=(0, 3, 3, 0))
    assert np.abs(apply(images, (Choice(name="gaussian", options={"sigma": 1.0}),)) - expected).max() < 1.5


def test_median_filter_removes_impulses_better_than_the_gaussian_filter():
    clean = photographs(48, 48)
    broken = add_noise(clean, Choice(name="impulse"), np.random.default_rng(0))
    errors = {name: squared_error(apply(broken, (Choice(name=name),)), clean) for name in ("median", "gaussian")}
    assert errors["median"] < errors["gaussian"] < squared_error(broken, clean)


def test_bilateral_filter_spares_an_edge_that_the_gaussian_filter_blurs():
    edge = np.zeros((1, 8, 8, 1), np.uint8)
    edge[:, :, 4:] = 255
    np.testing.assert_array_equal(apply(edge, (Choice(name="bilateral"),)), edge)
    assert (apply(edge, (Choice(name="gaussian"),)) != edge).any()


@pytest.mark.parametrize("images", [digits(50), photographs(32, 32)], ids=["grey", "RGB"])
def test_clahe_widens_a_narrow_range(images):
    flat = (100 + images // 8).astype(np.uint8)
    assert apply(flat, (Choice(name="clahe"),)).std() > 1.2 * flat.std()


def test_clahe_of_a_grey_rgb_image_stays_grey():
    grey = np.repeat(photographs(32, 32)[..., :1], 3, axis=-1)
    assert np.ptp(apply(grey, (Choice(name="clahe"),)).astype(int), axis=-1).max() <= 1


def test_gamma_is_a_power_of_the_grey_value():
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    dark = apply(ramp, (Choice(name="gamma", options={"gamma": 2.0}),))
    np.testing.assert_array_equal(dark, np.rint(255 * (ramp / 255) ** 2))
    assert (dark[0, 0, 0, 0], dark[0, -1, -1, 0]) == (0, 255)


@pytest.mark.parametrize("sigma", [0.02, 0.05, 0.1])
def test_gaussian_noise_has_the_stated_sigma(sigma):
    grey = np.full((100, 16, 16, 1), 128, np.uint8)
    error = (noisy(grey, sigma).astype(float) - 128) / 255
    assert error.std() == pytest.approx(sigma, rel=0.02)
    assert abs(error.mean()) < 4 * sigma / 160


@pytest.mark.parametrize("value", [64, 128])
def test_shot_noise_has_the_variance_of_its_photons(value):
    grey = np.full((100, 16, 16, 1), value, np.uint8)
    result = add_noise(grey, Choice(name="shot", options={"photons": 100.0}), np.random.default_rng(0)) / 255
    assert result.mean() == pytest.approx(value / 255, rel=0.01)
    assert result.var() == pytest.approx(value / 255 / 100, rel=0.03)


def test_impulse_noise_replaces_the_stated_share_half_and_half():
    grey = np.full((100, 16, 16, 1), 128, np.uint8)
    result = add_noise(grey, Choice(name="impulse", options={"amount": 0.2}), np.random.default_rng(0))
    assert set(np.unique(result).tolist()) == {0, 128, 255}
    assert (result == 0).mean() == pytest.approx(0.1, abs=0.006)
    assert (result == 255).mean() == pytest.approx(0.1, abs=0.006)


def test_steps_are_applied_in_order():
    images, first, second = digits(), Choice(name="gamma"), Choice(name="median")
    np.testing.assert_array_equal(apply(images, (first, second)), apply(apply(images, (first,)), (second,)))
    np.testing.assert_array_equal(apply(images, ()), images)


def test_every_step_says_what_it_is():
    assert {steps.entry(name).facts["kind"] for name in steps.names()} == {"filter", "denoise", "contrast"}
    assert all(registry.entry(name).facts["title"] for registry in (steps, noises) for name in registry.names())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Choice(name="meidan"), "unknown preprocessing step 'meidan' in a test; allowed: .*median"),
        (Choice(name="median", options={"size": 4}), "size: 4 was given in a test; an odd number"),
        (Choice(name="gaussian", options={"sigma": -1.0}), "sigma: -1.0 was given in a test"),
        (Choice(name="gaussian", options={"radius": 1}), "unknown key 'radius'"),
    ],
)
def test_bad_steps_are_refused_by_a_sentence(step, message):
    with pytest.raises(InputError, match=message):
        apply(digits(), (step,), where="a test")


def test_bad_noise_is_refused_by_a_sentence():
    with pytest.raises(InputError, match="unknown noise 'salt'; allowed: gaussian, shot, impulse"):
        add_noise(digits(), Choice(name="salt"), np.random.default_rng(0))

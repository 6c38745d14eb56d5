"""Preprocessing of all images before training: filters, denoisers and contrast. Seeded noise is added to test them.

Every step maps `uint8 (n, height, width, channel)` to the same shape, from 8×8 pixels on, in grayscale or RGB. It treats every
image independently: an image gives the same result alone and in a batch. Borders are mirrored. Strengths in gray values are
fractions of the full range of 255, so the sigma of a denoiser and the sigma of the noise have the same unit.
"""

from collections.abc import Callable
from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import AfterValidator, Field
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from imagestudy.core.registry import Registry
from imagestudy.core.specs import Choice

GRAY_VALUES = 255

Images = UInt8[np.ndarray, "n height width channel"]
Step = Callable[..., Images]

steps: Registry[Step] = Registry("preprocessing step")
noises: Registry[Step] = Registry("noise")


def _require_odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("an odd number is required, so that the window has a center")
    return size


OddSize = Annotated[int, Field(ge=1, le=31), AfterValidator(_require_odd)]
Sigma = Annotated[float, Field(ge=0, le=1)]


def apply(images: Images, chosen: tuple[Choice, ...], *, where: str = "") -> Images:
    """Apply the chosen steps to the images, in the given order.

    Raises:
        InputError: if a step is not registered or an option is not allowed. The message names the place of the choice, `where`.
    """
    checked = [(steps.entry(step.name, where=where).function, steps.options(step, where=where)) for step in chosen]
    for function, options in checked:
        images = function(images, **options)
    return images


def add_noise(images: Images, noise: Choice, rng: np.random.Generator, *, where: str = "") -> Images:
    """Add the chosen noise to the images. It is drawn from `rng` image by image.

    Raises:
        InputError: if the noise is not registered or an option is not allowed.
    """
    return noises.entry(noise.name, where=where).function(images, rng, **noises.options(noise, where=where))


@steps.register("gaussian", kind="filter", title="Gaussian filter")
def filter_gaussian(images: Images, *, sigma: Annotated[float, Field(ge=0, le=10)] = 0.6) -> Images:
    """Replace each pixel by the weighted mean of its neighborhood, with weights exp(−r² / 2σ²); σ in pixels, 0 is the identity."""
    if sigma == 0:
        return images.copy()
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


@steps.register("median", kind="filter", title="median filter")
def filter_median(images: Images, *, size: OddSize = 3) -> Images:
    """Replace each value by the median of a size × size window in its channel (Tukey 1977); 1 is the identity.

    This removes isolated wrong pixels.
    """
    return _each(images, lambda image: cv2.medianBlur(image, size))


@steps.register("bilateral", kind="filter", title="bilateral filter")
def filter_bilateral(
    images: Images,
    *,
    diameter: Annotated[OddSize, Field(ge=3, le=15)] = 3,
    sigma_color: Sigma = 0.2,
    sigma_space: Annotated[float, Field(gt=0, le=10)] = 1.0,
) -> Images:
    """Apply a Gaussian filter that preserves edges: weights also decrease with the gray-value difference (Tomasi & Manduchi 1998).

    Args:
        images: the images to filter.
        diameter: the diameter of the neighborhood in pixels, odd.
        sigma_color: the difference in gray value, as a fraction of the range, at which a neighbor has the weight exp(−1/2); 0 is
            the identity.
        sigma_space: the distance in pixels at which a neighbor has the weight exp(−1/2).
    """
    if sigma_color == 0:
        return images.copy()
    return _each(images, lambda image: cv2.bilateralFilter(image, diameter, sigma_color * GRAY_VALUES, sigma_space))


@steps.register("non_local_means", kind="denoise", title="non-local means")
def denoise_non_local_means(
    images: Images,
    *,
    sigma: Sigma = 0.1,
    patch: Annotated[OddSize, Field(ge=3, le=7)] = 3,
    search: Annotated[int, Field(ge=1, le=15)] = 3,
) -> Images:
    """Replace each pixel by the mean of the pixels in the search window with similar surroundings (Buades et al. 2005).

    Args:
        images: the images to denoise.
        sigma: the standard deviation of the noise, as a fraction of the range; weights decay on a scale of 0.8 σ. 0 is the
            identity.
        patch: the side of the compared patches in pixels, odd.
        search: the largest offset in the search window, in pixels.
    """
    if sigma == 0:
        return images.copy()
    return _each_unit(
        images,
        lambda image: denoise_nl_means(
            image, patch_size=patch, patch_distance=search, h=0.8 * sigma, sigma=sigma, fast_mode=False, channel_axis=-1
        ),
    )


@steps.register("total_variation", kind="denoise", title="total variation")
def denoise_total_variation(images: Images, *, weight: Annotated[float, Field(ge=0, le=2)] = 0.1) -> Images:
    """Return the u that minimizes |u − image|² / (2 · weight) + total variation of u (Rudin et al. 1992; Chambolle 2004).

    Large uniform areas are kept, and small fluctuations are removed. Each channel is treated separately. A weight of 0 is the
    identity.
    """
    if weight == 0:
        return images.copy()
    return _planes(images, lambda planes: denoise_tv_chambolle(planes, weight=weight, channel_axis=-1))


@steps.register("wavelet", kind="denoise", title="wavelet shrinkage")
def denoise_wavelets(images: Images, *, sigma: Sigma = 0.1) -> Images:
    """Shrink Haar wavelet coefficients by soft thresholding with the BayesShrink threshold σ² / σ_signal (Chang et al. 2000).

    σ is the standard deviation of the noise as a fraction of the range; 0 is the identity. Each channel is treated separately.
    """
    if sigma == 0:
        return images.copy()
    return _planes(images, lambda planes: denoise_wavelet(planes, sigma=sigma, wavelet="db1", rescale_sigma=True, channel_axis=-1))


@steps.register("clahe", kind="contrast", title="CLAHE")
def equalize_adaptively(
    images: Images, *, clip: Annotated[float, Field(gt=0, le=100)] = 2.0, tiles: Annotated[int, Field(ge=1, le=16)] = 2
) -> Images:
    """Spread the gray values of each tile over the range: contrast-limited adaptive histogram equalization (Zuiderveld 1994).

    In RGB images, only the lightness (L of CIE Lab) is spread.

    Args:
        images: the images to equalize.
        clip: the largest share of one gray value in a tile's histogram, as a multiple of its share in a uniform histogram. Small
            values change the image little.
        tiles: the number of tiles per side.
    """
    equalizer = cv2.createCLAHE(clip, (tiles, tiles))
    if images.shape[-1] == 1:
        return _each(images, equalizer.apply)

    def equalize_lightness(image: np.ndarray) -> np.ndarray:
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        lab[..., 0] = equalizer.apply(np.ascontiguousarray(lab[..., 0]))
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    return _each(images, equalize_lightness)


@steps.register("gamma", kind="contrast", title="gamma correction")
def correct_gamma(images: Images, *, gamma: Annotated[float, Field(ge=0.1, le=10)] = 0.7) -> Images:
    """Map each gray value v in [0, 1] to v^gamma: a gamma below 1 brightens, above 1 darkens, and 1 is the identity."""
    table = np.rint(GRAY_VALUES * (np.arange(GRAY_VALUES + 1) / GRAY_VALUES) ** gamma).astype(np.uint8)
    return table[images]


@noises.register("gaussian", title="Gaussian noise")
def add_gaussian(images: Images, rng: np.random.Generator, *, sigma: Sigma = 0.1) -> Images:
    """Add independent normal noise to every value; σ as a fraction of the range, 0 is the identity."""
    return _from_unit(images / GRAY_VALUES + sigma * rng.standard_normal(images.shape))


@noises.register("shot", title="shot noise")
def add_shot(images: Images, rng: np.random.Generator, *, photons: Annotated[float, Field(gt=0, le=1e6)] = 50.0) -> Images:
    """Add Poisson noise of a sensor that counts `photons` at full brightness: variance v / photons at gray value v in [0, 1]."""
    return _from_unit(rng.poisson(images / GRAY_VALUES * photons) / photons)


@noises.register("impulse", title="impulse noise")
def add_impulse(images: Images, rng: np.random.Generator, *, amount: Sigma = 0.05) -> Images:
    """Add salt-and-pepper noise: replace a fraction `amount` of all values, half by black and half by white; 0 is the identity."""
    uniform = rng.random(images.shape)
    pepper = np.where(uniform < amount / 2, np.uint8(0), images)
    return np.where(uniform >= 1 - amount / 2, np.uint8(GRAY_VALUES), pepper)


def _each(images: Images, function: Callable[[np.ndarray], np.ndarray]) -> Images:
    """Apply a function of `uint8 (height, width, channel)` to the images one by one."""
    results = np.empty_like(images)
    for image, result in zip(images, results, strict=True):
        result[...] = function(np.ascontiguousarray(image)).reshape(result.shape)
    return results


def _each_unit(images: Images, function: Callable[[np.ndarray], np.ndarray]) -> Images:
    """Apply a function of `float64 (height, width, channel)` in [0, 1] to the images one by one."""
    return _each(images, lambda image: _from_unit(function(image / GRAY_VALUES)))


def _planes(images: Images, function: Callable[[np.ndarray], np.ndarray]) -> Images:
    """Apply a function of `float64 (height, width, plane)` to all channels of all images at once; it treats planes separately."""
    number, height, width, channels = images.shape
    planes = images.transpose(1, 2, 0, 3).reshape(height, width, number * channels) / GRAY_VALUES
    return _from_unit(function(planes).reshape(height, width, number, channels).transpose(2, 0, 1, 3))


def _from_unit(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return np.rint(np.clip(values, 0, 1) * GRAY_VALUES).astype(np.uint8)

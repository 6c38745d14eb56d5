"""Small folders of images for the tests: every image differs from every other, and the same name gives the same image."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog")


def pixels(name: str, *, height: int = 12, width: int = 10, channels: int = 3) -> np.ndarray:
    """Smooth random colours that the name decides, `uint8 (height, width, channel)`."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return np.asarray(Image.fromarray(rng.integers(0, 256, (4, 4, channels), dtype=np.uint8)).resize((width, height)))


def save(file: Path, *, name: str | None = None, height: int = 12, width: int = 10, **options: object) -> Path:
    """Write one image of RGB, in the format of the file's ending; its pixels follow from `name`, or from the file's path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(name or str(file.name) + str(file.parent.name), height=height, width=width)).save(file, **options)
    return file


def fill(folder: Path, classes: tuple[str, ...] = CLASSES, *, number: int = 4, prefix: str = "") -> Path:
    """Class folders with `number` PNGs each, named `0.png` and on."""
    for label in classes:
        for n in range(number):
            save(folder / label / f"{n}.png", name=f"{prefix}{label}{n}")
    return folder


def paths_of(images: object) -> list[str]:
    """The paths of what a scan lists."""
    return [image.path for image in images]  # type: ignore[attr-defined]

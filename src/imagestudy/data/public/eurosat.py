"""EuroSAT: land cover photographed by the Sentinel-2 satellites, as JPEG files with one folder per class."""

from typing import Annotated

import numpy as np
from pydantic import Field

from imagestudy.core.download import RemoteFile
from imagestudy.data.datasets import FIXED, Dataset, sources
from imagestudy.data.folders.scanning import Look
from imagestudy.data.public.image_files import decode_files
from imagestudy.data.public.remote import Known, Origin, Piece, obtain
from imagestudy.data.public.unpacking import unzip

FOLDER = "2750"
SIDE = 64
HELD_OUT = (5_000, 2_500)
CLASSES = {
    "AnnualCrop": "annual crop",
    "Forest": "forest",
    "HerbaceousVegetation": "herbaceous vegetation",
    "Highway": "highway",
    "Industrial": "industrial area",
    "Pasture": "pasture",
    "PermanentCrop": "permanent crop",
    "Residential": "residential area",
    "River": "river",
    "SeaLake": "sea or lake",
}
"""Folder name → class name."""


def _pieces() -> tuple[Piece, ...]:
    """Return the archive to download.

    The first address and the MD5 checksum are copied from `torchvision.datasets.EuroSAT.download`; the second address is the server
    of the authors.
    """
    urls = (
        "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
        "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
    )
    return (Piece(RemoteFile("EuroSAT.zip", urls, "md5:c8fa014336c82ac7804f0398fcb19387"), (FOLDER,), unzip),)


LAND = Origin("eurosat", (FOLDER,), _pieces)


@sources.register(
    "eurosat",
    title="land from a satellite, 64×64 color",
    license="MIT",
    citation="Helber, Bischke, Dengel & Borth, EuroSAT: a Novel Dataset and Deep Learning Benchmark for Land Use and Land Cover "
    "Classification, IEEE JSTARS 12(7), 2019",
    known=Known(images=27_000, size=(SIDE, SIDE, 3), classes=10, ratio=3_000 / 2_000, held_out=HELD_OUT),
    origin=LAND,
    source="torchvision's mirror, then the authors' server",
    checksum="from torchvision",
    split=FIXED,
    pictures=True,
)
def load_land(*, side: Annotated[int, Field(ge=8, le=SIDE)] = SIDE) -> Dataset:
    """Load 27,000 images, 2,000 to 3,000 per class.

    There is no official split: 5,000 test images and 2,500 validation images are drawn, both balanced.

    Args:
        side: the height and width in pixels, at most those of the files.
    """
    folder = obtain(LAND) / FOLDER
    files = [f"{kind}/{file.name}" for kind in CLASSES for file in sorted((folder / kind).glob("*.jpg"))]
    numbers = {kind: number for number, kind in enumerate(CLASSES)}
    labels = np.array([numbers[file.partition("/")[0]] for file in files], dtype=np.int64)
    images = decode_files("eurosat", folder, files, Look(side, "stretch", "rgb"))
    both = ("horizontal", "vertical")
    return Dataset(images, labels, tuple(CLASSES.values()), None, flips=both, held_out=HELD_OUT, files=tuple(files))

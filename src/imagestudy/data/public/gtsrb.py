"""German traffic signs (GTSRB): PPM images of varying size. The training images come in tracks, 30 frames of the same sign each."""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from imagestudy.core.download import RemoteFile
from imagestudy.data.datasets import OFFICIAL, TEST, TRAIN, Dataset, sources
from imagestudy.data.folders.scanning import Look
from imagestudy.data.public.image_files import decode_files
from imagestudy.data.public.remote import Known, Origin, Piece, obtain
from imagestudy.data.public.unpacking import unzip

TRAINING, TESTING, ANSWERS = "GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"
SERVER = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"


def _pieces() -> tuple[Piece, ...]:
    """Return the archives to download.

    The addresses and MD5 checksums are copied from `torchvision.datasets.GTSRB.download`, which has no attribute for them.
    """
    archives = (
        ("GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478", TRAINING),
        ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185", TESTING),
        ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5", ANSWERS),
    )
    return tuple(Piece(RemoteFile(name, (SERVER + name,), f"md5:{md5}"), (gives,), unzip) for name, md5, gives in archives)


SIGNS = Origin("gtsrb", (TRAINING, TESTING, ANSWERS), _pieces)

CLASSES = (
    *(f"at most {speed} km/h" for speed in (20, 30, 50, 60, 70, 80)),
    "end of at most 80 km/h",
    *(f"at most {speed} km/h" for speed in (100, 120)),
    "no overtaking",
    "no overtaking by lorries",
    "priority at the next crossing",
    "priority road",
    "give way",
    "stop",
    "no vehicles",
    "no lorries",
    "no entry",
    "danger",
    "bend to the left",
    "bend to the right",
    "double bend",
    "uneven road",
    "slippery road",
    "road narrows on the right",
    "road works",
    "traffic lights",
    "pedestrians",
    "children",
    "bicycles",
    "ice or snow",
    "wild animals",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "straight on only",
    "straight on or right",
    "straight on or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no overtaking",
    "end of no overtaking by lorries",
)


def _list_training(folder: Path) -> tuple[list[str], list[int], list[tuple[str, str]]]:
    """Return paths, classes and tracks: `00013/00042_00007.ppm` is frame 7 of track 42 of class 13."""
    found = sorted((folder / TRAINING).glob("[0-9]*/[0-9]*_[0-9]*.ppm"))
    tracks = [(file.parent.name, file.name.partition("_")[0]) for file in found]
    return [f"{TRAINING}/{file.parent.name}/{file.name}" for file in found], [int(kind) for kind, _ in tracks], tracks


def _list_test(folder: Path) -> tuple[list[str], list[int]]:
    with (folder / ANSWERS).open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter=";", skipinitialspace=True))
    return [f"{TESTING}/{row['Filename']}" for row in rows], [int(row["ClassId"]) for row in rows]


def _number_groups(tracks: list[tuple[str, str]], singles: int) -> Int64[np.ndarray, " n"]:
    """Number the groups: one per track, and one per test image, because test images come in random order without tracks."""
    numbers = {track: number for number, track in enumerate(dict.fromkeys(tracks))}
    return np.concatenate([np.array([numbers[track] for track in tracks], dtype=np.int64), len(numbers) + np.arange(singles)])


@sources.register(
    "gtsrb",
    title="traffic signs, 32×32 color",
    license="none stated",
    citation="Stallkamp, Schlipsing, Salmen & Igel, Man vs. Computer: Benchmarking Machine Learning Algorithms for Traffic Sign "
    "Recognition, Neural Networks 32, 2012",
    known=Known(images=39_270, size=(32, 32, 3), classes=43, ratio=2_250 / 210, held_out=(12_630, 0)),
    origin=SIGNS,
    source="torchvision's archive",
    checksum="from torchvision",
    split=f"{OFFICIAL}; validation takes whole tracks of 30 frames from the training images. Most published scores are not "
    "comparable, because they come from training on 39,209 images. Files of 15 to 250 pixels are stretched to 32×32, or to `side`",
)
def load_signs(*, side: Annotated[int, Field(ge=8, le=256)] = 32) -> Dataset:
    """Load 26,640 training images in 888 tracks and 12,630 test images. Validation takes whole tracks from the training part.

    The training images are those that torchvision downloads, from the first stage of the competition of 2011. Most published
    accuracies are based on its later training set of 39,209 images and the same test images. State this difference in comparisons.

    Args:
        side: the height and width in pixels to which all images are stretched; the files are 15 to 250 pixels wide.
    """
    folder = obtain(SIGNS)
    (files, labels, tracks), (test_files, test_labels) = _list_training(folder), _list_test(folder)
    images = decode_files("gtsrb", folder, files + test_files, Look(side, "stretch", "rgb"))
    part = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [len(files), len(test_files)])
    groups = _number_groups(tracks, len(test_files))
    numbers = np.array(labels + test_labels, dtype=np.int64)
    return Dataset(images, numbers, CLASSES, part, flips=(), groups=groups, files=tuple(files + test_files))

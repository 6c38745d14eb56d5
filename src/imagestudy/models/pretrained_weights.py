"""Pretrained weights: each file is downloaded once into the data folder, verified, and kept under its original file name."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imagestudy.core import paths
from imagestudy.core.download import RemoteFile, fetch


def remote_weights(name: str) -> RemoteFile:
    """Return the URL and checksum of a file of weights by torchvision's name, for example `ResNet18_Weights.IMAGENET1K_V1`.

    Both come from torchvision: the file name ends in the first digits of the file's SHA-256.
    """
    from torchvision.models import get_weight  # loads slowly

    url = get_weight(name).url
    file = PurePosixPath(urlsplit(url).path)
    return RemoteFile(file.name, (url,), f"sha256:{file.stem.rpartition('-')[2]}")


def fetch_weights(name: str) -> Path:
    """Return the path of the weights in the data folder; download the file if it is missing.

    Raises:
        InputError: the file is missing and cannot be downloaded. The message says where to get the file and where to put it.
    """
    return fetch(remote_weights(name), paths.weights_folder())

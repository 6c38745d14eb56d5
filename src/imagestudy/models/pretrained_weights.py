"""Weights of networks that others have trained: fetched once into the data folder, checked, and kept under their own file name."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imagestudy.core import paths
from imagestudy.core.download import RemoteFile, fetch


def remote_weights(name: str) -> RemoteFile:
    """Where a file of weights comes from, by torchvision's name of it, such as `ResNet18_Weights.IMAGENET1K_V1`.

    The address is torchvision's, and so is the checksum: the file's name ends in the first digits of its SHA-256.
    """
    from torchvision.models import get_weight  # loads slowly

    url = get_weight(name).url
    file = PurePosixPath(urlsplit(url).path)
    return RemoteFile(file.name, (url,), f"sha256:{file.stem.rpartition('-')[2]}")


def fetch_weights(name: str) -> Path:
    """The file of these weights in the data folder; fetched if it is not there.

    Raises:
        InputError: it is not there and cannot be fetched; it says from where to get it and where to put it by hand.
    """
    return fetch(remote_weights(name), paths.weights_folder())

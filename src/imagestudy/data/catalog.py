"""The tables of datasets, made without reading images that must first be downloaded or decoded."""

from imagestudy.core.specs import Choice
from imagestudy.data.datasets import load, sources
from imagestudy.data.public import Known, is_here
from imagestudy.data.splits import describe, split

BUILT_IN, HERE, AWAY = "built in", "yes", "no"
CHECKSUMS = {"md5": "MD5", "sha256": "SHA-256"}


def list_datasets() -> list[dict[str, object]]:
    """Return one row per listed dataset: name, title, number of images, size, classes, imbalance, license, whether it is on disk.

    The imbalance is the ratio of the largest to the smallest class over all images. The title omits its last part, the image size.
    """
    return [_describe(name) for name in _listed()]


def document_datasets() -> list[dict[str, str]]:
    """Return one row per listed dataset that is no plug-in, as in `data/README.md`. A fact that an entry lacks is an empty cell."""
    return [_document(name) for name in _listed() if not sources.entry(name).origin.file]


def _listed() -> list[str]:
    return [name for name in sources.names() if sources.entry(name).facts.get("listed", True)]


def _document(name: str) -> dict[str, str]:
    facts, known = sources.entry(name).facts, _known(name)
    (height, width, channels), (test, validation) = known.size, known.held_out or _count_held_out(name)
    training = known.images - test
    rule = facts.get("split", "").format(training=training, pool=training - validation, validation=validation, test=test)
    color = "grayscale" if channels == 1 else "color"
    return {
        "dataset": f"`{name}`",
        "images": f"{known.images:,} {color}, {height}×{width}, {known.classes} classes",
        "source": _join("; ", facts.get("source"), facts["citation"]),
        "license": facts["license"],
        "checksum": _join(", ", _say_files(name), facts.get("checksum")),
        "split rule": rule,
        "pictures may be published": "yes" if facts.get("pictures") else "no",
    }


def _join(separator: str, *parts: str | None) -> str:
    return separator.join(part for part in parts if part)


def _say_files(name: str) -> str:
    """Return what is verified after a download, as "MD5 of 4 files"; empty without a download. It imports slow libraries."""
    origin = sources.entry(name).facts.get("origin")
    if origin is None:
        return ""
    digests = [piece.remote.digest.partition(":")[0] for piece in origin.pieces()]
    return f"{CHECKSUMS[digests[0]]} of {'1 file' if len(digests) == 1 else f'{len(digests)} files'}"


def _describe(name: str) -> dict[str, object]:
    facts, known = sources.entry(name).facts, _known(name)
    return {
        "name": name,
        "title": facts["title"].rpartition(",")[0],
        "images": known.images,
        "size": "×".join(map(str, known.size)),
        "classes": known.classes,
        "ratio": round(known.ratio, 2),
        "license": facts["license"],
        "on disk": _place(name),
    }


def _known(name: str) -> Known:
    facts = sources.entry(name).facts
    return facts["known"] if "known" in facts else _measure(name)


def _measure(name: str) -> Known:
    """Measure these facts of a dataset that needs no file, because it is generated or comes with a library."""
    dataset = load(Choice(name=name))
    _, height, width, channels = dataset.images.shape
    ratio = describe(dataset.labels, dataset.classes).ratio
    return Known(len(dataset.images), (height, width, channels), len(dataset.classes), ratio)


def _count_held_out(name: str) -> tuple[int, int]:
    cut = split(load(Choice(name=name)))
    return len(cut.test), len(cut.validation)


def _place(name: str) -> str:
    origin = sources.entry(name).facts.get("origin")
    if origin is None:
        return BUILT_IN
    return HERE if is_here(origin) else AWAY

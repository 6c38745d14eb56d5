"""The table of datasets, made without reading images that must first be downloaded or decoded."""

from imagestudy.core.specs import Choice
from imagestudy.data.datasets import load, sources
from imagestudy.data.public import Known, is_here
from imagestudy.data.splits import describe

BUILT_IN, HERE, AWAY = "built in", "yes", "no"


def list_datasets() -> list[dict[str, object]]:
    """Return one row per listed dataset: name, title, number of images, size, classes, imbalance, license, whether it is on disk.

    The imbalance is the ratio of the largest to the smallest class over all images. The title omits its last part, the image size.
    """
    return [_describe(name) for name in sources.names() if sources.entry(name).facts.get("listed", True)]


def _describe(name: str) -> dict[str, object]:
    facts = sources.entry(name).facts
    known = facts["known"] if "known" in facts else _measure(name)
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


def _measure(name: str) -> Known:
    """Measure these facts of a dataset that needs no file, because it is generated or comes with a library."""
    dataset = load(Choice(name=name))
    _, height, width, channels = dataset.images.shape
    ratio = describe(dataset.labels, dataset.classes).ratio
    return Known(len(dataset.images), (height, width, channels), len(dataset.classes), ratio)


def _place(name: str) -> str:
    origin = sources.entry(name).facts.get("origin")
    if origin is None:
        return BUILT_IN
    return HERE if is_here(origin) else AWAY

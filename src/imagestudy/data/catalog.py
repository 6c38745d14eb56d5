"""What data sets there are, said without reading the images of any that would first have to be fetched or decoded."""

from imagestudy.core.specs import Choice
from imagestudy.data.datasets import load, sources
from imagestudy.data.public import Known, is_here
from imagestudy.data.splits import describe

BUILT_IN, HERE, AWAY = "built in", "yes", "no"


def catalogue() -> list[dict[str, object]]:
    """One row a listed data set: name, title, images, size, classes, imbalance of all its images, licence, whether on disk.

    The title is without its last words, which say the size.
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
    """The same of a set that needs no file: it is made, or comes with a library."""
    dataset = load(Choice(name=name))
    _, height, width, channels = dataset.images.shape
    ratio = describe(dataset.labels, dataset.classes).ratio
    return Known(len(dataset.images), (height, width, channels), len(dataset.classes), ratio)


def _place(name: str) -> str:
    origin = sources.entry(name).facts.get("origin")
    if origin is None:
        return BUILT_IN
    return HERE if is_here(origin) else AWAY

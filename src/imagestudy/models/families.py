"""The facts of each family of models, stated once: title, color, marker, deciding and traditional member, ablations."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """The facts of a family.

    Args:
        title: its name in sentences and legends.
        color: its color in figures, from the palette of Okabe & Ito (2008). Some are darker than the original, so that text in them
            is readable on white.
        marker: its matplotlib marker.
        deciding: the modern member that decides the article's claims; empty if no claim is about the family.
        traditional: the historical member; empty if there is none.
        ablations: options of the deciding member that each take one part away.
    """

    title: str
    color: str
    marker: str
    deciding: str = ""
    traditional: str = ""
    ablations: tuple[dict[str, Any], ...] = ()


FAMILIES = {
    "ann": Family("ANN", "#0072B2", "o", "mlp", "perceptron", ({"normalise": False}, {"dropout": 0.0})),
    "cnn": Family("CNN", "#C24E00", "s", "resnet", "lenet", ({"shortcut": False}, {"normalise": False})),
    "rnn": Family("RNN", "#009E73", "^", "bilstm", "elman", ({"bidirectional": False}, {"pool": "last"})),
    "transformer": Family("Transformer", "#B0569A", "D", "vit", "", ({"positions": False}, {"depth": 1})),
    "hybrid": Family("hybrid", "#9A7400", "P"),
    "classical": Family("classical", "#5A5A5A", "v"),
}
DECIDING = {name: family.deciding for name, family in FAMILIES.items() if family.deciding}
TRADITIONAL = {name: family.traditional for name, family in FAMILIES.items() if family.traditional}


def family_title(name: str) -> str:
    """Return the title of a family; a family that a plug-in adds is shown by its name."""
    return FAMILIES[name].title if name in FAMILIES else name

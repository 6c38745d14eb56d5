"""One look for all figures: size, fonts, colours and markers, and the closed figure that a notebook shows."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

WIDTH = 5.4
"""Inches. On a phone of 390 px an inch is about 65 px, so that a font of 9 points is about 8 px high there."""

DPI = 144
SCREEN_DPI = 96

FAMILY_COLORS = {
    "ann": "#0072B2",
    "cnn": "#C24E00",
    "rnn": "#009E73",
    "transformer": "#B0569A",
    "hybrid": "#9A7400",
    "classical": "#5A5A5A",
}
"""Okabe & Ito's (2008) palette, darkened where text in it must be readable on white."""

FAMILY_MARKERS = {"ann": "o", "cnn": "s", "rnn": "^", "transformer": "D", "hybrid": "P", "classical": "X"}
FAMILY_TITLES = {
    "ann": "ANN",
    "cnn": "CNN",
    "rnn": "RNN",
    "transformer": "Transformer",
    "hybrid": "hybrid",
    "classical": "classical",
}

VERDICT_COLORS = {
    "supported": "#00694C",
    "higher": "#00694C",
    "contradicted": "#B54700",
    "lower": "#B54700",
    "equivalent": "#1F5FAE",
    "undecided": "#666666",
}

INK, QUIET, FAINT = "#1A1A1A", "#5F5F5F", "#D9D9D9"
CYCLE = ("#0072B2", "#C24E00", "#009E73", "#B0569A", "#9A7400", "#5A5A5A", "#56B4E9", "#1A1A1A")
CYCLE_MARKERS = ("o", "s", "^", "D", "P", "X", "v", "*")

FALLBACK_FONTS = ("Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "WenQuanYi Zen Hei", "Arial Unicode MS")
"""For class names that the default font cannot write, where one of these is installed."""


class Picture(Figure):
    """A figure that pyplot does not know: it is closed from the start, and a notebook shows it exactly once."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        width, height = (round(inches * SCREEN_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def _settings() -> dict[str, Any]:
    installed = {font.name for font in fontManager.ttflist}
    return {
        "font.family": ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)],
        "font.size": 9.5,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.labelsize": 9.5,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "figure.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": QUIET,
        "axes.axisbelow": True,
        "axes.grid": False,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.8,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "text.parse_math": False,
        "lines.linewidth": 1.6,
        "figure.constrained_layout.h_pad": 0.05,
        "figure.constrained_layout.w_pad": 0.05,
    }


@contextmanager
def drawing(height: float, *, width: float = WIDTH, title: str = "") -> Iterator[Picture]:
    """A new figure in the style; on leaving, everything in it is laid out once.

    Names may hold `$` or `_`: no text is read as a formula.

    Args:
        height, width: inches.
        title: above everything; may be empty.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_settings())
        figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(title, x=0.01, ha="left", weight="bold")
        yield figure
        figure.draw_without_rendering()


def palette(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each name: those of the families where all names are families, else in order."""
    names = list(dict.fromkeys(names))
    if set(names) <= set(FAMILY_COLORS):
        return {name: (FAMILY_COLORS[name], FAMILY_MARKERS[name]) for name in names}
    rounds = [(place % len(CYCLE), (place + place // len(CYCLE)) % len(CYCLE_MARKERS)) for place in range(len(names))]
    return {name: (CYCLE[color], CYCLE_MARKERS[marker]) for name, (color, marker) in zip(names, rounds, strict=True)}


def shorten(name: str, *, room: int) -> str:
    """The name, cut to so many characters."""
    return name if len(name) <= room else name[: max(1, room - 1)] + "…"


def hide_frame(axes: Axes) -> None:
    """No ticks and no frame, as for an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)

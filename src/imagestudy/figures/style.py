"""The common style of all figures: size, fonts, colors, markers, names, and the figure class that a notebook shows."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.lines import Line2D

from imagestudy.models.families import FAMILIES

WIDTH = 5.2
"""Width of every figure, in inches. On a phone that is 390 px wide, 1 inch is about 68 px, so 9.5-point text is about 9 px high."""

DPI = 144
"""Dots per inch of the PNG."""
SCREEN_DPI = 96
"""Dots per inch at which a notebook shows the PNG."""

FAMILY_COLORS = {name: family.color for name, family in FAMILIES.items()}
FAMILY_MARKERS = {name: family.marker for name, family in FAMILIES.items()}

VERDICT_COLORS = {
    "supported": "#00694C",
    "higher": "#00694C",
    "contradicted": "#B54700",
    "lower": "#B54700",
    "equivalent": "#1F5FAE",
    "undecided": "#666666",
}

SCORE_TITLES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}

INK, QUIET, FAINT = "#1A1A1A", "#5F5F5F", "#D9D9D9"
CYCLE = ("#0072B2", "#C24E00", "#009E73", "#B0569A", "#9A7400", "#5A5A5A", "#56B4E9", "#1A1A1A")
CYCLE_MARKERS = ("o", "s", "^", "D", "P", "v", "X", "*")

FALLBACK_FONTS = ("Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "WenQuanYi Zen Hei", "Arial Unicode MS")
"""Fonts for class names that the default font cannot write. Only the installed ones are used."""

PLAIN_TRAINING = {"none": "plain training", "none, tuned": "plain training, tuned"}
"""The name that readers see for a remedy called `none` in study files and records."""


class Picture(Figure):
    """A figure that is not registered with pyplot, so a notebook shows it exactly once."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        width, height = (round(inches * SCREEN_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def _settings() -> Any:
    installed = {font.name for font in fontManager.ttflist}
    return {
        "font.family": ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)],
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.labelsize": 10,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "legend.fontsize": 9.5,
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
def drawing(height: float, *, title: str = "", tight: bool = False) -> Iterator[Picture]:
    """Create a figure in the common style, and compute its layout once at the end of the block.

    Text is never parsed as a formula, so names may contain `$` or `_`.

    Args:
        height: height of the figure, in inches.
        title: title above all panels; may be empty.
        tight: whether to leave little space between panels, as for images.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_settings())
        figure = Picture(figsize=(WIDTH, height), dpi=DPI, layout="constrained", facecolor="white")
        if tight:
            figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)  # type: ignore[union-attr, call-arg]
        if title:
            figure.suptitle(title, x=0.01, ha="left", weight="bold")
        yield figure
        figure.draw_without_rendering()


def palette(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a color and a marker for each name: those of the families if all names are families, otherwise in a fixed order."""
    names = list(dict.fromkeys(names))
    if set(names) <= set(FAMILY_COLORS):
        return {name: (FAMILY_COLORS[name], FAMILY_MARKERS[name]) for name in names}
    rounds = [(place % len(CYCLE), (place + place // len(CYCLE)) % len(CYCLE_MARKERS)) for place in range(len(names))]
    return {name: (CYCLE[color], CYCLE_MARKERS[marker]) for name, (color, marker) in zip(names, rounds, strict=True)}


def name_remedies(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with plain training named as such in the column `remedy`, if the table has this column."""
    return frame.assign(remedy=frame["remedy"].replace(PLAIN_TRAINING)) if "remedy" in frame else frame


def say_score(score: str, *, lines: int = 1) -> str:
    """Return the axis label of a score, on one or two lines."""
    return f"{SCORE_TITLES.get(score, score)}{', ' if lines == 1 else chr(10)}95 % CI"


def shorten(name: str, *, room: int) -> str:
    """Return the name, cut to at most `room` characters; a cut name ends in `…`."""
    return name if len(name) <= room else name[: max(1, room - 1)] + "…"


def drawable(names: Sequence[str]) -> tuple[str, ...]:
    """Return class names that the fonts can draw: the third class becomes `class 3` if the fonts lack a letter of its name."""
    return tuple(name if _letters() >= set(name) - {" "} else f"class {place}" for place, name in enumerate(names, start=1))


@lru_cache(maxsize=1)
def _letters() -> frozenset[str]:
    """Return all letters that the fonts of the figures contain."""
    files = {findfont(name) for name in _settings()["font.family"]}
    return frozenset(chr(code) for file in files for code in get_font(file).get_charmap())


def add_legend(figure: Picture, named: Mapping[str, Artist]) -> None:
    """Add one legend for all panels below them, in as many columns as fit; a single name gets no legend."""
    if len(named) < 2:
        return
    columns = max(1, min(len(named), int(WIDTH / (0.085 * max(map(len, named)) + 0.45))))
    handles, names = list(named.values()), list(named)
    figure.legend(handles, names, loc="outside lower left", ncols=columns, columnspacing=1.2, handlelength=1.6)


def named_artists(axes: Axes) -> dict[str, Artist]:
    """Return the labeled artists of the axes by label, each label once."""
    handles, names = axes.get_legend_handles_labels()
    return dict(zip(names, handles, strict=True))


def legend_keys(styles: Mapping[str, tuple[str, str]], *, line: bool = True) -> dict[str, Artist]:
    """Return a legend entry for each name: its marker in its color, on a line or alone."""
    width = 2 if line else 0
    return {name: Line2D([], [], color=color, marker=mark, linewidth=width, markersize=6) for name, (color, mark) in styles.items()}


def hide_frame(axes: Axes) -> None:
    """Remove ticks and frame, as for an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_sentence(text: str, *, title: str = "") -> Picture:
    """Draw a sentence instead of a figure, for data that has nothing to draw."""
    with drawing(1.0, title=title) as figure:
        axes = figure.subplots()
        hide_frame(axes)
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    return figure

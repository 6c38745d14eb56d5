"""How sure: where the spread between runs comes from, what more runs would decide, what peeking at the test set does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from imagestudy.figures.intervals import name_lines, put_band, put_interval
from imagestudy.figures.pareto import use_plain_log
from imagestudy.figures.style import FAINT, INK, QUIET, Picture, add_legend, draw_sentence, drawing, named_artists, palette
from imagestudy.models import models

MOST = 2.5
"""How far an axis goes at most, in multiples of the largest estimate: few runs give intervals that would squeeze all others."""
APART = 0.7
"""The share of a line's height that those who share it are spread over."""
NOTHING = "Nothing to draw: there are no such runs."
PICKED = {"test": ("best on test", True), "validation": ("best on validation", False)}
TEST = 4
"""Column of a curve with looks at the test images: images seen, loss, accuracy on the batches, on validation, on test."""


def draw_sources(frame: pd.DataFrame, *, title: str = "") -> Picture:
    """Each source of spread as a standard deviation in points: with its interval on these test images, a cross on an endless set.

    Args:
        frame: of `spread.measure`.
        title: above everything.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    sources, looks = list(dict.fromkeys(frame["source"])), _looks(frame)
    with drawing((0.12 * len(looks) + 0.2) * len(sources) + 1.0 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        _put_stripes(axes, len(sources))
        edge = _right_edge(frame[["points", "high"]])
        for row in frame.dropna(subset=["points"]).to_dict("records"):
            height = sources.index(row["source"]) + _shift(list(looks).index(row["model"]), len(looks))
            _put_source(axes, height, row, *looks[row["model"]], edge=edge)
        name_lines(axes, sources)
        axes.set_xlim(0, edge)
        axes.set_xlabel("standard deviation of one run's balanced accuracy, points")
        axes.grid(axis="x")
        endless = Line2D([], [], color=INK, marker="x", linewidth=0, markersize=5.5, markeredgewidth=1.6)
        add_legend(figure, _keys(looks) | {"on an endless test set": endless})
    return figure


def _put_source(axes: Axes, height: float, row: dict, color: str, marker: str, *, edge: float) -> None:
    """One model's part of a line; an interval that goes beyond the edge ends in an arrow."""
    put_interval(axes, height, (row["points"], row["low"], row["high"]), color, marker)
    if row["high"] > edge:
        axes.plot([edge], [height], ">", color=color, markersize=5, clip_on=False, gid="arrow")
    if np.isfinite(row["endless"]):
        axes.plot([row["endless"]], [height], "x", color=color, markersize=5.5, markeredgewidth=1.6, gid="endless", zorder=4,
                  clip_on=False)  # fmt: skip


def _looks(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Model → colour and marker of its family, where each has a family of its own."""
    families = dict(zip(frame["model"], frame["family"], strict=True))
    apart = len(set(families.values())) == len(families)
    colors = palette(list(families.values()) if apart else list(families))
    return {model: colors[family if apart else model] for model, family in families.items()}


def _shift(place: int, number: int) -> float:
    return APART * ((place + 0.5) / number - 0.5)


def _put_stripes(axes: Axes, lines: int) -> None:
    """Every other line is shaded, so that what belongs to a line is seen."""
    for place in range(0, lines, 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0)


def _right_edge(points: pd.DataFrame) -> float:
    estimates, bounds = points["points"].to_numpy(), points["high"].to_numpy()
    largest = float(np.nanmax(estimates)) or 1.0
    return float(min(1.05 * np.nanmax([*bounds[np.isfinite(bounds)], largest]), MOST * largest))


def _keys(looks: dict[str, tuple[str, str]]) -> dict[str, Artist]:
    return {name: Line2D([], [], color=color, marker=marker, linewidth=2, markersize=6) for name, (color, marker) in looks.items()}


def draw_decided(frame: pd.DataFrame, *, recorded: int, title: str = "") -> Picture:
    """The share of comparisons that are decided against the number of runs, a line for each number of test images.

    Args:
        frame: of `settling.project`.
        recorded: runs that there are, marked by a line.
        title: above everything.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    with drawing(3.0 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for images, (color, marker) in palette([str(number) for number in frame["images"]]).items():
            rows = frame[frame["images"].astype(str) == images]
            axes.plot(rows["runs"], rows["share"], color=color, marker=marker, markersize=4.5, label=f"{int(images):,} test images")
        axes.axvline(recorded, color=QUIET, linestyle=":", linewidth=1.2, gid="recorded", label="runs as recorded")
        axes.set_xscale("log")
        use_plain_log(axes)
        axes.set_xlabel("paired runs (log scale)")
        axes.set_ylabel("comparisons decided")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
    return figure


def draw_optimism(frame: pd.DataFrame, *, margin: float, title: str = "") -> Picture:
    """What the best look adds to the score of the last weights, picked on test (filled) and on validation (hollow), in points.

    Args:
        frame: of `optimism.measure`, with one number of looks.
        margin: of equivalence, a share: the grey band.
        title: above everything.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    panels = {str(name): rows for name, rows in frame.groupby("profile", sort=False)}
    names, looks = list(dict.fromkeys(frame["model"])), _looks(frame)
    with drawing((0.4 * len(names) + 0.35) * len(panels) + 1.0 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            put_band(axes, margin)
            for row in rows.to_dict("records"):
                height = names.index(row["model"]) + (-0.16 if row["picked"] == "test" else 0.16)
                low, high = (100 * row["low"], 100 * row["high"]) if row["runs"] > 1 else (-np.inf, np.inf)
                put_interval(
                    axes, height, (100 * row["difference"], low, high), *looks[row["model"]], filled=PICKED[row["picked"]][1]
                )
            name_lines(axes, names)
        grid[-1].set_xlim(*_edges(frame, margin))
        grid[-1].set_xlabel(f"balanced accuracy above that of the last weights, points\n(grey band: ±{100 * margin:g})")
        fills = {said: Line2D([], [], color=INK, marker="o", linewidth=2, markersize=6, markerfacecolor=INK if filled else "white")
                 for said, filled in PICKED.values()}  # fmt: skip
        add_legend(figure, dict(fills))
    return figure


def _edges(frame: pd.DataFrame, margin: float) -> tuple[float, float]:
    """All estimates, and all bounds but those that lie far out, in points; a single run has no bounds."""
    bounds = frame.loc[frame["runs"] > 1, ["low", "high"]]
    largest = max(float(frame["difference"].abs().max()), margin)
    low = max(float(bounds["low"].min()), -MOST * largest) if len(bounds) else -largest
    high = min(float(bounds["high"].max()), MOST * largest) if len(bounds) else largest
    low, high = min(low, -margin), max(high, margin)
    return 100 * (low - 0.05 * (high - low)), 100 * (high + 0.05 * (high - low))


def draw_looks(frame: pd.DataFrame, *, title: str = "") -> Picture:
    """What the best of so many looks at the test set adds, in points, against their number: a line a model, a panel a profile.

    Args:
        frame: of `optimism.measure`, with several numbers of looks.
        title: above everything.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    shown = frame[frame["picked"] == "test"]
    panels = {str(name): rows for name, rows in shown.groupby("profile", sort=False)}
    with drawing(1.9 * len(panels) + 1.0 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(len(panels), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            _put_looks(axes, rows, _looks(shown))
        grid[-1].set_xlabel("looks at the test set")
        shares = shown.rename(columns={"difference": "points"}).assign(high=shown["high"].where(shown["runs"] > 1))
        grid[-1].set_ylim(bottom=0, top=100 * _right_edge(shares))
        figure.supylabel("points above the last weights", fontsize=10)
        add_legend(figure, named_artists(grid[0]))
    return figure


def _put_looks(axes: Axes, rows: pd.DataFrame, looks: dict[str, tuple[str, str]]) -> None:
    ticks = sorted(set(rows["looks"]))
    for place, (model, (color, marker)) in enumerate(looks.items()):
        own = rows[rows["model"] == model].sort_values("looks")
        at = np.searchsorted(ticks, own["looks"]) + 0.08 * (place - (len(looks) - 1) / 2)
        several = (own["runs"] > 1).to_numpy()
        axes.vlines(at[several], 100 * own["low"][several], 100 * own["high"][several], color=color, linewidth=1.4, gid="interval")
        axes.plot(at, 100 * own["difference"], color=color, marker=marker, markersize=5, linewidth=1.2, label=model)
    axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    axes.grid(axis="y", color=FAINT)


def draw_peeks(curves: dict[str, Sequence[Float[np.ndarray, "point column"]]], *, model: str, title: str = "") -> Picture:
    """Balanced accuracy on the test images while a model trains, run by run: the best look of each run is filled, the last hollow.

    Args:
        curves: profile → one curve a run, of `optimism.curves`.
        model: whose colour is used.
        title: above everything.
    """
    if not curves:
        return draw_sentence(NOTHING, title=title)
    ((color, marker),) = palette([str(models.entry(model).facts["family"])]).values()
    with drawing(1.9 * len(curves) + 1.0 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, runs) in zip(grid, curves.items(), strict=True):
            axes.set_title(name)
            for curve in runs:
                _put_peek(axes, curve, color, marker)
            axes.set_ylim(_floor(runs), min(axes.get_ylim()[1], 1.003))
            axes.set_ylabel("balanced accuracy\non test")
            axes.grid(axis="y")
        grid[-1].set_xlabel("training images seen")
        grid[-1].xaxis.set_major_locator(MaxNLocator(5))
        grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        add_legend(figure, named_artists(grid[0]))
    return figure


def _put_peek(axes: Axes, curve: np.ndarray, color: str, marker: str) -> None:
    best, seen, scores = int(curve[:, TEST].argmax()), curve[:, 0], curve[:, TEST]
    axes.plot(seen, scores, color=color, linewidth=0.7, alpha=0.5)
    look: dict[str, Any] = {"color": color, "marker": marker, "markersize": 6, "linewidth": 0, "zorder": 3}
    axes.plot([seen[best]], [scores[best]], label="best look", gid="best", **look)
    axes.plot([seen[-1]], [scores[-1]], label="last weights", gid="last", markerfacecolor="white", **look)


def _floor(runs: Sequence[np.ndarray]) -> float:
    """Where the axis begins: the steep start of a training is cut off, so that the looks can be told apart."""
    late = np.concatenate([curve[len(curve) // 4 :, TEST] for curve in runs])
    return float(late.min() - 0.02)

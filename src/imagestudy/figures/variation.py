"""Draw sources of variance between runs, the power of more runs, and the bias from peeking at the test set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from imagestudy.figures.intervals import name_lines, put_band, put_interval
from imagestudy.figures.pareto import use_plain_log
from imagestudy.figures.style import (
    FAINT,
    INK,
    QUIET,
    Picture,
    add_legend,
    draw_sentence,
    drawing,
    legend_keys,
    named_artists,
    palette,
)
from imagestudy.models import models

MOST = 2.5
"""Largest axis limit, as a multiple of the largest estimate. With few runs, wide intervals would otherwise dominate the plot."""
APART = 0.7
"""Share of the line height over which the models on one line are spread."""
NOTHING = "There are no runs to draw."
PICKED = {"test": ("best on test", True), "validation": ("best on validation", False)}
"""Part on which the best weights were picked → legend text, and whether the marker is filled."""
TEST = 4
"""Column of a curve with the balanced accuracy on the test images. All columns: images seen, loss, accuracy on the batches,
balanced accuracy on validation, balanced accuracy on test."""


def draw_variance_components(frame: pd.DataFrame, *, title: str = "") -> Picture:
    """Draw each source of variance as a standard deviation in points, with its confidence interval.

    A marker shows the value on these test images. A cross shows the value in the limit of infinitely many test images.

    Args:
        frame: table from `components.measure`.
        title: title above the plot.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    sources, styles = list(dict.fromkeys(frame["source"])), _family_styles(frame)
    with drawing((0.12 * len(styles) + 0.2) * len(sources) + 1.0 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        _put_stripes(axes, len(sources))
        edge = _right_edge(frame[["points", "high"]])
        for row in frame.dropna(subset=["points"]).to_dict("records"):
            height = sources.index(row["source"]) + _shift(list(styles).index(row["model"]), len(styles))
            _put_source(axes, height, row, *styles[row["model"]], edge=edge)
        name_lines(axes, sources)
        axes.set_xlim(0, edge)
        axes.set_xlabel("standard deviation of one run's balanced accuracy, points")
        axes.grid(axis="x")
        endless = Line2D([], [], color=INK, marker="x", linewidth=0, markersize=5.5, markeredgewidth=1.6)
        add_legend(figure, legend_keys(styles) | {"infinitely many images": endless})
    return figure


def _put_source(axes: Axes, height: float, row: dict, color: str, marker: str, *, edge: float) -> None:
    """Draw one model on a line; an interval that goes beyond the edge ends in an arrow."""
    put_interval(axes, height, (row["points"], row["low"], row["high"]), color, marker)
    if row["high"] > edge:
        axes.plot([edge], [height], ">", color=color, markersize=5, clip_on=False, gid="arrow")
    if np.isfinite(row["endless"]):
        axes.plot([row["endless"]], [height], "x", color=color, markersize=5.5, markeredgewidth=1.6, gid="endless", zorder=4,
                  clip_on=False)  # fmt: skip


def _family_styles(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return color and marker for each model: those of its family if no two models share one, else in order."""
    families = dict(zip(frame["model"], frame["family"], strict=True))
    apart = len(set(families.values())) == len(families)
    colors = palette(list(families.values()) if apart else list(families))
    return {model: colors[family if apart else model] for model, family in families.items()}


def _shift(place: int, number: int) -> float:
    return APART * ((place + 0.5) / number - 0.5)


def _put_stripes(axes: Axes, lines: int) -> None:
    """Shade every other line, so that the markers of one line are easy to see as a group."""
    for place in range(0, lines, 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0)


def _right_edge(points: pd.DataFrame) -> float:
    estimates, bounds = points["points"].to_numpy(), points["high"].to_numpy()
    largest = float(np.nanmax(estimates)) or 1.0
    return float(min(1.05 * np.nanmax([*bounds[np.isfinite(bounds)], largest]), MOST * largest))


def draw_power(frame: pd.DataFrame, *, recorded: int, title: str = "") -> Picture:
    """Draw the share of decided comparisons against the number of runs, one line per number of test images.

    Args:
        frame: table from `power.project`.
        recorded: number of recorded runs; a vertical line marks it.
        title: title above the plot.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    with drawing(3.0 + (0.3 if title else 0), title=title) as figure:
        axes = figure.subplots()
        for images, (color, marker) in palette([str(number) for number in frame["images"]]).items():
            rows = frame[frame["images"].astype(str) == images]
            axes.plot(rows["runs"], rows["share"], color=color, marker=marker, markersize=4.5, label=f"{int(images):,} test images")
        axes.axvline(recorded, color=QUIET, linestyle=":", linewidth=1.2, gid="recorded", label="recorded runs")
        axes.set_xscale("log")
        use_plain_log(axes)
        axes.set_xlabel("paired runs (log scale)")
        axes.set_ylabel("decided comparisons")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="y")
        add_legend(figure, named_artists(axes))
    return figure


def draw_peeking_gain(frame: pd.DataFrame, *, margin: float, title: str = "") -> Picture:
    """Draw how much picking the best weights of a run raises its test score over the last weights, in points.

    A filled marker means that the best weights were picked on the test images, a hollow one that they were picked on validation.

    Args:
        frame: table from `test_set_peeking.measure` with one number of looks.
        margin: equivalence margin, as a share; the gray band covers ±margin.
        title: title above all panels.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    panels = {str(name): rows for name, rows in frame.groupby("profile", sort=False)}
    names, styles = list(dict.fromkeys(frame["model"])), _family_styles(frame)
    with drawing((0.4 * len(names) + 0.35) * len(panels) + 1.0 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            put_band(axes, margin)
            for row in rows.to_dict("records"):
                height = names.index(row["model"]) + (-0.16 if row["picked"] == "test" else 0.16)
                low, high = (100 * row["low"], 100 * row["high"]) if row["runs"] > 1 else (-np.inf, np.inf)
                put_interval(
                    axes, height, (100 * row["difference"], low, high), *styles[row["model"]], filled=PICKED[row["picked"]][1]
                )
            name_lines(axes, names)
        grid[-1].set_xlim(*_edges(frame, margin))
        grid[-1].set_xlabel(f"balanced accuracy minus that of the last weights, points\n(gray band: ±{100 * margin:g})")
        fills = {text: Line2D([], [], color=INK, marker="o", linewidth=2, markersize=6, markerfacecolor=INK if filled else "white")
                 for text, filled in PICKED.values()}  # fmt: skip
        add_legend(figure, dict(fills))
    return figure


def _edges(frame: pd.DataFrame, margin: float) -> tuple[float, float]:
    """Return the axis limits in points: all estimates, and all bounds except extreme ones; a single run has no bounds."""
    bounds = frame.loc[frame["runs"] > 1, ["low", "high"]]
    largest = max(float(frame["difference"].abs().max()), margin)
    low = max(float(bounds["low"].min()), -MOST * largest) if len(bounds) else -largest
    high = min(float(bounds["high"].max()), MOST * largest) if len(bounds) else largest
    low, high = min(low, -margin), max(high, margin)
    return 100 * (low - 0.05 * (high - low)), 100 * (high + 0.05 * (high - low))


def draw_gain_by_looks(frame: pd.DataFrame, *, title: str = "") -> Picture:
    """Draw how much the best of several looks at the test set raises the score, against the number of looks, in points.

    There is one line per model and one panel per profile.

    Args:
        frame: table from `test_set_peeking.measure` with several numbers of looks.
        title: title above all panels.
    """
    if frame.empty:
        return draw_sentence(NOTHING, title=title)
    shown = frame[frame["picked"] == "test"]
    panels = {str(name): rows for name, rows in shown.groupby("profile", sort=False)}
    with drawing(1.9 * len(panels) + 1.0 + (0.3 if title else 0), title=title) as figure:
        grid = figure.subplots(len(panels), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            axes.set_title(name)
            _put_looks(axes, rows, _family_styles(shown))
        grid[-1].set_xlabel("looks at the test set")
        shares = shown.rename(columns={"difference": "points"}).assign(high=shown["high"].where(shown["runs"] > 1))
        grid[-1].set_ylim(bottom=0, top=100 * _right_edge(shares))
        figure.supylabel("gain over the last weights, points", fontsize=10)
        add_legend(figure, named_artists(grid[0]))
    return figure


def _put_looks(axes: Axes, rows: pd.DataFrame, styles: dict[str, tuple[str, str]]) -> None:
    ticks = sorted(set(rows["looks"]))
    for place, (model, (color, marker)) in enumerate(styles.items()):
        own = rows[rows["model"] == model].sort_values("looks")
        at = np.searchsorted(ticks, own["looks"]) + 0.08 * (place - (len(styles) - 1) / 2)
        several = (own["runs"] > 1).to_numpy()
        axes.vlines(at[several], 100 * own["low"][several], 100 * own["high"][several], color=color, linewidth=1.4, gid="interval")
        axes.plot(at, 100 * own["difference"], color=color, marker=marker, markersize=5, linewidth=1.2, label=model)
    axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    axes.grid(axis="y", color=FAINT)


def draw_peeking(curves: dict[str, Sequence[Float[np.ndarray, "point column"]]], *, model: str, title: str = "") -> Picture:
    """Draw the test balanced accuracy of a model during training, one line per run.

    The best look of each run has a filled marker, the last weights have a hollow one.

    Args:
        curves: profile → one curve per run, from `test_set_peeking.curves`.
        model: name of the model, which sets the color.
        title: title above all panels.
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
            axes.set_ylabel("test\nbalanced accuracy")
            axes.grid(axis="y")
        grid[-1].set_xlabel("training images seen")
        grid[-1].xaxis.set_major_locator(MaxNLocator(5))
        grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        add_legend(figure, named_artists(grid[0]))
    return figure


def _put_peek(axes: Axes, curve: np.ndarray, color: str, marker: str) -> None:
    best, seen, scores = int(curve[:, TEST].argmax()), curve[:, 0], curve[:, TEST]
    axes.plot(seen, scores, color=color, linewidth=0.7, alpha=0.5)
    style: dict[str, Any] = {"color": color, "marker": marker, "markersize": 6, "linewidth": 0, "zorder": 3}
    axes.plot([seen[best]], [scores[best]], label="best look", gid="best", **style)
    axes.plot([seen[-1]], [scores[-1]], label="last weights", gid="last", markerfacecolor="white", **style)


def _floor(runs: Sequence[np.ndarray]) -> float:
    """Return the lower end of the axis: it cuts off the steep start of training, so that the looks are easy to compare."""
    late = np.concatenate([curve[len(curve) // 4 :, TEST] for curve in runs])
    return float(late.min() - 0.02)

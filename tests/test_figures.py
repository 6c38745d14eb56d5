"""Figures show the numbers of their tables: the tests read artists back and compare them with the numbers."""

import io
import warnings
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from imagestudy import figures, stats
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec, RunSpec, TrainingSpec
from imagestudy.experiments.records import Record
from imagestudy.figures import style
from imagestudy.figures.style import palette
from imagestudy.models import models, views
from imagestudy.stats import Judged

NAMES = ("mlp", "resnet", "bilstm", "vit", "crnn", "svm")
FAMILIES = ("ann", "cnn", "rnn", "transformer", "hybrid", "classical")
SCORES = pd.DataFrame(
    {
        "model": NAMES,
        "family": FAMILIES,
        "estimate": [0.95, 0.99, 0.96, 0.97, 0.985, 0.982],
        "low": [0.94, 0.985, 0.95, 0.96, 0.98, 0.975],
        "high": [0.96, 0.995, 0.97, 0.98, 0.99, 0.989],
        "seconds": [3.0, 9.0, 20.0, 21.0, 19.0, 0.1],
        "head": [0.99] * 6,
        "middle": [0.9, 0.95, 0.9, 0.92, 0.9, 0.91],
        "tail": [0.4, 0.6, 0.5, 0.5, 0.55, 0.45],
        "ratio": [50.0] * 6,
    }
)
NEAR_BEST = [False, True, False, False, True, True]
DIFFERENCES = pd.DataFrame(
    {
        "model": NAMES[:4],
        "remedy": ["focal"] * 4,
        "difference": [0.03, -0.04, 0.001, 0.005],
        "low": [0.02, -0.06, -0.004, -0.02],
        "high": [0.04, -0.02, 0.006, 0.03],
        "verdict": ["higher", "lower", "equivalent", "undecided"],
    }
)
RECALLS = pd.DataFrame(
    [
        {"model": model, "remedy": "none", "seed": seed, "class": c, "count": count, "recall": 0.9 - 0.1 * c - 0.02 * seed}
        for model in ("mlp", "vit")
        for seed in range(3)
        for c, count in enumerate((100, 20, 4))
    ]
)
GREY = np.arange(10 * 8 * 8, dtype=np.int64).reshape(10, 8, 8, 1).astype(np.uint8)
LABELS = np.arange(10, dtype=np.int64)
COLOR = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), dtype=np.uint8)


def judged(estimate: float, low: float, high: float, verdict: str) -> Judged:
    interval = stats.Interval(estimate, low, high, 0.95, 10, 500)
    return Judged(interval, verdict, 1, 0.5, 0.5, stats.Needed(None, None))


def finding(claim: str, verdict: str, *parts: tuple[str, Judged]) -> SimpleNamespace:
    return SimpleNamespace(claim=claim, says=f"What {claim} says", verdict=verdict, judged=parts)


FINDINGS = [
    finding("A1", "supported", ("mlp − svm", judged(0.02, 0.015, 0.025, "higher"))),
    finding("A2", "undecided", ("first", judged(0.01, -0.02, 0.04, "undecided")), ("second", judged(0.4, 0.3, 0.5, "higher"))),
    finding("A13", "contradicted"),
]


def record(model: str, seed: int) -> Record:
    points = np.linspace(64, 1280, 5)
    curve = np.stack([points, 2.3 - points / 1000 + 0.1 * seed, points / 2000, points / 1500 + 0.01 * seed], axis=1)
    spec = RunSpec(dataset=Choice(name="digits"), training=TrainingSpec(images_seen=1280), model=ModelSpec(name=model), seed=seed)
    return Record(spec, {}, {}, {}, {}, {"curve": curve.astype(np.float32)})


CURVES = {"plain": [record("mlp", 0), record("mlp", 1)], "deep": [record("resnet", 0), record("resnet", 1)]}

BELIEVED = pd.DataFrame(
    [
        {"remedy": remedy, "stage": stage, "seed": seed, "bin": 5 * number, "confidence": sure, "right": sure - off, "share": share}
        for remedy, off in (("none", 0.1), ("balanced softmax", 0.05))
        for stage in ("as it comes", "prior put right", "and tempered")
        for seed in (-1, 0, 1)
        for number, (sure, share) in enumerate(((0.3, 0.1), (0.6, 0.2), (0.95, 0.7)))
    ]
)
STAGED = pd.DataFrame(
    [
        {"remedy": remedy, "stage": stage, "ece": ece}
        for remedy, scores in (("none", (0.12, 0.05, 0.04)), ("mixup, deferred re-weighting", (0.05, 0.06, 0.08)))
        for stage, ece in zip(("as it comes", "prior put right", "and tempered"), scores, strict=True)
    ]
)
PLACES = ("uniform", "as in training", "mostly one class")
STANDINGS = pd.DataFrame(
    [
        {"remedy": remedy, "place": place, "standing": standing}
        for remedy, standings in {
            "under-sampling": ("lower", "lower", "lower"),
            "none": ("lower", "chosen", "alike"),
            "balanced softmax": ("chosen", "alike", "chosen"),
        }.items()
        for place, standing in zip(PLACES, standings, strict=True)
    ]
)
SHARES = {"uniform": np.full(4, 0.25), "reversed": np.array([0.1, 0.2, 0.3, 0.4])}

SOURCES = pd.DataFrame(
    [
        {
            "model": model,
            "family": family,
            "source": source,
            "points": points,
            "low": 0.6 * points,
            "high": 1.8 * points,
            "endless": less,
        }
        for model, family in (("mlp", "ann"), ("vit", "transformer"))
        for source, points, less in (("subset draw", 2.0, 1.6), ("restart", 0.5, 0.0), ("test set", 1.1, np.nan))
    ]
)
DECIDED = pd.DataFrame(
    [{"runs": n, "images": images, "share": min(1.0, 0.05 * n * images / 500)} for images in (500, 2000) for n in (2, 5, 10, 20)]
)
PICKED = pd.DataFrame(
    [
        {
            "model": model,
            "family": family,
            "profile": profile,
            "picked": picked,
            "looks": looks,
            "runs": 5,
            "difference": 0.002 * looks,
            "low": 0.001 * looks,
            "high": 0.003 * looks,
        }
        for model, family in (("mlp", "ann"), ("vit", "transformer"))
        for profile in ("balanced", "exponential 50")
        for picked in ("test", "validation")
        for looks in (1, 5, 10)
    ]
)
PEEKS = {
    f"mlp, {profile}": [np.stack([np.arange(64.0, 1344, 64), *np.zeros((3, 20)), 0.9 - (np.arange(20) - best) ** 2 / 1e3], 1)
                        for best in (12, 15)]
    for profile in ("balanced", "exponential 50")
}  # fmt: skip

EVERY: dict[str, Callable[[], Figure]] = {
    "images": lambda: figures.show_images(GREY, LABELS, classes=[str(c) for c in LABELS]),
    "color images": lambda: figures.show_images(COLOR, columns=2, title="Color"),
    "steps": lambda: figures.show_steps(GREY[:4], {"noisy": GREY[4:8], "median": GREY[:4]}),
    "errors": lambda: figures.show_errors(
        GREY, LABELS, LABELS[::-1].copy(), np.full((10, 10), 0.1), classes=[str(c) for c in LABELS]
    ),
    "no errors": lambda: figures.show_errors(GREY, LABELS, LABELS, np.full((10, 10), 0.1), classes=[str(c) for c in LABELS]),
    "counts": lambda: figures.draw_counts({"balanced": np.full(10, 95), "step": np.array([95] * 5 + [2] * 5), "other": LABELS + 1}),
    "counts by name": lambda: figures.draw_counts({"folder": np.array([1200, 3])}, classes=["cats and dogs", "owls"]),
    **{f"view {view}": lambda view=view: figures.draw_view(GREY[3], view) for view in ("vector", "grid", "rows", "patches")},
    "views": lambda: figures.draw_views(COLOR[0], title="An image"),
    "curves": lambda: figures.draw_curves(CURVES, title="Training"),
    "confusion": lambda: figures.draw_confusion(np.array([[9, 1], [0, 10]]), ["a", "b"]),
    "recall": lambda: figures.draw_recall(RECALLS, classes=["cat", "dog", "owl"]),
    "intervals": lambda: figures.draw_intervals(SCORES, NEAR_BEST, title="Scores"),
    "intervals in panels": lambda: figures.draw_intervals(SCORES, group="family"),
    "intervals from": lambda: figures.draw_intervals(SCORES, start=0.97),
    "differences": lambda: figures.draw_differences(DIFFERENCES, margin=0.01, baseline="svm"),
    "gains": lambda: figures.draw_gains(DIFFERENCES),
    "groups": lambda: figures.draw_groups(SCORES, label="model"),
    "pareto": lambda: figures.draw_pareto(SCORES),
    "by count": lambda: figures.draw_by_count(RECALLS, by="model"),
    "distance": lambda: figures.draw_distance(pd.concat([SCORES.assign(distance=6), SCORES.assign(distance=24)])),
    "ratio": lambda: figures.draw_ratio(pd.concat([SCORES, SCORES.assign(ratio=10.0)]), by="model"),
    "reliability": lambda: figures.draw_reliability(BELIEVED, title="Believed"),
    "stages": lambda: figures.draw_stages(STAGED, score="ece", name="ECE"),
    "winners": lambda: figures.draw_winners({"as they come": STANDINGS, "re-priored": STANDINGS}, title="Winners"),
    "shares": lambda: figures.draw_shares(SHARES),
    "verdicts": lambda: figures.draw_verdicts(FINDINGS, margin=0.01),
    "sources": lambda: figures.draw_variance_components(SOURCES, title="Sources"),
    "decided": lambda: figures.draw_power(DECIDED, recorded=5),
    "optimism": lambda: figures.draw_peeking_gain(PICKED[PICKED["looks"] == 10], margin=0.01),
    "looks": lambda: figures.draw_gain_by_looks(PICKED),
    "peeks": lambda: figures.draw_peeking(PEEKS, model="mlp"),
}
PICTURES = (
    "images",
    "color images",
    "steps",
    "errors",
    "no errors",
    "views",
    *(name for name in EVERY if name.startswith("view ")),
)


@cache
def draw(name: str) -> Figure:
    return EVERY[name]()


@pytest.fixture(params=EVERY)
def drawn(request: pytest.FixtureRequest) -> tuple[str, Figure]:
    return request.param, draw(request.param)


def test_every_figure_is_closed_and_leaves_settings_alone(drawn: tuple[str, Figure]) -> None:
    assert isinstance(drawn[1], Figure)
    assert plt.get_fignums() == []
    assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]


def test_every_figure_is_a_png_of_its_size_on_white(drawn: tuple[str, Figure]) -> None:
    _, figure = drawn
    data, shown = figure._repr_png_()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = figure.get_size_inches()
    assert image.size == pytest.approx((width * 144, height * 144), abs=1)
    assert (shown["width"], shown["height"]) == (round(width * 96), round(height * 96))
    assert image.getpixel((0, image.height - 1)) == (255, 255, 255)


def test_every_figure_is_as_wide_as_the_others(drawn: tuple[str, Figure]) -> None:
    assert drawn[1].get_size_inches()[0] == pytest.approx(figures.style.WIDTH)


def test_every_plot_names_its_axes_once(drawn: tuple[str, Figure]) -> None:
    name, figure = drawn
    if name in PICTURES or name == "gains":
        return
    across = [a.get_xlabel() for a in figure.axes if a.get_xlabel()] or [figure.get_supxlabel()]
    assert len(across) == 1
    assert across[0]


def test_no_text_is_small_or_read_as_a_formula(drawn: tuple[str, Figure]) -> None:
    texts = [text for text in drawn[1].findobj(mpl.text.Text) if text.get_text()]
    assert min((text.get_fontsize() for text in texts), default=9) >= 7.5
    assert not any(text.get_parse_math() for text in texts)


def tick_labels(axes: Axes) -> list[mpl.text.Text]:
    low, high = sorted(axes.get_ylim())
    return [tick.label1 for tick in axes.yaxis.get_major_ticks() if low <= tick.get_loc() <= high]


def test_texts_of_labels_do_not_overlap(drawn: tuple[str, Figure]) -> None:
    """Compares tick labels, titles and axis labels of all panels; texts inside axes have their own tests."""
    name, figure = drawn
    figure.draw_without_rendering()
    texts = [t for axes in figure.axes if axes.get_visible() for t in (*tick_labels(axes), axes.title, axes._left_title)]
    texts += [axes.xaxis.label for axes in figure.axes] + list(figure.texts)
    boxes = [(t.get_text(), t.get_window_extent().shrunk(0.9, 0.9)) for t in texts if t.get_text() and t.get_visible()]
    overlapping = [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[i + 1 :] if one.overlaps(other)]
    assert not overlapping, name


def lines(axes: Axes, gid: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_gid() == gid]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def names(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def test_each_interval_is_drawn_at_its_numbers_the_highest_first() -> None:
    (axes,) = figures.draw_intervals(SCORES, NEAR_BEST).axes
    expected = SCORES.sort_values("estimate", ascending=False)
    assert names(axes) == list(expected["model"])
    assert [tuple(line.get_xdata()) for line in lines(axes, "interval")] == list(
        zip(expected["low"], expected["high"], strict=True)
    )
    assert [line.get_xdata()[0] for line in lines(axes, "estimate")] == list(expected["estimate"])
    assert [line.get_ydata()[0] for line in lines(axes, "estimate")] == list(range(6))
    assert texts(axes) == [f"{value:.3f}" for value in expected["estimate"]]


def test_a_line_is_bold_and_filled_exactly_if_it_is_near_the_best() -> None:
    (axes,) = figures.draw_intervals(SCORES, NEAR_BEST, sort=False).axes
    assert [text.get_fontweight() == "bold" for text in axes.get_yticklabels()] == NEAR_BEST
    assert [text.get_fontweight() == "bold" for text in axes.texts] == NEAR_BEST
    assert [line.get_markerfacecolor() != "white" for line in lines(axes, "estimate")] == NEAR_BEST


def test_nothing_is_bold_without_information_about_the_best() -> None:
    (axes,) = figures.draw_intervals(SCORES).axes
    assert {text.get_fontweight() for text in (*axes.texts, *axes.get_yticklabels())} == {"normal"}


def test_families_keep_their_color_and_marker_in_every_figure() -> None:
    (axes,) = figures.draw_intervals(SCORES, sort=False).axes
    for line, family in zip(lines(axes, "estimate"), FAMILIES, strict=True):
        assert to_hex(line.get_color()).upper() == figures.FAMILY_COLORS[family]
    assert len(set(figures.FAMILY_COLORS.values())) == len({marker for _, marker in palette(FAMILIES).values()}) == 6
    assert set(figures.FAMILY_COLORS) == {models.entry(name).facts["family"] for name in models.names()}


def test_lines_below_the_start_are_arrows_with_their_number() -> None:
    (axes,) = figures.draw_intervals(SCORES, start=0.97).axes
    assert axes.get_xlim()[0] == 0.97
    assert len(lines(axes, "estimate")) == (SCORES["estimate"] >= 0.97).sum() == 4
    assert len(texts(axes)) == 6


def test_an_interval_of_a_single_run_is_a_dotted_line_over_the_whole_axis() -> None:
    endless = SCORES.copy()
    endless.loc[0, ["low", "high"]] = [-np.inf, np.inf]
    (axes,) = figures.draw_intervals(endless, sort=False).axes
    assert lines(axes, "interval")[0].get_linestyle() == ":"
    assert list(lines(axes, "interval")[0].get_xdata()) == [0, 1]
    assert np.isfinite(axes.get_xlim()).all()
    assert [text for axes in figures.draw_pareto(endless).axes for text in texts(axes)] == list(NAMES)


def test_panels_hold_the_rows_of_their_group() -> None:
    frame = SCORES.assign(noise=["clean", "noisy"] * 3)
    upper, lower = figures.draw_intervals(frame, group="noise", sort=False).axes
    assert (upper.get_title(loc="left"), lower.get_title(loc="left")) == ("clean", "noisy")
    assert names(upper) == list(NAMES[::2])
    assert names(lower) == list(NAMES[1::2])


def test_differences_are_drawn_in_points_with_the_color_and_word_of_their_verdict() -> None:
    (axes,) = figures.draw_differences(DIFFERENCES, margin=0.01).axes
    for line, row in zip(lines(axes, "interval"), DIFFERENCES.itertuples(), strict=True):
        assert list(line.get_xdata()) == [100 * row.low, 100 * row.high]
        assert line.get_color() == figures.VERDICT_COLORS[row.verdict]
    assert texts(axes) == list(DIFFERENCES["verdict"])
    (band,) = [patch for patch in axes.patches if patch.get_gid() == "margin"]
    assert (band.get_x(), band.get_width()) == (-1.0, 2.0)


def test_an_estimate_beyond_the_reach_is_an_arrow_with_its_number() -> None:
    far = pd.concat([DIFFERENCES, DIFFERENCES.iloc[:1].assign(difference=-0.88, low=-0.9, high=-0.86, verdict="lower")])
    (axes,) = figures.draw_differences(far, margin=0.01, reach=0.1).axes
    assert axes.get_xlim() == (-10.0, 10.0)
    (arrow,) = lines(axes, "arrow")
    assert (arrow.get_marker(), list(arrow.get_xdata()), list(arrow.get_ydata())) == ("<", [-10.0], [4])
    assert "−88.0" in texts(axes)


def test_a_difference_with_infinite_bounds_can_be_drawn() -> None:
    endless = DIFFERENCES.copy()
    endless.loc[3, ["low", "high"]] = [-np.inf, np.inf]
    (axes,) = figures.draw_differences(endless, margin=0.01).axes
    assert lines(axes, "interval")[3].get_linestyle() == ":"
    assert {line.get_marker() for line in lines(axes, "arrow")} == {"<", ">"}


def test_the_heat_map_writes_the_numbers_and_marks_undecided_gains() -> None:
    frame = pd.concat([DIFFERENCES, DIFFERENCES.iloc[:2].assign(remedy="class weights", difference=[0.0, -0.001])])
    (axes,) = figures.draw_gains(frame).axes
    written = {
        (int(text.get_position()[0]), int(text.get_position()[1])): (text.get_text(), text.get_fontweight()) for text in axes.texts
    }
    assert written == {
        (0, 0): ("+3.0", "bold"),
        (1, 0): ("−4.0", "bold"),
        (2, 0): ("+0.1 =", "normal"),
        (3, 0): ("+0.5 ?", "normal"),
        (0, 1): ("+0.0", "bold"),
        (1, 1): ("−0.1", "bold"),
    }
    (mesh,) = axes.collections
    assert mesh.get_array().filled(np.nan)[1, :2].tolist() == pytest.approx([0.0, -0.1])
    assert mesh.get_array().mask.tolist() == [[False] * 4, [False, False, True, True]]
    assert mesh.get_alpha()[0].tolist() == [1.0, 1.0, 1.0, 0.25]


def test_head_middle_and_tail_are_drawn_at_their_numbers() -> None:
    (axes,) = figures.draw_groups(SCORES, label="model").axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert drawn == {group: list(SCORES[group]) for group in ("head", "middle", "tail")}


def test_groups_without_a_middle_have_no_marker_for_it() -> None:
    (axes,) = figures.draw_groups(SCORES.drop(columns="middle"), label="model").axes
    assert [line.get_label() for line in axes.lines] == ["head", "tail"]


def test_the_frontier_is_the_points_that_beat_all_cheaper_ones() -> None:
    (axes,) = figures.draw_pareto(SCORES).axes
    (frontier,) = lines(axes, "frontier")
    assert list(frontier.get_xdata()) == [0.1, 9.0]
    assert list(frontier.get_ydata()) == [0.982, 0.99]


@pytest.mark.parametrize("seed", range(5))
def test_names_of_points_overlap_neither_one_another_nor_a_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.concat([SCORES, SCORES.assign(model=[f"other_{n}" for n in NAMES])], ignore_index=True)
    frame["seconds"], frame["estimate"] = rng.uniform(1, 30, 12), rng.uniform(0.95, 0.99, 12)
    frame = frame.assign(low=frame["estimate"] - 0.01, high=frame["estimate"] + 0.01)
    figure = figures.draw_pareto(frame)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [mpl.text.Text.get_window_extent(text) for text in axes.texts]
    points = axes.transData.transform(frame[["seconds", "estimate"]].to_numpy())
    assert texts(axes) == list(frame["model"])
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_points_below_the_start_are_left_out_and_listed() -> None:
    (axes,) = figures.draw_pareto(SCORES, start=0.96).axes
    assert "mlp" not in texts(axes)
    assert axes.get_xlabel().endswith("below the axis: mlp")


def test_mean_recalls_are_drawn_at_the_class_counts() -> None:
    (axes,) = figures.draw_by_count(RECALLS, by="model").axes
    for line, model in zip(axes.lines, ("mlp", "vit"), strict=True):
        assert to_hex(line.get_color()) == to_hex(palette(("mlp", "vit"))[model][0])
        assert list(line.get_xdata()) == [4, 20, 100]
        assert list(line.get_ydata()) == pytest.approx([0.68, 0.78, 0.88])
    (dots,) = axes.collections
    assert len(dots.get_offsets()) == len(RECALLS)


def test_recall_shows_every_run_the_mean_and_the_training_images() -> None:
    (axes,) = figures.draw_recall(RECALLS[RECALLS["model"] == "mlp"], classes=["cat", "dog", "owl"]).axes
    (mean,) = axes.lines
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 9
    assert list(mean.get_ydata()) == pytest.approx([0.88, 0.78, 0.68])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cat\n100", "dog\n20", "owl\n4"]


def test_curves_are_all_runs_and_their_mean_in_both_panels() -> None:
    upper, lower = figures.draw_curves(CURVES).axes
    curves = [run.arrays["curve"] for run in CURVES["plain"]]
    for axes, column in ((upper, 1), (lower, 3)):
        first, second, mean = axes.lines[:3]
        assert np.array_equal(first.get_ydata(), curves[0][:, column])
        assert np.array_equal(second.get_ydata(), curves[1][:, column])
        assert mean.get_ydata() == pytest.approx((curves[0] + curves[1])[:, column] / 2)
        assert mean.get_color() == figures.FAMILY_COLORS["ann"]
        assert axes.lines[5].get_color() == figures.FAMILY_COLORS["cnn"]


def test_curves_of_one_family_have_different_colors() -> None:
    upper, _ = figures.draw_curves({"a": [record("mlp", 0)], "b": [record("mlp", 1)]}).axes
    assert len({line.get_color() for line in upper.lines}) == 2


def test_a_cell_without_curves_is_left_out() -> None:
    bare = Record(record("mlp", 0).spec, {}, {}, {}, {})
    upper, _ = figures.draw_curves({"bare": [bare], "plain": CURVES["plain"]}).axes
    assert [line.get_label() for line in upper.lines if not line.get_label().startswith("_")] == ["plain"]


def test_the_confusion_matrix_writes_its_numbers_but_not_zero() -> None:
    matrix = np.array([[8, 2, 0], [0, 10, 0], [1, 0, 9]])
    (axes,) = figures.draw_confusion(matrix, ["a", "b", "c"]).axes
    written = {tuple(np.array(text.get_position()[::-1], dtype=int)): text for text in axes.texts if text.get_text()}
    assert {place: int(text.get_text()) for place, text in written.items()} == {p: n for p, n in np.ndenumerate(matrix) if n}
    assert [written[place].get_color() for place in ((0, 0), (0, 1))] == ["white", style.INK]
    assert axes.collections[0].get_array().sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_distance_has_the_line_of_chance_and_an_interval_for_each_point() -> None:
    frame = pd.concat([SCORES.assign(distance=6), SCORES.assign(distance=24)])
    (axes,) = figures.draw_distance(frame, chance=0.25).axes
    (chance,) = lines(axes, "chance")
    assert set(chance.get_ydata()) == {0.25}
    drawn = [tuple(segment[:, 1]) for bars in axes.collections for segment in bars.get_segments()]
    assert sorted(drawn) == sorted(zip(frame["low"], frame["high"], strict=True))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["6", "24"]


def test_a_single_run_has_a_point_and_is_labeled_as_one_run() -> None:
    alone = SCORES.iloc[[0]].assign(low=0.0, high=1.0)
    (axes,) = figures.draw_distance(pd.concat([alone.assign(distance=6), alone.assign(distance=24)])).axes
    assert [segment for bars in axes.collections for segment in bars.get_segments()] == []
    assert f"{alone['model'].iloc[0]} (one run)" in [line.get_label() for line in axes.lines]


def test_reliability_shows_accuracy_against_confidence_and_the_share_of_images_below() -> None:
    figure = figures.draw_reliability(BELIEVED)
    upper, lower = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title(loc="left") for axes in upper] == ["as it comes", "prior put right", "and tempered"]
    for above, below in zip(upper, lower, strict=True):
        (diagonal,) = lines(above, "right of all")
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
        first, second = lines(above, "right")
        assert (first.get_label(), second.get_label()) == ("plain training", "balanced softmax")
        assert list(first.get_xdata()) == [0.3, 0.6, 0.95]
        assert list(first.get_ydata()) == pytest.approx([0.2, 0.5, 0.85])
        assert list(lines(below, "share")[1].get_ydata()) == [0.1, 0.2, 0.7]
        assert len(lines(above, "run")) == 4
        assert {line.get_color() for line in lines(above, "run")} == {first.get_color(), second.get_color()}


def test_each_stage_of_a_remedy_has_a_marker() -> None:
    (axes,) = figures.draw_stages(STAGED, score="ece", name="ECE").axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert drawn == {"as it comes": [0.12, 0.05], "prior put right": [0.05, 0.06], "and tempered": [0.04, 0.08]}
    assert names(axes) == ["plain training", "mixup, deferred re-weighting"]


def test_standings_have_markers_and_the_remedies_least_often_lower_are_on_top() -> None:
    one, other = figures.draw_winners({"a": STANDINGS, "b": STANDINGS.assign(standing="alike")}).axes
    order = ["balanced softmax", "none", "under-sampling"]
    assert names(one) == ["balanced softmax", "plain training", "under-sampling"]
    assert [text.get_text() for text in one.get_xticklabels()] == list(PLACES)
    for row in STANDINGS.to_dict("records"):
        place = (PLACES.index(row["place"]), order.index(row["remedy"]))
        assert place in {(line.get_xdata()[0], line.get_ydata()[0]) for line in lines(one, row["standing"])}
    assert len(lines(one, "chosen")) == 3
    assert len(lines(other, "alike")) == 9


def test_shares_are_lines_over_ranks() -> None:
    (axes,) = figures.draw_shares(SHARES).axes
    assert {line.get_label(): list(line.get_ydata()) for line in axes.lines} == {k: list(v) for k, v in SHARES.items()}
    assert list(axes.lines[0].get_xdata()) == [1, 2, 3, 4]


def test_every_finding_has_its_verdict_and_every_comparison_its_interval() -> None:
    (axes,) = figures.draw_verdicts(FINDINGS, margin=0.01).axes
    said = {text.get_text(): text.get_color() for text in axes.texts}
    for one in FINDINGS:
        assert said[one.verdict] == figures.VERDICT_COLORS[one.verdict]
        assert any(text.startswith(f"{one.claim}  {one.says}") for text in said)
    intervals = [(list(line.get_xdata()), line.get_color()) for line in lines(axes, "interval")]
    assert intervals == [([1.5, 2.5], figures.VERDICT_COLORS["higher"]), ([-2.0, 4.0], figures.VERDICT_COLORS["undecided"])]
    assert {"decided by architecture alone", "+40.0"} <= set(said)
    assert axes.get_xlim() == (-15.0, 15.0)


def test_a_finding_without_a_comparison_can_be_drawn() -> None:
    (axes,) = figures.draw_verdicts(FINDINGS[2:], margin=0.01).axes
    assert texts(axes)[1:] == ["contradicted", "decided by architecture alone"]


def test_pixels_are_unsmoothed_and_over_the_whole_range() -> None:
    figure = figures.show_images(GREY[:3], columns=3)
    for axes, image in zip(figure.axes, GREY, strict=False):
        (drawn,) = axes.images
        assert np.array_equal(drawn.get_array(), image[..., 0])
        assert (drawn.get_interpolation(), drawn.get_clim()) == ("nearest", (0, 255))


def test_steps_are_rows_with_the_original_first() -> None:
    figure = figures.show_steps(GREY[:2], {"median": GREY[2:4]}, first="before")
    assert [axes.get_ylabel() for axes in figure.axes] == ["before", "", "median", ""]
    assert [int(axes.images[0].get_array()[0, 0]) for axes in figure.axes] == [int(image[0, 0, 0]) for image in GREY[:4]]


def test_errors_are_the_misclassified_images_most_confident_first() -> None:
    predicted = np.array([0, 1, 5, 5, 4, 5, 6, 7, 8, 0], dtype=np.int64)
    probabilities = np.full((10, 10), 0.05)
    probabilities[2, 5], probabilities[3, 5], probabilities[9, 0] = 0.4, 0.9, 0.6
    figure = figures.show_errors(GREY, LABELS, predicted, probabilities, classes=[f"c{c}" for c in LABELS], count=2)
    assert [axes.get_title(loc="center") for axes in figure.axes] == ["c3\npred. c5\n90 % sure", "c9\npred. c0\n60 % sure"]


def test_a_model_without_errors_gets_a_sentence() -> None:
    assert "The model classifies all 10 images correctly." in texts(EVERY["no errors"]().axes[0])


def test_bars_are_the_counts() -> None:
    figure = figures.draw_counts({"step": np.array([95, 95, 2])})
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [95, 95, 2]
    assert texts(axes) == ["95", "95", "2"]


@pytest.mark.parametrize("image", [GREY[3], COLOR[0]], ids=["8×8 grey", "9×7 color"])
def test_views_cut_the_image_as_the_models_do(image: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    height, width, channels = image.shape
    strip = figures.draw_view(image, "vector").axes[1].images[0].get_array()
    assert np.array_equal(strip.ravel(), views.vector(batch)[0].numpy())
    band, tall, wide = views.band(height), views.reduction(height), views.reduction(width)
    steps = [as_pixels(drawn, channels) for drawn in figures.draw_view(image, "rows").axes[1].images]
    assert np.array_equal(steps, views.rows(batch, height=band)[0].numpy())
    patches = [as_pixels(drawn, channels) for drawn in figures.draw_view(image, "patches").axes[1].images]
    assert np.array_equal(patches, views.patches(batch, height=tall, width=wide)[0].flatten(0, 1).numpy())


def as_pixels(drawn: mpl.image.AxesImage, channels: int) -> np.ndarray:
    pixels = np.asarray(drawn.get_array())
    return pixels.ravel() if channels == 1 else pixels.transpose(2, 0, 1).ravel()


def test_an_unknown_view_is_refused_and_the_allowed_ones_are_listed() -> None:
    with pytest.raises(InputError, match="patches"):
        figures.draw_view(GREY[0], "spiral")


def test_names_with_formula_characters_and_of_any_length_are_drawn() -> None:
    evil = ["$x_1$", r"a_{b}^$", r"\frac", "<script>", "a name that is longer than any picture is wide", "ok"]
    figures.draw_intervals(SCORES.assign(model=evil))._repr_png_()
    figures.draw_pareto(SCORES.assign(model=evil))._repr_png_()
    figures.draw_confusion(np.eye(6), evil)._repr_png_()
    figure = figures.show_images(GREY[:6], LABELS[:6], classes=evil, columns=6, title="$a$ $b_")
    assert figure.axes[0].get_title(loc="center") == "$x_1$"
    assert figure.axes[4].get_title(loc="center").endswith("…")


def test_the_same_table_gives_the_same_picture() -> None:
    assert figures.draw_pareto(SCORES)._repr_png_() == figures.draw_pareto(SCORES)._repr_png_()


def heights_and_places(axes: Axes, gid: str) -> list[tuple[float, float]]:
    """Line number and horizontal position of each marker."""
    return [(round(float(line.get_ydata()[0])), float(line.get_xdata()[0])) for line in lines(axes, gid)]


def test_each_source_has_its_estimate_and_its_cross_on_its_own_line() -> None:
    (axes,) = draw("sources").axes
    assert names(axes) == ["subset draw", "restart", "test set"]
    assert sorted(heights_and_places(axes, "estimate")) == sorted([(0, 2.0), (1, 0.5), (2, 1.1)] * 2)
    assert sorted(heights_and_places(axes, "endless")) == sorted([(0, 1.6), (1, 0.0)] * 2)


def test_an_extreme_interval_ends_in_an_arrow() -> None:
    far = SOURCES.assign(high=SOURCES["high"].where(SOURCES["source"] != "subset draw", 27.0))
    (axes,) = figures.draw_variance_components(far).axes
    assert axes.get_xlim()[1] == pytest.approx(5.0)
    assert len(lines(axes, "arrow")) == 2
    assert not lines(draw("sources").axes[0], "arrow")


def test_decided_comparisons_are_one_line_per_test_set_with_the_recorded_runs_marked() -> None:
    (axes,) = draw("decided").axes
    drawn_lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert drawn_lines["500 test images"] == pytest.approx([0.1, 0.25, 0.5, 1.0])
    assert drawn_lines["2,000 test images"] == pytest.approx([0.4, 1.0, 1.0, 1.0])
    assert lines(axes, "recorded")[0].get_xdata()[0] == 5


def test_weights_picked_on_test_are_filled_and_those_picked_on_validation_hollow() -> None:
    for axes in draw("optimism").axes:
        found = lines(axes, "estimate")
        assert [float(line.get_xdata()[0]) for line in found] == pytest.approx([2.0] * 4)
        assert [to_hex(line.get_markerfacecolor()) == "#ffffff" for line in found] == [False, True] * 2
    assert [axes._left_title.get_text() for axes in draw("optimism").axes] == ["balanced", "exponential 50"]


def test_gains_by_looks_are_drawn_for_the_test_set_only() -> None:
    for axes in draw("looks").axes:
        assert [line.get_ydata().tolist() for line in axes.lines] == [pytest.approx([0.2, 1.0, 2.0])] * 2
    assert [text.get_text() for text in draw("looks").axes[-1].get_xticklabels()] == ["1", "5", "10"]


def test_the_best_and_the_last_look_of_each_run_are_marked() -> None:
    for axes in draw("peeks").axes:
        assert [line.get_xdata()[0] for line in lines(axes, "best")] == [13 * 64, 16 * 64]
        assert [line.get_ydata()[0] for line in lines(axes, "best")] == [0.9, 0.9]
        assert [line.get_xdata()[0] for line in lines(axes, "last")] == [1280, 1280]


def test_names_that_no_font_can_write_are_numbered_and_others_are_kept() -> None:
    names = ("cat", "\u65e5\u672c\u8a9e \u732b", "Gr\u00fc\u00dfe $x$", "\U0001fae0")
    written = figures.drawable(names)
    assert written[0::2] == names[0::2]
    assert set(written[1::2]) <= {"class 2", "class 4", *names}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.draw_confusion(np.eye(4), names)
        figures.draw_counts({"all": np.arange(1, 5)}, classes=names)


def test_a_name_is_numbered_exactly_if_one_of_its_letters_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "_letters", lambda: frozenset("abc"))
    assert figures.drawable(("ab", "ba d", "c a")) == ("ab", "class 2", "c a")


def test_plain_training_is_shown_by_its_name() -> None:
    frame = SCORES.assign(remedy=["none", "none, tuned", *NAMES[2:]])
    (axes,) = figures.draw_intervals(frame, label="remedy", sort=False).axes
    assert names(axes)[:3] == ["plain training", "plain training, tuned", "bilstm"]
    (axes,) = figures.draw_gains(DIFFERENCES.assign(remedy="none, tuned")).axes
    assert names(axes) == ["plain training, tuned"]
    recall = figures.draw_by_count(pd.concat([RECALLS, RECALLS.assign(remedy="focal")]), by="remedy")
    assert [text.get_text() for text in recall.legends[0].get_texts()] == ["plain training", "focal"]
    assert list(frame["remedy"])[:2] == ["none", "none, tuned"]
    classes = figures.draw_intervals(SCORES.assign(**{"class": "none"}), label="class").axes[0]
    assert set(names(classes)) == {"none"}

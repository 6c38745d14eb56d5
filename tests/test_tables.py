"""HTML tables depend on the data frame alone: bounds folded, numbers rounded, text escaped, identical on every call."""

import re

import numpy as np
import pandas as pd
import pytest

from imagestudy.core import text
from imagestudy.figures import tables

SCORES = pd.DataFrame(
    {
        "model": ["resnet", "vit", "majority"],
        "family": ["cnn", "transformer", "classical"],
        "estimate": [0.9123, 0.8, 0.1],
        "low": [0.9, 0.7, -np.inf],
        "high": [0.925, 0.8125, np.inf],
        "runs": [10, 10, 5],
        "images": [500, 500, 500],
        "ece": [0.0214, np.nan, 0.0],
        "seconds": [3.21, 4.0, 0.001],
    }
)
DIFFERENCES = pd.DataFrame(
    {
        "remedy": ["focal", "none"],
        "difference": [0.0123, -0.0349],
        "low": [-0.004, -0.05],
        "high": [0.02, -0.01],
        "verdict": ["undecided", "lower"],
        "runs": [10, 10],
        "images": [500, 500],
        "comparisons": [11, 11],
        "p": [0.0312, 0.00002],
        "P(A > B)": [0.75, 0.1],
    }
)


def rows(shown: object) -> list[list[str]]:
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown.data)]


def classes(shown: object) -> list[str]:
    return [re.sub('.* class="(.*)"|.*', r"\1", cell) for cell in re.findall(r"<t[hd]( [^>]*)>", shown.data)]


def test_an_estimate_and_its_bounds_are_one_column() -> None:
    assert rows(tables.show(SCORES, {"model": "model", "estimate": "accuracy"})) == [
        ["model", "accuracy"],
        ["resnet", "0.912 [0.900, 0.925]"],
        ["vit", "0.800 [0.700, 0.812]"],
        ["majority", "0.100 [−∞, ∞]"],
    ]


def test_differences_are_points_with_their_sign() -> None:
    shown = rows(tables.show(DIFFERENCES, ["difference", "p", "P(A > B)", "verdict"]))
    assert shown[1:] == [["+1.2 [−0.4, 2.0]", "0.031", "0.75", "undecided"], ["−3.5 [−5.0, −1.0]", "&lt; 0.001", "0.10", "lower"]]


def test_plain_training_is_shown_by_its_name() -> None:
    assert [row[0] for row in rows(tables.show(DIFFERENCES, ["remedy", "p"]))] == ["remedy", "focal", "plain training"]


def test_a_rounded_zero_has_no_sign() -> None:
    assert (text.signed(-0.04), text.signed(0.04), text.signed(0.05001)) == ("0.0", "0.0", "+0.1")


@pytest.mark.parametrize(("value", "said"), [(0.5, "0.50"), (0.0312, "0.031"), (0.0002, "< 0.001"), (np.nan, "–")])
def test_p_has_two_significant_digits(value: float, said: str) -> None:
    assert text.say_p(value) == said


def test_a_missing_number_is_a_dash() -> None:
    shown = tables.show(SCORES, {"ece": "ECE"}).data
    assert ">–<" in shown
    assert "nan" not in shown


def test_whole_numbers_are_grouped_and_booleans_are_words() -> None:
    frame = pd.DataFrame({"parameters": [39812], "images": [1000], "deep": [True], "note": [None]})
    assert rows(tables.show(frame))[1] == ["39,812", "1,000", "yes", ""]


def test_timings_appear_only_on_request() -> None:
    assert "seconds" not in tables.show(SCORES).data
    assert "3.21" in tables.show(SCORES, ["model", "seconds"]).data


def test_names_from_files_are_escaped_everywhere() -> None:
    evil = "<script>alert(1)</script>"
    shown = tables.show(pd.DataFrame({"class": [evil], evil: ["a & b"]}), caption=evil, bold=[True]).data
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 3
    assert "a &amp; b" in shown


def test_name_and_score_are_bold_exactly_as_requested() -> None:
    shown = rows(tables.show(SCORES, ["model", "family", "estimate"], bold=[True, False, True]))
    bold = [[cell.startswith("<b>") for cell in row] for row in shown[1:]]
    assert bold == [[True, False, True], [False, False, False], [True, False, True]]


def test_bold_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 entries for 3 rows"):
        tables.show(SCORES, bold=[True, False])


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="accuracy"):
        tables.show(SCORES, ["accuracy"])


def test_the_same_frame_gives_the_same_html_bit_for_bit() -> None:
    again = SCORES.copy().set_index(np.array([7, 3, 5]))
    assert tables.show(SCORES).data == tables.show(SCORES).data == tables.show(again).data


def test_the_caption_states_n_level_and_what_was_redrawn() -> None:
    assert "Confidence intervals at 95 %, n = 5–10 runs × 500 test images. Redrawn: " in tables.show(SCORES).data
    assert "Bold" not in tables.show(SCORES).data
    assert "Bold: statistically indistinguishable from the best." in tables.show(SCORES, bold=[True] * 3).data
    assert "Confidence intervals at 99.5 % (corrected for 11 comparisons), n = 10 runs" in tables.show(DIFFERENCES).data
    assert "<p" not in tables.show(SCORES, caption="").data
    assert "<p" not in tables.show(SCORES, ["model", "ece"]).data


def test_numbers_are_aligned_right_and_text_left() -> None:
    head = re.findall(r'<th style="text-align: (\w+)', tables.show(SCORES, ["model", "estimate", "runs"]).data)
    assert head == ["left", "right", "right"]


@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        (["score", "0.812 [0.798, 0.825]", "−0.1"], ["number", "number", "number"]),
        (["n", "10", ""], ["number", "number", ""]),
        (["verdict", "undecided", "Higher"], ["", "verdict undecided", "verdict higher"]),
        (["10", "none", " ".join(["x"] * 20)], ["", "", "long"]),
        (["higher", "", " \n"], ["", "", ""]),
    ],
)
def test_the_kind_of_a_cell_depends_on_its_text_and_that_of_a_header_on_its_column(column: list[str], kinds: list[str]) -> None:
    assert text.kinds_of_column(column) == kinds


@pytest.mark.parametrize("name", [*tables.FORMATS, "estimate", "difference", "ece", "images"])
def test_every_cell_of_a_column_of_numbers_has_the_class_number(name: str) -> None:
    numbers = [-12345.678, -1.0, 0.0, 2e-5, 0.5, 1e7, np.inf, np.nan]
    frame = pd.DataFrame({name: [int(abs(n)) for n in numbers[:6]] if name == "images" else numbers})
    for low, high in ((0.1, 2.0), (-np.inf, np.inf)):
        for shown in (tables.show(frame, [name]), tables.show(frame.assign(low=low, high=high), [name], bold=[True] * len(frame))):
            assert set(classes(shown)) == {"number"}


def test_text_has_no_class_number_and_a_verdict_has_its_own() -> None:
    evil = "<b>" * 9
    frame = pd.DataFrame({"class": [evil, "<i>", "cat"], "deep": [True, False, True], "verdict": ["higher", "undecided", "lower"]})
    shown = tables.show(frame, bold=[True, False, False])
    assert classes(shown) == ["", "", "", "long", "", "verdict higher", "", "", "verdict undecided", "", "", "verdict lower"]
    assert rows(shown)[1][0] == f"<b>{'&lt;b&gt;' * 9}</b>"


def test_an_empty_table_is_its_caption_alone() -> None:
    none = SCORES.iloc[:0]
    assert tables.show(none, ["model", "estimate"], caption="a < b").data == '<p class="caption">a &lt; b</p>\n'
    assert tables.show(none, caption="").data == tables.show(none).data == ""
    with pytest.raises(KeyError, match="not in the table"):
        tables.show(none, ["elsewhere"])

"""Findings in words: those asked for, each with its interval, and how many there are of each verdict."""

import numpy as np
import pytest

from imagestudy.analysis import comparisons as compare
from imagestudy.analysis.claims import CLAIMS, Finding, summary
from imagestudy.analysis.comparisons import Effect
from imagestudy.core.errors import InputError
from imagestudy.stats import Judged

LABELS = np.repeat(np.arange(4), 25)


def judged(share: float, *, comparisons: int = 3, spread: float = 0.0, runs: int = 5) -> Judged:
    """A difference of so large a share of images in every run, more or less by `spread`."""
    shares = share + spread * np.linspace(-1, 1, runs)
    values = np.stack([np.tile(np.arange(25) < round(25 * abs(one)), 4) * np.sign(one) for one in shares]).astype(float)
    return compare.judge(Effect(values, compare.weights_of(LABELS), LABELS), margin=0.01, comparisons=comparisons)


CLEAR, OPEN = judged(0.4), judged(0.08, spread=0.2)
FINDINGS = [
    Finding("A2", "CNNs lead", "undecided", "cnn − each", (("cnn − mlp", CLEAR), ("cnn − vit", OPEN))),
    Finding("A4", "A modern RNN is better", "supported", "rnn − elman", (("rnn − elman", CLEAR),), "Beside it."),
    Finding("A11 filter, clean", "To filter pays", "supported", "on − off", (("on − off", judged(0.4, comparisons=6)),)),
    Finding("A11 filter, noisy", "To filter pays", "contradicted", "on − off", (("on − off", judged(-0.4, comparisons=6)),)),
    Finding("A13", "The listings are a CNN", "contradicted", "the layers are Linear, ReLU"),
]


def test_the_examples_are_what_they_are_called() -> None:
    assert (CLEAR.verdict, OPEN.verdict) == ("higher", "undecided")


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        ([], ["A2", "A4", "A11 filter, clean", "A11 filter, noisy", "A13"]),
        (["A13", "A11"], ["A11 filter, clean", "A11 filter, noisy", "A13"]),
        (["A4"], ["A4"]),
    ],
)
def test_findings_are_chosen_by_number_and_keep_their_order(numbers: list[str], kept: list[str]) -> None:
    assert [finding.claim for finding in summary.choose(FINDINGS, numbers)] == kept


def test_a_claim_without_a_finding_is_refused() -> None:
    with pytest.raises(InputError, match="unknown claim 'A10' in parameter 'claims_shown'; allowed: A2, A4, A11, A13"):
        summary.choose(FINDINGS, ["A10"])


def test_numbers_are_checked_before_there_are_findings() -> None:
    summary.check(["A1", "A4", "A7", "A13"])
    with pytest.raises(InputError, match=r"unknown claim 'A12' .* allowed: A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A13"):
        summary.check(["A12"])


@pytest.mark.parametrize("points", [0.0, 1.0, -3.0, 101.0, float("nan")])
def test_an_axis_that_would_hide_the_margin_is_refused(points: float) -> None:
    with pytest.raises(InputError, match="in parameter 'reach'; allowed: above 1 and up to 100 points"):
        summary.reach(points, margin=0.01)


def test_an_axis_reaches_as_far_as_it_is_told() -> None:
    assert summary.reach(15.0, margin=0.01) == pytest.approx(0.15)


class TestExplain:
    def test_a_finding_is_told_with_its_verdict_interval_level_and_n(self) -> None:
        text = summary.explain(FINDINGS, "A4", asides=False)
        assert text == (
            f"* **A4** A modern RNN is better: **supported**. *rnn − elman:* {compare.say_points(CLEAR.interval)} at 98.3 %, "
            "n = 5 runs × 100 test images."
        )

    def test_an_aside_is_said_if_it_is_asked_for(self) -> None:
        assert summary.explain(FINDINGS, "A4", asides=True).endswith("test images. Beside it.")

    def test_what_is_open_says_what_would_decide_it_and_what_is_not_does_not(self) -> None:
        text = summary.explain(FINDINGS, "A2", asides=True)
        assert text.count("would decide it") == 1
        assert text.index("cnn − vit") < text.index("would decide it")

    def test_structure_alone_has_no_interval(self) -> None:
        assert summary.explain(FINDINGS, "A13", asides=True) == (
            "* **A13** The listings are a CNN: **contradicted**. *Decided by architecture alone:* the layers are Linear, ReLU."
        )

    def test_every_part_of_a_claim_is_told(self) -> None:
        assert summary.explain(FINDINGS, "A11", "A13", asides=True).count("\n* ") == 2

    def test_a_claim_that_is_left_out_is_named(self) -> None:
        assert summary.explain(FINDINGS, "A6", "A7", asides=True).startswith("Not shown: A6, A7.")


def test_strictness_is_told_once_for_each_group_of_claims() -> None:
    frame = summary.declared(FINDINGS)
    assert list(frame["claims"]) == ["A2", "A3–A5", "A11"]
    assert list(frame["comparisons"]) == [3, 3, 6]
    assert list(frame["level"]) == ["98.3 %", "98.3 %", "99.2 %"]


@pytest.mark.parametrize(("claim", "group"), [("A1", "A1"), ("A3", "A3–A5"), ("A8", "A6–A8"), ("A11 filter, noisy", "A11")])
def test_the_group_of_a_claim_is_that_of_the_claims(claim: str, group: str) -> None:
    assert group in CLAIMS
    assert summary.group_of(Finding(claim, "", "undecided", "")) == group


def test_only_comparisons_that_keep_a_claim_open_are_listed() -> None:
    frame = summary.undecided(FINDINGS)
    assert list(frame["comparison"]) == ["cnn − vit"]
    assert frame.loc[0, "points"].startswith("+")
    assert "more" in frame.loc[0, "would decide it"]


def test_nothing_open_is_an_empty_table_with_the_same_columns() -> None:
    assert list(summary.undecided(FINDINGS[1:]).columns) == list(summary.undecided(FINDINGS).columns)
    assert summary.undecided(FINDINGS[1:]).empty


def test_verdicts_are_counted_in_their_order() -> None:
    assert summary.count(FINDINGS) == (
        "5 findings on 4 of the article's claims:\n\n* **supported**: 2 (A4; A11 filter, clean)\n"
        "* **contradicted**: 2 (A11 filter, noisy; A13)\n* **undecided**: 1 (A2)"
    )
    assert summary.count(FINDINGS[1:2]).startswith("1 finding on 1 ")

"""The main findings in words, computed from the published tables of all studies."""

from collections.abc import Sequence

import pandas as pd

from imagestudy.core import paths
from imagestudy.core.text import plain, signed

FAMILIES = {"CNN": ("A3", "A6"), "RNN": ("A4", "A7"), "ANN": ("A5", "A8")}
"""Family → its claims on accuracy and on class imbalance."""


def published_studies() -> list[str]:
    """Return the names of the published studies, in alphabetical order."""
    return sorted(folder.name for folder in paths.published_results("").iterdir() if (folder / "tables").is_dir())


def _read(name: str) -> pd.DataFrame:
    """Return a table of all published studies that have it, with a column `study`."""
    files = {study: paths.published_results(study) / "tables" / f"{name}.csv" for study in published_studies()}
    return pd.concat([pd.read_csv(file).assign(study=study) for study, file in files.items() if file.is_file()], ignore_index=True)


def say_findings() -> list[str]:
    """Return five sentences on the article's claims and on the recommendations, as Markdown."""
    verdicts, panel = _read("verdicts").drop_duplicates(["study", "claim"]), _read("panel")
    accuracy, imbalance = ({claims[place]: family for family, claims in FAMILIES.items()} for place in (0, 1))
    return [
        f"Is the deciding CNN more accurate than the other deciding networks? {_say_verdicts(verdicts, {'A2': 'CNN'})}.",
        f"Is a modern network more accurate than the traditional one of its family? {_say_verdicts(verdicts, accuracy)}.",
        f"Does a modern network also lose less to class imbalance? {_say_verdicts(verdicts, imbalance)}.",
        f"What does a remedy add to plain training of the same model, in balanced accuracy? {_say_gains(_read('answer'))}.",
        f"How many other candidates are statistically indistinguishable from the recommended one? {_say_near(panel)}.",
    ]


def _say_verdicts(verdicts: pd.DataFrame, claims: dict[str, str]) -> str:
    """Return for each claim the studies by verdict: `CNN (A3): supported on digits, undecided on fashion_mnist`."""
    said = []
    for claim, family in claims.items():
        found = verdicts[verdicts["claim"] == claim]
        by_verdict = [f"{verdict} on {_join(group['study'])}" for verdict, group in found.groupby("claim verdict", sort=True)]
        said.append(f"{family} ({claim}): {', '.join(by_verdict)}")
    return "; ".join(said)


def _say_gains(answers: pd.DataFrame) -> str:
    """Return the gain of each study's recommendation over plain training, with its interval and verdict."""
    said = []
    for row in answers.sort_values("study").to_dict("records"):
        bounds = f"{plain(100 * row['gain_low'], digits=1)}, {plain(100 * row['gain_high'], digits=1)}"
        gain = f"{signed(100 * row['gain_estimate'])} points [{bounds}], {row['verdict']}"
        enough = "" if row["good_enough"] else " (none of the candidates is good enough)"
        said.append(f"`{row['study']}`, {row['model']} with {row['remedy']}: {gain}{enough}")
    return "; ".join(said)


def _say_near(panel: pd.DataFrame) -> str:
    said = []
    for study, rows in panel.groupby("study"):
        others = rows[~rows["recommended"].astype(bool)]
        said.append(f"{int(others['near'].astype(bool).sum())} of {len(others)} on `{study}`")
    return ", ".join(said)


def _join(studies: Sequence[str] | pd.Series) -> str:
    *first, last = (f"`{study}`" for study in studies)
    return f"{', '.join(first)} and {last}" if first else last

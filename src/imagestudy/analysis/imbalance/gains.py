"""Measure what plain training loses to imbalance, and what each remedy gains over plain training."""

import pandas as pd

from imagestudy.analysis import comparisons
from imagestudy.analysis.imbalance.selection import MEMBERS, PLAIN, Shown, pairs, remedies_of
from imagestudy.experiments import grids


def losses(shown: Shown) -> pd.DataFrame:
    """Compare plain training under each profile with plain training on as many balanced images.

    Returns:
        One row for each member and profile, with the columns of `comparisons.against`. The members under one profile are corrected
        together for multiple comparisons.
    """
    plan, frames = shown.plan, []
    for profile, balanced in pairs(plan, shown.profiles):
        for name in MEMBERS:
            ours, theirs = (shown.records.of(grids.cell(plan, name, profile=one)) for one in (profile, balanced))
            if len(ours) and len(theirs):
                frames.append(comparisons.against(ours, theirs, margin=plan.study.margin, comparisons=len(MEMBERS)))
    return joined(frames)


def gains(shown: Shown) -> pd.DataFrame:
    """Compare every remedy with plain training of the same model under the same profile.

    Returns:
        One row for each profile, model and remedy, with the columns of `comparisons.against`. A remedy that a model cannot use has
        no row. The remedies of a profile are corrected together for multiple comparisons, with the same number for every model. The
        remedies are sorted by their gain under the first profile, averaged over the models, the highest first.
    """
    frames = []
    for rank in range(len(shown.profiles)):
        declared = declared_remedies(shown, rank=rank)
        for model in shown.plan.study.crossed:
            cells = shown.cells(model, rank=rank)
            plain = cells.pop(PLAIN, None)
            frames += [
                comparisons.against(cell, plain, margin=shown.plan.study.margin, comparisons=declared)
                for cell in cells.values()
                if plain is not None
            ]
    return _most_gain_first(joined(frames), shown.profiles[0].label)


def _most_gain_first(frame: pd.DataFrame, profile: str) -> pd.DataFrame:
    if frame.empty:
        return frame
    mean = frame[frame["profile"] == profile].groupby("remedy")["difference"].mean()
    place = (-mean).rank(method="first")
    return frame.sort_values("remedy", key=lambda names: names.map(place), kind="stable", ignore_index=True)


def declared_remedies(shown: Shown, *, rank: int) -> int:
    """Return the number of remedies that are compared with plain training under the profile with this rank, at least 1."""
    tried = {name for model in shown.plan.study.crossed for name in remedies_of(shown.plan, model, rank=rank)}
    return max(1, len(tried - {PLAIN}))


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the tables below one another as one table; an empty table if there are none."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def say_verdicts(frame: pd.DataFrame, *, of: str) -> str:
    """Count the verdicts in one sentence.

    Args:
        frame: table with a column `verdict`.
        of: what was compared; it begins the sentence, as in `Gains over plain training: 12 higher, 2 lower, 16 undecided.`
    """
    number = frame["verdict"].value_counts().to_dict() if len(frame) else {}
    said = [f"{number[verdict]} {verdict}" for verdict in ("higher", "lower", "equivalent", "undecided") if verdict in number]
    return f"{of}: {', '.join(said) or 'nothing to compare'}."

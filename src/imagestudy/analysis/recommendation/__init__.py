"""Which model with which remedy, how sure, at what cost: what successive halving chose, judged on images that had no say.

The score of the answer is that of the choice made anew in every run (nested selection; Varma & Simon 2006), so that it is not
flattered by having been chosen. The panel, the same candidates in every run, is compared in pairs beside it.
"""

from imagestudy.recommendation.answer import Answer, class_names, compare_panel, first_run, name_of, recommend
from imagestudy.recommendation.by_class import confusion, recall, say_recall
from imagestudy.recommendation.leaking import SHOWN, leaks, say_leaks, share_seen
from imagestudy.recommendation.left_open import images_that_decide, say_open
from imagestudy.recommendation.scanned import say_scan
from imagestudy.recommendation.words import (
    caption,
    choices,
    conclude,
    counts,
    pretrained_note,
    say_answer,
    say_cheapest,
    say_cost,
    say_data,
    say_near,
    tried,
)

__all__ = [
    "SHOWN",
    "Answer",
    "caption",
    "choices",
    "class_names",
    "compare_panel",
    "conclude",
    "confusion",
    "counts",
    "first_run",
    "images_that_decide",
    "leaks",
    "name_of",
    "pretrained_note",
    "recall",
    "recommend",
    "say_answer",
    "say_cheapest",
    "say_cost",
    "say_data",
    "say_leaks",
    "say_near",
    "say_open",
    "say_recall",
    "say_scan",
    "share_seen",
    "tried",
]

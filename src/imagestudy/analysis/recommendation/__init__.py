"""Which model with which remedy, how sure, at what cost: what successive halving chose, judged on images that had no say.

The score of the answer is that of the choice made anew in every run (nested selection; Varma & Simon 2006), so that it is not
flattered by having been chosen. The panel, the same candidates in every run, is compared in pairs beside it.
"""

from imagestudy.analysis.recommendation.answer import Answer, class_names, compare_panel, first_run, name_of, recommend
from imagestudy.analysis.recommendation.by_class import confusion, recall, say_recall
from imagestudy.analysis.recommendation.group_leakage import SHOWN, leaks, say_leaks, share_seen
from imagestudy.analysis.recommendation.scan_summary import say_scan
from imagestudy.analysis.recommendation.sentences import (
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
from imagestudy.analysis.recommendation.undecided import images_that_decide, say_open

"""Recommend a model and a remedy for one set of images, with the certainty and the cost of the recommendation.

Successive halving chooses on validation images, and test images judge the choice. The reported score comes from repeating the whole
selection in every run (nested selection; Varma & Simon 2006), so the choice itself does not inflate it. The panel has the same
candidates in every run, so they are compared in pairs.
"""

from imagestudy.analysis.recommendation.answer import Answer, class_names, compare_panel, first_run, name_of, needs, recommend
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

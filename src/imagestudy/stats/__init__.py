"""Confidence intervals over runs and test images, and the rule that turns an interval into a verdict.

All runs are tested on the same images. Two sources of variance are therefore separated: retraining (the run component) and new
test images (the image component). The test set is never redrawn separately for each run (Owen 2007; Bouthillier et al. 2021;
Jordan 2024).
"""

from imagestudy.stats.decisions import Judged, Needed, Verdict, corrected_level, decide, probability_of_improvement, sign_flip_p
from imagestudy.stats.intervals import (
    Interval,
    Spread,
    Statistic,
    bootstrap_interval,
    crossed_interval,
    draw_weights,
    measure_spread,
    redrawn_interval,
)
from imagestudy.stats.sample_size import (
    FEWEST_RUNS,
    MOST_REDRAWN,
    MOST_TIMES,
    ImagesNeeded,
    SpreadByStratum,
    measure_by_stratum,
    what_images_decide,
    what_would_decide,
    what_would_decide_redrawn,
)

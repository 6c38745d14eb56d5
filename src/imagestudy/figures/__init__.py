"""Tables, records and images → closed matplotlib figures in one style; nothing is computed here but where things are drawn.

A figure is a cell's last value: it shows once, as a PNG, and its text is the class name, size and number of axes.
"""

from imagestudy.figures.claims import draw_verdicts
from imagestudy.figures.images import draw_counts, show_errors, show_images, show_steps
from imagestudy.figures.intervals import draw_differences, draw_intervals
from imagestudy.figures.pareto import draw_pareto
from imagestudy.figures.scores import draw_by_count, draw_distance, draw_gains, draw_groups, draw_ratio
from imagestudy.figures.style import FAMILY_COLORS, VERDICT_COLORS, Picture
from imagestudy.figures.training import draw_confusion, draw_curves, draw_recall
from imagestudy.figures.views import draw_view, draw_views

__all__ = [
    "FAMILY_COLORS",
    "VERDICT_COLORS",
    "Picture",
    "draw_by_count",
    "draw_confusion",
    "draw_counts",
    "draw_curves",
    "draw_differences",
    "draw_distance",
    "draw_gains",
    "draw_groups",
    "draw_intervals",
    "draw_pareto",
    "draw_ratio",
    "draw_recall",
    "draw_verdicts",
    "draw_view",
    "draw_views",
    "show_errors",
    "show_images",
    "show_steps",
]

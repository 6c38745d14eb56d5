"""Tables, records and images → closed matplotlib figures in one style; nothing is computed here but where things are drawn.

A figure is a cell's last value: it shows once, as a PNG, and its text is the class name, size and number of axes.
"""

from imagestudy.figures.claims import draw_verdicts
from imagestudy.figures.images import draw_counts, show_errors, show_images, show_steps
from imagestudy.figures.intervals import draw_differences, draw_intervals
from imagestudy.figures.pareto import draw_pareto
from imagestudy.figures.ratios import draw_ratios
from imagestudy.figures.reliability import draw_reliability, draw_stages
from imagestudy.figures.scores import draw_by_count, draw_distance, draw_gains, draw_groups, draw_ratio
from imagestudy.figures.style import FAMILY_COLORS, VERDICT_COLORS, Picture, drawable
from imagestudy.figures.training import draw_confusion, draw_curves, draw_recall
from imagestudy.figures.variation import draw_decided, draw_looks, draw_optimism, draw_peeks, draw_sources
from imagestudy.figures.views import draw_view, draw_views
from imagestudy.figures.winners import draw_shares, draw_winners

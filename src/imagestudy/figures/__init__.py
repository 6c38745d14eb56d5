"""Draw tables, records and images as matplotlib figures in one style.

Every function returns a figure that pyplot does not manage. Make the call the last line of a notebook cell: the figure is shown
once, as a PNG. Its text form is the class name, the size and the number of axes. The functions compute positions on the page, but
no results.
"""

from imagestudy.figures.claims import draw_verdicts
from imagestudy.figures.counts import draw_counts
from imagestudy.figures.images import show_errors, show_images, show_steps
from imagestudy.figures.intervals import draw_differences, draw_intervals
from imagestudy.figures.pareto import draw_pareto
from imagestudy.figures.ratios import draw_ratios
from imagestudy.figures.reliability import draw_reliability, draw_stages
from imagestudy.figures.scores import draw_by_count, draw_distance, draw_gains, draw_groups, draw_ratio
from imagestudy.figures.style import FAMILY_COLORS, VERDICT_COLORS, Picture, drawable
from imagestudy.figures.training import draw_confusion, draw_curves, draw_recall
from imagestudy.figures.variation import draw_gain_by_looks, draw_peeking, draw_peeking_gain, draw_power, draw_variance_components
from imagestudy.figures.views import draw_view, draw_views
from imagestudy.figures.winners import draw_shares, draw_winners

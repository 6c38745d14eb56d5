"""The same CNN in PyTorch and in Keras on TensorFlow: its code, its numbers, what training makes of it, and what it costs.

Where TensorFlow is not installed, what is recorded is shown and nothing new is trained.
"""

from imagestudy.frameworks.alike import compare_numbers, list_defaults, say_defaults, say_numbers, summarize_numbers
from imagestudy.frameworks.choices import check, obtain, say_installed
from imagestudy.frameworks.costs import draw_ratios, measured, ratios, say_ratios, say_speed
from imagestudy.frameworks.listing import pair_weights, say_weights, show_listing
from imagestudy.frameworks.showing import NOT_INSTALLED, show
from imagestudy.frameworks.trained import compare_twins, draw_twins, find_equality, say_equality, say_twins
from imagestudy.frameworks.under_imbalance import compare_gains, draw_gains, gains, say_gains, say_levels

__all__ = [
    "NOT_INSTALLED",
    "check",
    "compare_gains",
    "compare_numbers",
    "compare_twins",
    "draw_gains",
    "draw_ratios",
    "draw_twins",
    "find_equality",
    "gains",
    "list_defaults",
    "measured",
    "obtain",
    "pair_weights",
    "ratios",
    "say_defaults",
    "say_equality",
    "say_gains",
    "say_installed",
    "say_levels",
    "say_numbers",
    "say_ratios",
    "say_speed",
    "say_twins",
    "say_weights",
    "show",
    "show_listing",
    "summarize_numbers",
]

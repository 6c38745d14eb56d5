"""Compare the same CNN in PyTorch and in Keras on TensorFlow: code, numbers, scores after training, time and memory.

The two versions of a network are called twins. If TensorFlow is not installed, recorded runs are shown and nothing is trained.
"""

from imagestudy.analysis.frameworks.choices import check, needs, say_installed
from imagestudy.analysis.frameworks.costs import draw_ratios, measured, ratios, say_ratios, say_speed
from imagestudy.analysis.frameworks.imbalance import compare_gains, draw_gains, gains, say_gains, say_levels
from imagestudy.analysis.frameworks.listing import pair_weights, say_weights, show_listing
from imagestudy.analysis.frameworks.parity import compare_numbers, list_defaults, say_defaults, say_numbers, summarize_numbers
from imagestudy.analysis.frameworks.scores import compare_twins, draw_twins, find_equality, say_equality, say_twins

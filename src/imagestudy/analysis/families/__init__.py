"""The contents of a family notebook: how a model sees an image, its layers, training curves, mistakes and ablations.

All tables and sentences are computed from the recorded runs. The verb of a sentence follows from its verdict.
"""

from collections.abc import Sequence

from imagestudy.analysis.families.choices import NO_PROBE, cells, check, class_names, example, needs, probe_examples
from imagestudy.analysis.families.comparisons import (
    ablation,
    against_others,
    by_distance,
    modern_finding,
    say_differences,
    say_finding,
    say_level,
    say_parts,
    say_rank,
    say_short,
)
from imagestudy.analysis.families.learning import learned, say_learned, say_overfit
from imagestudy.analysis.families.mistakes import Errors, confusion, errors, per_class, say_confusion, say_errors, say_per_class
from imagestudy.analysis.families.structure import VIEWS, layers, say_sharing, say_size, say_view, sizes


def bullets(sentences: Sequence[str]) -> str:
    """Return the sentences as a Markdown list, without the empty ones."""
    return "\n".join(f"* {sentence}" for sentence in sentences if sentence)

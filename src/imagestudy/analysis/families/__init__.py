"""What a notebook shows of one model: its view, layers and curves, what it gets wrong, and what its parts are worth.

Tables and sentences come from records; a sentence's verb comes from its verdict.
"""

from collections.abc import Sequence

from imagestudy.analysis.families.choices import NO_PROBE, cells, check, class_names, example, grid, probe_examples
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
    """Sentences as a Markdown list; empty ones are left out."""
    return "\n".join(f"* {sentence}" for sentence in sentences if sentence)

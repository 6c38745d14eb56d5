"""Summarize the scan of a folder of images: usable images, files that were set aside and why, and duplicates."""

from collections.abc import Sequence
from pathlib import Path

from imagestudy import data
from imagestudy.core import paths
from imagestudy.core.text import escape
from imagestudy.data import datasets, folders, splits
from imagestudy.data.folders import Duplicate, Scan
from imagestudy.data.folders.decoded_cache import folder_of
from imagestudy.data.folders.scanning import Look
from imagestudy.experiments.grids import Plan
from imagestudy.experiments.planning.study_file import LACKING, PRETRAINED
from imagestudy.models.pretrained import WEIGHTS
from imagestudy.models.pretrained_weights import remote_weights

MOST_LISTED = 20
"""The report names at most this many files of a kind."""


def say_scan(plan: Plan) -> str:
    """Return a Markdown list of what the scan of a folder found and left out; other data sets are used as they are."""
    if plan.study.dataset.name != "folder":
        return f"These images are a known data set ({data.title(plan.study.dataset)}), so there was nothing to check or leave out."
    options = plan.study.dataset.options
    return list_scan(folders.recall(str(options["content"])), side=int(options["side"]))


def list_scan(scan: Scan, *, side: int) -> str:
    """Return a scan as a Markdown list with escaped file names; the images were resized to `side` pixels."""
    sizes = sorted(((image.width, image.height) for image in scan.images), key=lambda size: (size[0] * size[1], size))
    smallest, largest = sizes[0], sizes[-1]
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in scan.formats.items())
    aside = len(scan.quarantined)
    return "\n".join(
        [
            f"* {len(scan.images):,} images of *{escape(scan.title)}* can be used. The smallest has {smallest[0]}×{smallest[1]} "
            f"pixels, the largest {largest[0]}×{largest[1]}. File formats: {kinds}.",
            *_list_enlarged(scan, side),
            f"* {aside:,} {'file was' if aside == 1 else 'files were'} set aside"
            + (":" if aside else "; every file could be read and has one label."),
            *_list_some([f"{escape(one.path)}: {escape(one.reason)}" for one in scan.quarantined]),
            *_list_duplicates(scan.duplicates),
            *(f"* {escape(note)}: {number:,}" for note, number in scan.notes.items()),
        ]
    )


def _list_enlarged(scan: Scan, side: int) -> list[str]:
    """Return a line with the number of images that are smaller than `side` pixels; an empty list if there are none."""
    small = sum(max(image.width, image.height) < side for image in scan.images)
    few = f"1 of them is smaller than {side}×{side} pixels and was"
    many = f"{small:,} of them are smaller than {side}×{side} pixels and were"
    return [f"* {few if small == 1 else many} enlarged to this size. The option `side` in the study file sets it."] if small else []


def _list_duplicates(duplicates: Sequence[Duplicate]) -> list[str]:
    """Return lines with the duplicates: first those under contradicting classes, then those in several parts of the split."""
    if not duplicates:
        return ["* No two of them have the same bytes."]
    ranked = sorted(duplicates, key=lambda one: (not one.crosses_classes, not one.crosses_parts))
    contradicting = sum(one.crosses_classes for one in ranked)
    sides = sum(one.crosses_parts and not one.crosses_classes for one in ranked)
    counts = {
        "under contradicting classes": contradicting,
        "in more than one part of the split": sides,
        "within one class": len(ranked) - contradicting - sides,
    }
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number)
    images = "1 image occurs" if len(ranked) == 1 else f"{len(ranked):,} images occur"
    return [f"* {images} more than once, with identical bytes: {kinds}.", *_list_some(list(map(_say_duplicate, ranked)))]


def _say_duplicate(one: Duplicate) -> str:
    files = " = ".join(map(escape, dict.fromkeys(one.paths)))
    if one.crosses_classes:
        return f"{files}: labeled as {' and '.join(map(escape, dict.fromkeys(one.labels)))}; none of them is used."
    return f"{files}: only {escape(one.kept)} is used."


def _list_some(lines: Sequence[str]) -> list[str]:
    """Return the first lines as a nested list, with a last line that gives the number of the others."""
    shown = [f"    * {line}" for line in lines[:MOST_LISTED]]
    left = len(lines) - MOST_LISTED
    return shown if left <= 0 else [*shown, f"    * and {left:,} more, listed in the cache's scan.json."]


SHOWN = 8
"""The terminal shows at most this many class names."""


def say_late_weights(plan: Plan, file: Path) -> str:
    """Return a hint if a plan left out the pretrained network for lack of weights and the weights are available now.

    Otherwise, the result is empty.
    """
    weights = paths.weights_folder() / remote_weights(WEIGHTS).name
    if not plan.study.left_out.get(PRETRAINED, "").startswith(LACKING) or not weights.is_file():
        return ""
    return (
        f"This plan leaves out {PRETRAINED} because its weights were not available. They are available now. To include it, delete "
        f"{file} and run the same command again."
    )


def say_images(plan: Plan) -> str:
    """Return a summary of a plan's images for the terminal; for a folder, it says which file lists what was set aside."""
    dataset, options = datasets.load(plan.study.dataset), plan.study.dataset.options
    found = splits.describe(dataset.labels, dataset.classes)
    said = (
        f"The images: {len(dataset.labels):,} of {len(dataset.classes)} classes ({_say_some(dataset.classes)}). The largest class "
        f"is {found.ratio:.1f} times the size of the smallest."
    )
    if plan.study.dataset.name != "folder":
        return said
    look = Look(int(options["side"]), str(options["fit"]), str(options["colours"]))
    return f"{said} {say_set_aside(plan, where=str(folder_of(str(options['content']), look) / 'scan.json'))}"


def _say_some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def say_set_aside(plan: Plan, *, where: str) -> str:
    """Return a sentence: how many files of a folder were set aside, and `where` they are listed; empty for other data sets."""
    if plan.study.dataset.name != "folder":
        return ""
    number = len(folders.recall(str(plan.study.dataset.options["content"])).quarantined)
    if not number:
        return "No file was set aside."
    files, them = ("files were", "them") if number > 1 else ("file was", "it")
    return f"{number:,} {files} set aside; {where} lists {them} and says why."

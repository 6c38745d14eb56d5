"""What the scan of somebody's images found: what can be used, what was set aside and why, and what lies there more than once."""

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
"""Files of a kind that are named in the report."""


def say_scan(plan: Plan) -> str:
    """What the scan of a folder found and left out, as a Markdown list; a public set is taken as it is."""
    if plan.study.dataset.name != "folder":
        return f"These images come as a known set ({data.title(plan.study.dataset)}); there was nothing to check or leave out."
    options = plan.study.dataset.options
    return list_scan(folders.recall(str(options["content"])), side=int(options["side"]))


def list_scan(scan: Scan, *, side: int) -> str:
    """A scan as a Markdown list, the names of files escaped; `side` in pixels is what the images were brought to."""
    sizes = sorted(((image.width, image.height) for image in scan.images), key=lambda size: (size[0] * size[1], size))
    smallest, largest = sizes[0], sizes[-1]
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in scan.formats.items())
    aside = len(scan.quarantined)
    return "\n".join(
        [
            f"* {len(scan.images):,} images of *{escape(scan.title)}* can be used, from {smallest[0]}×{smallest[1]} to "
            f"{largest[0]}×{largest[1]} pixels by area; {kinds}.",
            *_list_enlarged(scan, side),
            f"* {aside:,} {'file was' if aside == 1 else 'files were'} set aside"
            + (":" if aside else "; every file could be read and has one label."),
            *_list_some([f"{escape(one.path)}: {escape(one.reason)}" for one in scan.quarantined]),
            *_list_duplicates(scan.duplicates),
            *(f"* {escape(note)}: {number:,}" for note, number in scan.notes.items()),
        ]
    )


def _list_enlarged(scan: Scan, side: int) -> list[str]:
    """How many images have less to show than the pixels that they are given."""
    small = sum(max(image.width, image.height) < side for image in scan.images)
    few = f"1 of them is smaller than {side}×{side} pixels and was"
    many = f"{small:,} of them are smaller than {side}×{side} pixels and were"
    return [f"* {few if small == 1 else many} enlarged to that; a study file's `side` says to what size."] if small else []


def _list_duplicates(duplicates: Sequence[Duplicate]) -> list[str]:
    """How many images lie there more than once, and in which files: contradicting classes first, then sides of a split."""
    if not duplicates:
        return ["* No two of them have the same bytes."]
    ranked = sorted(duplicates, key=lambda one: (not one.crosses_classes, not one.crosses_parts))
    contradicting = sum(one.crosses_classes for one in ranked)
    sides = sum(one.crosses_parts and not one.crosses_classes for one in ranked)
    counts = {
        "under contradicting classes": contradicting,
        "on more than one side of the split": sides,
        "within one class": len(ranked) - contradicting - sides,
    }
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number)
    images = "1 image lies" if len(ranked) == 1 else f"{len(ranked):,} images lie"
    return [f"* {images} there more than once, by their bytes, {kinds}:", *_list_some(list(map(_say_duplicate, ranked)))]


def _say_duplicate(one: Duplicate) -> str:
    files = " = ".join(map(escape, dict.fromkeys(one.paths)))
    if one.crosses_classes:
        return f"{files}: said to be of {' and '.join(map(escape, dict.fromkeys(one.labels)))}; none is used."
    return f"{files}: only {escape(one.kept)} is used."


def _list_some(lines: Sequence[str]) -> list[str]:
    """The first lines as an inner list, and how many more there are."""
    shown = [f"    * {line}" for line in lines[:MOST_LISTED]]
    left = len(lines) - MOST_LISTED
    return shown if left <= 0 else [*shown, f"    * and {left:,} more, listed in the cache's scan.json."]


SHOWN = 8
"""Classes that are named on the terminal."""


def say_late_weights(plan: Plan, file: Path) -> str:
    """That the pretrained network could take part by now, and how; empty if the plan has it, or has another reason."""
    weights = paths.weights_folder() / remote_weights(WEIGHTS).name
    if not plan.study.left_out.get(PRETRAINED, "").startswith(LACKING) or not weights.is_file():
        return ""
    return (
        f"This plan leaves {PRETRAINED} out because its weights could not be had; they are here now. To plan anew with it, remove "
        f"{file} and give the same command again."
    )


def say_images(plan: Plan) -> str:
    """What a plan's images are, in a sentence for the terminal, and which file lists what was set aside in a person's folder."""
    dataset, options = datasets.load(plan.study.dataset), plan.study.dataset.options
    found = splits.describe(dataset.labels, dataset.classes)
    said = (
        f"The images: {len(dataset.labels):,} of {len(dataset.classes)} classes ({_say_some(dataset.classes)}), the largest "
        f"{found.ratio:.1f} times the smallest."
    )
    if plan.study.dataset.name != "folder":
        return said
    look = Look(int(options["side"]), str(options["fit"]), str(options["colours"]))
    return f"{said} {say_set_aside(plan, where=str(folder_of(str(options['content']), look) / 'scan.json'))}"


def _say_some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def say_set_aside(plan: Plan, *, where: str) -> str:
    """How many files of a person's folder are not used, and `where` they are listed; empty for a known set."""
    if plan.study.dataset.name != "folder":
        return ""
    number = len(folders.recall(str(plan.study.dataset.options["content"])).quarantined)
    if not number:
        return "No file was set aside."
    return f"{number:,} file{'s were' if number > 1 else ' was'} set aside; {where} lists {'them' if number > 1 else 'it'} and why."

"""A saved network as one ONNX file that takes bytes and gives probabilities."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from imagestudy.core.errors import InputError
from imagestudy.core.files import put
from imagestudy.inference.files import require_output
from imagestudy.inference.format import WEIGHTS_NAME, Description
from imagestudy.inference.load import read
from imagestudy.inference.networks import BytesNetwork, restore
from imagestudy.remedies.priors import relative_log_prior

INPUT, OUTPUT = "images", "probabilities"


class Deployed(nn.Module):
    """Bytes as image libraries hand them over → probabilities: normalisation, correction and temperature are inside.

    Args:
        network: of the saved model.
        shift: τ log π_c, taken off the logits; zeros without a correction.
        temperature: by which they are divided.
    """

    shift: Tensor

    def __init__(self, network: BytesNetwork, shift: Float[Tensor, " class"], temperature: float):
        super().__init__()
        self.network = network
        self.register_buffer("shift", shift)
        self.temperature = temperature

    def forward(self, images: UInt8[Tensor, "batch height width channel"]) -> Float[Tensor, "batch class"]:
        """softmax((logits − τ log π) / T)."""
        return torch.softmax((self.network(images.permute(0, 3, 1, 2)) - self.shift) / self.temperature, dim=1)


def write_onnx(folder: Path, file: Path) -> Path:
    """Write a saved network as ONNX: `images` uint8 (batch, side, side, channels) → `probabilities` float32 (batch, class).

    The input is what Pillow and NumPy hold of decoded images at the model's side, RGB or grey, 0 to 255, any number at a time; the
    output is `SavedModel.predict_proba`. The file's metadata name classes, the images' format and the model. It is computed in
    32-bit floats also where the training was in 16.

    Returns:
        The file.

    Raises:
        InputError: see `opening.load` and `writing.require_output`; a classical model, which is no graph of tensors.
    """
    require_output(file, suffix=".onnx")
    description, weights = read(folder)
    if not description.is_network:
        raise InputError(f"model {description.model.name!r} in {str(folder)!r} is classical; only networks are written as ONNX")
    deployed = deploy(description, restore(description, weights, where=folder / WEIGHTS_NAME))
    put(file, _export(deployed, description))
    return file


def deploy(description: Description, network: BytesNetwork) -> Deployed:
    """The network with everything that follows it."""
    shift = torch.zeros(len(description.classes))
    if description.tau is not None:
        prior = relative_log_prior(np.array(description.counts, dtype=np.int64))
        shift = torch.from_numpy(description.tau * prior).float()
    return Deployed(network, shift, description.temperature).eval()


def _export(deployed: Deployed, description: Description) -> bytes:
    """The file's content. What the exporter notes of source files is taken out: it is of use to nobody, and names folders."""
    import onnx

    side = description.images.side
    example = torch.zeros((2, side, side, description.images.channels), dtype=torch.uint8)
    with _quietly():
        program = torch.onnx.export(
            deployed,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave nothing")
    proto = program.model_proto
    _strip(proto.graph)
    notes = {"classes": list(description.classes), INPUT: description.images.model_dump(), "model": description.model.label}
    onnx.helper.set_model_props(proto, {name: json.dumps(value, ensure_ascii=False) for name, value in notes.items()})
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _strip(graph: Any) -> None:
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's warnings and log, which are about itself; what stops it is raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

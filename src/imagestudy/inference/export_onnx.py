"""Export a saved network as one ONNX file that takes pixels and returns probabilities."""

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
    """A network from pixels (0 to 255) to probabilities, with normalization, correction and temperature built in.

    Args:
        network: network of the saved model.
        shift: τ log π_c, subtracted from the logits; zeros without a correction.
        temperature: number by which the corrected logits are divided.
    """

    shift: Tensor

    def __init__(self, network: BytesNetwork, shift: Float[Tensor, " class"], temperature: float):
        super().__init__()
        self.network = network
        self.register_buffer("shift", shift)
        self.temperature = temperature

    def forward(self, images: UInt8[Tensor, "batch height width channel"]) -> Float[Tensor, "batch class"]:
        """Return softmax((logits − τ log π) / T)."""
        return torch.softmax((self.network(images.permute(0, 3, 1, 2)) - self.shift) / self.temperature, dim=1)


def write_onnx(folder: Path, file: Path) -> Path:
    """Export a saved network as ONNX: `images` uint8 (batch, side, side, channels) → `probabilities` float32 (batch, class).

    The input is an array of decoded images as Pillow and NumPy store them, RGB or gray, 0 to 255, with the side length of the
    model. The batch can have any size. The output equals `SavedModel.predict_proba`. The metadata of the file contain the classes,
    the image format and the name of the model. Computation is in 32-bit floats, even if training used 16-bit floats.

    Args:
        folder: folder of the saved model.
        file: ONNX file to write.

    Returns:
        The path of the file.

    Raises:
        InputError: if the model is classical, because only networks can be exported; also see `load.load` and
            `files.require_output`.
    """
    require_output(file, suffix=".onnx")
    description, weights = read(folder)
    if not description.is_network:
        raise InputError(f"model {description.model.name!r} in {str(folder)!r} is classical; only networks can be exported as ONNX")
    deployed = deploy(description, restore(description, weights, where=folder / WEIGHTS_NAME))
    put(file, _export(deployed, description))
    return file


def deploy(description: Description, network: BytesNetwork) -> Deployed:
    """Return the network together with correction, temperature and softmax."""
    shift = torch.zeros(len(description.classes))
    if description.tau is not None:
        prior = relative_log_prior(np.array(description.counts, dtype=np.int64))
        shift = torch.from_numpy(description.tau * prior).float()
    return Deployed(network, shift, description.temperature).eval()


def _export(deployed: Deployed, description: Description) -> bytes:
    """Return the content of the ONNX file, without the exporter's notes on source files: they contain names of local folders."""
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
        raise RuntimeError("the ONNX exporter returned no program")
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
    """Suppress warnings and log messages of the exporter in the block; exceptions are still raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

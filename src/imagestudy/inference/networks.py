"""Take a trained network apart for saving, and rebuild it from a saved model."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Real, UInt8
from torch import Tensor, nn

from imagestudy.core.errors import InputError
from imagestudy.core.specs import ModelSpec, TrainingSpec
from imagestudy.inference.format import DESCRIPTION_NAME, Description, Normalization
from imagestudy.models import Network, Shape, build, models
from imagestudy.models.build import fitting_width
from imagestudy.remedies import remedies, remedy
from imagestudy.remedies.heads import SavedHead
from imagestudy.training import TorchLearner
from imagestudy.training.torch_learner import PREDICT_BATCH

LogProbabilities = Float[np.ndarray, "n class"]
Images = UInt8[np.ndarray, "n height width channel"]


class BytesNetwork(nn.Module):
    """A network that takes pixels from 0 to 255 and normalizes them itself, with the same bits as the learner.

    Args:
        network: network that takes normalized images. The pixels are converted to floats in its memory layout.
        normalisation: mean and standard deviation of the training images.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, network: Network, normalisation: Normalization):
        super().__init__()
        convolves = any(isinstance(part, nn.Conv2d) for part in network.modules())
        self.layout = torch.channels_last if convolves else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        mean, deviation = (torch.tensor(v).view(1, -1, 1, 1) for v in (normalisation.mean, normalisation.deviation))
        self.register_buffer("offset", -mean / deviation)
        self.register_buffer("scale", 1 / (255 * deviation))

    def forward(self, pixels: Real[Tensor, "batch channel height width"]) -> Float[Tensor, "batch class"]:
        """Return the logits of images with pixels from 0 to 255."""
        return self.network(torch.addcmul(self.offset, pixels.contiguous(memory_format=self.layout).float(), self.scale))


def keep_normalization(learner: TorchLearner) -> Normalization:
    """Return the mean and standard deviation that the learner uses; 32-bit floats are exact in JSON."""
    return Normalization(mean=tuple(learner.mean.flatten().tolist()), deviation=tuple(learner.deviation.flatten().tolist()))


def keep_weights(network: Network) -> dict[str, Tensor]:
    """Return the weights by name, each as a contiguous copy, as safetensors requires."""
    return {name: w.detach().cpu().clone(memory_format=torch.contiguous_format) for name, w in network.state_dict().items()}


def with_width(spec: ModelSpec, *, shape: Shape, classes: int) -> ModelSpec:
    """Return the model with its parameter budget replaced by the width that meets it; without a budget, the model is unchanged."""
    if spec.params is None:
        return spec
    entry = models.entry(spec.name)
    others = {name: value for name, value in models.options(spec).items() if name != "width"}
    builder = partial(entry.function, shape, classes, **others)
    width = fitting_width(lambda width: builder(width=width), spec.params, step=entry.facts["step"], name=spec.name)
    return ModelSpec(name=spec.name, options=spec.options | {"width": width}, version=spec.version, source=spec.source)


def restore(description: Description, weights: Mapping[str, Tensor], *, where: Path) -> BytesNetwork:
    """Rebuild the network with its weights, on the CPU and in evaluation mode.

    The state of PyTorch's global random generator is not changed.

    Args:
        description: description of the saved model.
        weights: weights by name.
        where: file that contains the weights, for error messages.

    Raises:
        InputError: if the weights do not fit the network.
    """
    classes, saved = len(description.classes), cast(SavedHead, description.head)
    described = str(where.with_name(DESCRIPTION_NAME))
    chosen = remedy(description.run.remedy, where=described).head
    if description.run.remedy.source != remedies.stamp(description.run.remedy).source:
        raise InputError(f"{described}: remedy {description.run.remedy.name!r} is described from another version of its plug-in")
    if models.entry(description.model.name).facts["kind"] != "neural":
        raise InputError(f"{described}: model {description.model.name!r} is no PyTorch network")
    with torch.random.fork_rng(devices=[]):
        network = cast(Network, build(description.model, shape=description.shape, classes=classes))
        try:
            network.head = chosen.restore(saved, cast(nn.Linear, network.head))
        except Exception as error:  # a remedy of a plug-in restores its head with its own code
            raise InputError(f"{described}: the head cannot be restored: {error}") from error
    _require_same(network.state_dict(), weights, where=where)
    network.load_state_dict(dict(weights))
    return BytesNetwork(network, cast(Normalization, description.normalisation)).eval().requires_grad_(False)


def _require_same(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], *, where: Path) -> None:
    for name, tensor in wanted.items():
        if name not in given:
            raise InputError(f"{where} has no weights {name!r}, which the network in model.json needs")
        if (found := given[name]).shape != tensor.shape or found.dtype != tensor.dtype:
            raise InputError(
                f"{where}: weights {name!r} are {found.dtype} {tuple(found.shape)}; the network in model.json needs "
                f"{tensor.dtype} {tuple(tensor.shape)}"
            )
    if unknown := sorted(given.keys() - wanted.keys()):
        raise InputError(f"{where} contains weights {unknown[0]!r}, which the network in model.json does not have")


def speaker(network: BytesNetwork, training: TrainingSpec) -> Callable[[Images], LogProbabilities]:
    """Return the function images → log-probabilities, with the batch size, threads and number type of the training.

    It runs on the device of the training if this device is available, otherwise on the CPU.
    """
    device = training.device if training.device == "cpu" or torch.cuda.is_available() else "cpu"
    network.to(device)

    @torch.inference_mode()
    def speak(images: Images) -> LogProbabilities:
        rows, threads = [], torch.get_num_threads()
        torch.set_num_threads(training.threads)
        try:
            for start in range(0, len(images), PREDICT_BATCH):
                batch = images[start : start + PREDICT_BATCH].transpose(0, 3, 1, 2)
                pixels = torch.from_numpy(np.require(batch, requirements=["C", "W"])).to(device)
                with torch.autocast(device, dtype=torch.bfloat16, enabled=training.dtype == "bfloat16"):
                    logits = network(pixels)
                rows.append(logits.double().log_softmax(dim=1).cpu())
        finally:
            torch.set_num_threads(threads)
        return torch.cat(rows).numpy()

    return speak

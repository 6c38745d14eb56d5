"""Benchmark the training loop against a standard DataLoader loop and against the speed of a matrix product.

The standard loop uses PIL, torchvision and a DataLoader. Both loops train the same network with the same optimizer on the same
images, which are shifted and flipped at random. Each loop uses one thread. The loops alternate, so that other load on the machine
affects both equally. The results are ratios within one benchmark.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import nn
from torch.utils.data import DataLoader, Dataset

from imagestudy.core.specs import Choice, ModelSpec, PreprocessingSpec, RunSpec, TrainingSpec
from imagestudy.models import build, complexity
from imagestudy.training import TorchLearner

SIDE, CHANNELS, CLASSES, IMAGES, BATCH, ROUNDS = 32, 3, 10, 4_096, 64, 3
MATRIX_SIDE = 1_024
BENCHED = {"mlp": 290_000, "resnet": 290_000, "bilstm": 290_000, "vit": 290_000}

AUGMENT = (Choice(name="shift", options={"fraction": 0.125}), Choice(name="flip", options={"direction": "horizontal"}))

Images = UInt8[np.ndarray, "n height width channel"]
Labels = Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class Speed:
    """The measured speed of one model.

    Args:
        model: the name of the model.
        ours: images per second in the training loop of this package.
        usual: images per second in the standard DataLoader loop.
        gflops: billions of floating-point operations per second in the training loop of this package.
    """

    model: str
    ours: float
    usual: float
    gflops: float


class _Pictures(Dataset):
    """The dataset of the standard loop. Each image is created and transformed on access, as in `torchvision.datasets`."""

    def __init__(self, images: Images, labels: Labels):
        from torchvision.transforms import v2

        self.images = images
        self.labels = labels.tolist()
        half = [0.5] * CHANNELS
        shifted = [v2.RandomCrop(SIDE, padding=SIDE // 8), v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*shifted, v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(half, half)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def _draw_images() -> tuple[Images, Labels]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, SIDE, SIDE, CHANNELS), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, IMAGES)


def _train_usual(spec: ModelSpec, images: Images, labels: Labels) -> float:
    """Train for one epoch with the standard loop and return its images per second."""
    torch.manual_seed(0)
    network = build(spec, shape=(CHANNELS, SIDE, SIDE), classes=CLASSES)
    assert isinstance(network, nn.Module)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loader = DataLoader(_Pictures(images, labels), batch_size=BATCH, shuffle=True, drop_last=True)
    network.train()
    started = time.perf_counter()
    seen = 0
    for batch, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(batch), target)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        loss.item()
        seen += len(batch)
    return seen / (time.perf_counter() - started)


def _train_ours(spec: ModelSpec, images: Images, labels: Labels, *, seen: int) -> tuple[float, TorchLearner]:
    """Train on `seen` images with the loop of this package; return its images per second and the learner."""
    training = TrainingSpec(images_seen=seen, batch=BATCH)
    run = RunSpec(dataset=Choice(name="digits"), model=spec, training=training, preprocessing=PreprocessingSpec(augment=AUGMENT))
    learner = TorchLearner(run, CLASSES, ("horizontal",)).fit(images, labels)
    return seen / learner.seconds, learner


def _multiply(seconds: float) -> float:
    """The speed of a matrix product in one thread, in GFLOP/s."""
    a, b = torch.rand(MATRIX_SIDE, MATRIX_SIDE), torch.rand(MATRIX_SIDE, MATRIX_SIDE)
    out = torch.mm(a, b)
    products, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        torch.mm(a, b, out=out)
        products += 1
    return 2e-9 * MATRIX_SIDE**3 * products / (time.perf_counter() - started)


def _rounds(seconds: float, *, model: str) -> Iterator[Speed]:
    """Measure one model in `ROUNDS` rounds, after a short run that sets the number of images."""
    spec = ModelSpec(name=model, params=BENCHED[model])
    images, labels = _draw_images()
    rate, learner = _train_ours(spec, images, labels, seen=16 * BATCH)
    seen = max(16, round(rate * seconds / BATCH)) * BATCH
    operations = 3e-9 * complexity.count_flops(learner.network, (CHANNELS, SIDE, SIDE))
    some = slice(0, min(IMAGES, max(16 * BATCH, seen // 4)))
    for _ in range(ROUNDS):
        ours, _ = _train_ours(spec, images, labels, seen=seen)
        yield Speed(model, ours, _train_usual(spec, images[some], labels[some]), ours * operations)


def measure(*, seconds: float, say: Callable[[str], None] = print) -> None:
    """Benchmark all models of `BENCHED` and report the ratios as medians of three rounds.

    Args:
        seconds: the approximate duration of each measurement of our loop, in seconds.
        say: the function that is called with each line of the report.
    """
    torch.set_num_threads(1)
    say(f"{SIDE}×{SIDE}×{CHANNELS} images, batches of {BATCH}, one thread, median of {ROUNDS} rounds, alternating loops")
    for model in BENCHED:
        speeds = list(_rounds(seconds, model=model))
        product = _multiply(seconds / 2)
        ratio = statistics.median(s.ours / s.usual for s in speeds)
        share = statistics.median(s.gflops for s in speeds) / product
        say(f"{model:8} {ratio:5.1f}× the speed of the DataLoader loop; {share:4.0%} of the speed of a matrix product")

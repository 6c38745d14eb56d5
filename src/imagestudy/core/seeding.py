"""Independent random generators from (seed, stream name), and the switches that make torch deterministic."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _entropy(seed: int, stream: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, *stream.encode()])


def generator(seed: int, stream: str) -> np.random.Generator:
    """A NumPy generator that depends on the seed and the stream's name alone.

    Two streams of one seed are independent, so that one source of randomness can move while the others stand still.

    Args:
        seed: non-negative integer.
        stream: what the numbers are for, such as "draw" or "batches".
    """
    return np.random.default_rng(_entropy(seed, stream))


def torch_generator(seed: int, stream: str, device: str = "cpu") -> "torch.Generator":
    """A torch generator that depends on the seed and the stream's name alone."""
    import torch

    state = int(_entropy(seed, stream).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device=device).manual_seed(state)


def make_torch_deterministic(seed: int, stream: str, *, threads: int) -> None:
    """Fix torch's threads, algorithms and global generator, which initialisation and dropout draw from.

    Args:
        seed: non-negative integer.
        stream: what the global generator is for.
        threads: number of threads inside one operation; results may differ between thread counts, never within one.
    """
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time, and we read no such memory
    torch.manual_seed(torch_generator(seed, stream).initial_seed())

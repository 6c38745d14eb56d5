"""Independent random generators from a seed and a stream name, and the settings that make torch deterministic."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _entropy(seed: int, stream: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, *stream.encode()])


def generator(seed: int, stream: str) -> np.random.Generator:
    """Return a NumPy generator that depends only on the seed and the name of the stream.

    Two streams of one seed are independent. One source of randomness can therefore be reseeded while the others stay fixed.

    Args:
        seed: a non-negative integer.
        stream: what the random numbers are used for, such as "draw" or "batches".
    """
    return np.random.default_rng(_entropy(seed, stream))


def torch_generator(seed: int, stream: str, device: str = "cpu") -> "torch.Generator":
    """Return a torch generator that depends only on the seed and the name of the stream."""
    import torch

    state = int(_entropy(seed, stream).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device=device).manual_seed(state)


def make_torch_deterministic(seed: int, stream: str, *, threads: int) -> None:
    """Fix the number of threads, the algorithms and the global generator of torch.

    Initialization and dropout draw from the global generator.

    Args:
        seed: a non-negative integer.
        stream: what the global generator is used for.
        threads: the number of threads of one operation. Results may differ between thread counts but not for a fixed count.
    """
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # filling takes time, and we never read uninitialized memory
    torch.manual_seed(torch_generator(seed, stream).initial_seed())

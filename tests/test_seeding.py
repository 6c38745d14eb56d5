"""The seed and the name of the stream fix every bit of the random numbers, and nothing else does."""

import numpy as np
import pytest
import torch

from imagestudy.core.seeding import generator, make_torch_deterministic, torch_generator

STREAMS = ("draw", "order", "init", "batches", "augment", "noise")


def numbers(seed: int, stream: str) -> np.ndarray:
    return generator(seed, stream).random(2_000)


def torch_numbers(seed: int, stream: str) -> np.ndarray:
    return torch.rand(2_000, generator=torch_generator(seed, stream), dtype=torch.float64).numpy()


@pytest.fixture(autouse=True)
def _restore_torch() -> object:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize("draw", [numbers, torch_numbers])
def test_the_same_seed_and_stream_give_the_same_bits(draw: object) -> None:
    np.testing.assert_array_equal(draw(3, "draw"), draw(3, "draw"))


@pytest.mark.parametrize("draw", [numbers, torch_numbers])
def test_streams_and_seeds_are_independent(draw: object) -> None:
    drawn = np.stack([draw(seed, stream) for seed in (0, 1, 1_000) for stream in STREAMS])
    correlations = np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(drawn.shape[1])


def test_seed_and_stream_are_not_concatenated() -> None:
    assert generator(1, "1a").random() != generator(11, "a").random()
    assert generator(0, "ab").random() != generator(0, "ba").random()


def test_the_numbers_are_pinned() -> None:
    """A change of these numbers would change the results of every recorded run."""
    assert generator(0, "draw").integers(0, 1_000, 5).tolist() == [808, 529, 4, 530, 869]
    assert torch.randint(0, 1_000, (5,), generator=torch_generator(0, "draw")).tolist() == [871, 678, 676, 210, 12]


def test_the_global_numpy_state_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    numbers(0, "draw")
    torch_numbers(0, "draw")
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_torch_is_made_deterministic() -> None:
    drawn = []
    for _ in range(2):
        torch.rand(7)
        make_torch_deterministic(5, "init", threads=1)
        drawn.append(torch.rand(100))
    assert torch.equal(*drawn)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        generator(-1, "draw")

"""Tests of the layer table and the operation counts, against hand calculations and torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from imagestudy.core.specs import ModelSpec
from imagestudy.models import Network, build, count_parameters, models
from imagestudy.models.complexity import count_flops, describe

DIGITS = (1, 8, 8)
NEURAL = models.names(kind="neural")


def made(name: str, shape: tuple[int, int, int] = DIGITS, **options) -> Network:
    network = build(ModelSpec(name=name, options=options), shape=shape, classes=10)
    assert isinstance(network, Network)
    return network


@pytest.mark.parametrize(
    ("name", "options", "products"),
    [
        ("perceptron", {}, 64 * 512 + 512 * 10),
        ("article", {"width": 20}, 64 * 20 + 20 * 10),
        ("mlp", {"width": 20, "depth": 3}, 64 * 20 + 2 * 20 * 20 + 20 * 10),
        ("lenet", {}, 64 * 25 * 6 + 16 * 150 * 16 + 256 * 120 + 120 * 84 + 84 * 10),
        ("resnet", {"width": 8}, 64 * 9 * 8 + 4 * 16 * 72 * 8 + 32 * 10),
        ("crnn", {"width": 8}, 16 * 25 * 4 + 16 * 36 * 8 + 4 * 2 * 4 * 8 * (32 + 8) + 16 * 10),
        ("elman", {}, 8 * (8 + 192) * 192 + 192 * 10),
        ("bilstm", {"width": 6}, 8 * 2 * 4 * 6 * (8 + 6) + 12 * 10),
        ("vit", {"width": 8, "depth": 1}, 16 * (4 * 8 + 8 * 24 + 8 * 8 + 2 * 8 * 16) + 2 * 16 * 16 * 8 + 8 * 10),
    ],
)
def test_operations_equal_those_counted_by_hand(name, options, products):
    assert count_flops(made(name, **options), DIGITS) == 2 * products


@pytest.mark.parametrize("shape", [DIGITS, (3, 33, 21)])
@pytest.mark.parametrize("name", ["perceptron", "article", "mlp", "lenet", "resnet"])
def test_operations_equal_those_of_torchs_counter(name, shape):
    network = made(name, shape).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *shape))
    assert count_flops(network, shape) == counter.get_total_flops()


@pytest.mark.parametrize("name", NEURAL)
def test_the_layers_of_the_table_add_up_to_the_network(name):
    network = made(name)
    rows = describe(network, DIGITS)
    assert sum(row.parameters for row in rows) == count_parameters(network)
    assert rows[-1].kind == "Linear"
    assert rows[-1].output == (10,)


def test_the_table_of_a_recurrent_network_has_time_before_state():
    rows = describe(made("bilstm", width=6), DIGITS)
    assert [(row.kind, row.output) for row in rows] == [
        ("LSTM", (8, 12)),
        ("LayerNorm", (8, 12)),
        ("MeanPool", (12,)),
        ("Linear", (10,)),
    ]


@pytest.mark.parametrize("name", NEURAL)
def test_describing_a_network_changes_nothing(name):
    network = made(name).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    describe(network, DIGITS)
    count_flops(network, DIGITS)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())

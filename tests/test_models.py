"""Tests of the neural models: sizes, shapes, views, small batches, ablations, determinism, errors."""

import numpy as np
import pytest
import torch
from torch import nn

from imagestudy.core import seeding
from imagestudy.core.errors import InputError
from imagestudy.core.specs import Choice, ModelSpec
from imagestudy.models import Network, at_budget, build, count_parameters, models, views
from imagestudy.models.base import BatchNorm

DIGITS, COLOR = (1, 8, 8), (3, 32, 32)
SHAPES = [(DIGITS, 10), ((1, 28, 28), 10), (COLOR, 10), ((2, 7, 13), 2), ((1, 5, 40), 3), ((3, 33, 21), 2), ((1, 100, 64), 4)]
NEURAL = models.names(kind="neural")
SMALL = models.names(kind="neural", pretrained=None)
"""The models that are made for small images and train quickly; test_pretrained.py tests the other one."""
SIZED = tuple(name for name in NEURAL if "step" in models.entry(name).facts)


def made(name: str, shape: tuple[int, int, int] = DIGITS, classes: int = 10, *, params: int | None = None, **options) -> Network:
    torch.manual_seed(0)
    network = build(ModelSpec(name=name, options=options, params=params), shape=shape, classes=classes)
    assert isinstance(network, Network)
    return network


def images(shape: tuple[int, int, int], count: int = 3) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def perceptron(pixels: int) -> int:
    return linear(pixels, 512) + linear(512, 10)


def article(pixels: int, w: int) -> int:
    return linear(pixels, w) + linear(w, 10)


def mlp(pixels: int, w: int) -> int:
    return (pixels * w + 2 * w) + (w * w + 2 * w) + linear(w, 10)


def lenet(channels: int, positions: int) -> int:
    return (25 * channels * 6 + 6) + (25 * 6 * 16 + 16) + linear(16 * positions, 120) + linear(120, 84) + linear(84, 10)


def resnet(channels: int, w: int) -> int:
    return 9 * channels * w + 2 * w + 2 * (2 * 9 * w * w + 4 * w) + 2 * w + linear(4 * w, 10)


def residual(inputs: int, w: int) -> int:
    return 9 * inputs * w + 9 * w * w + 4 * w + (inputs * w + 2 * w if inputs != w else 0)


def resnet18() -> int:
    ends = zip((64, 64, 128, 256), (64, 128, 256, 512), strict=True)
    return 49 * 3 * 64 + 2 * 64 + sum(residual(a, b) + residual(b, b) for a, b in ends) + linear(512, 10)


def crnn(channels: int, columns: int, w: int, *, kernels: tuple[int, int]) -> int:
    half = (w + 1) // 2
    convolutions = kernels[0] ** 2 * channels * half + 2 * half + kernels[1] ** 2 * half * w + 2 * w
    return convolutions + lstm(w * columns, w) + linear(2 * w, 10)


def elman(row: int) -> int:
    return row * 192 + 192 * 192 + 2 * 192 + linear(192, 10)


def lstm(inputs: int, hidden: int) -> int:
    return 2 * 4 * (inputs * hidden + hidden * hidden + 2 * hidden)


def bilstm(row: int, w: int) -> int:
    return lstm(row, w) + 4 * w + linear(2 * w, 10)


def vit(patch: int, tokens: int, w: int) -> int:
    layer = linear(w, 3 * w) + linear(w, w) + linear(w, 2 * w) + linear(2 * w, w) + 4 * w
    return linear(patch, w) + tokens * w + 2 * layer + 2 * w + linear(w, 10)


SIZES = [
    ("perceptron", DIGITS, perceptron(64), 38_410),
    ("perceptron", COLOR, perceptron(3072), 1_578_506),
    ("article", DIGITS, article(64, 533), 39_985),
    ("article", COLOR, article(3072, 13), 40_089),
    ("mlp", DIGITS, mlp(64, 164), 39_698),
    ("mlp", COLOR, mlp(3072, 12), 37_186),
    ("lenet", DIGITS, lenet(1, 16), 44_426),
    ("lenet", COLOR, lenet(3, 64), 136_886),
    ("resnet", DIGITS, resnet(1, 32), 38_826),
    ("resnet", COLOR, resnet(3, 32), 39_402),
    ("resnet18", DIGITS, resnet18(), 11_181_642),
    ("resnet18", COLOR, resnet18(), 11_181_642),
    ("crnn", DIGITS, crnn(1, 4, 29, kernels=(5, 3)), 39_072),
    ("crnn", COLOR, crnn(3, 8, 21, kernels=(5, 5)), 39_182),
    ("elman", DIGITS, elman(8), 40_714),
    ("elman", COLOR, elman(96), 57_610),
    ("bilstm", DIGITS, bilstm(8, 64), 39_434),
    ("bilstm", COLOR, bilstm(96, 36), 39_466),
    ("vit", DIGITS, vit(4, 16, 48), 39_514),
    ("vit", COLOR, vit(48, 64, 46), 40_628),
]


@pytest.mark.parametrize(("name", "shape", "by_hand", "expected"), SIZES)
def test_parameter_counts_follow_from_the_architecture(name, shape, by_hand, expected):
    spec = at_budget(Choice(name=name), 40_000)
    network = build(spec, shape=shape, classes=10)
    assert count_parameters(network) == by_hand == expected
    assert spec.params is None or abs(expected - 40_000) <= 4_000


def test_every_neural_model_has_a_row_in_the_table_of_sizes():
    assert {row[0] for row in SIZES} == set(NEURAL)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("shape", "classes"), SHAPES)
def test_any_image_shape_and_number_of_classes_is_supported(name, shape, classes):
    network = made(name, shape, classes).eval()
    with torch.no_grad():
        features = network.features(images(shape))
        pooled = network.pool(features)
        logits = network(images(shape))
    family = models.entry(name).facts["family"]
    rows, columns = features.shape[2:]
    if family == "ann":
        assert (rows, columns) == (1, 1)
    elif family == "rnn":
        assert (rows, columns) == (views.positions(shape[1], views.band(shape[1])), 1)
    else:
        assert rows == views.positions(shape[1], views.reduction(shape[1]))
        assert columns == (1 if family == "hybrid" else views.positions(shape[2], views.reduction(shape[2])))
    assert pooled.shape == (3, network.head.in_features)
    assert logits.shape == (3, classes)
    torch.testing.assert_close(logits, network.head(pooled))


@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize("shape", [DIGITS, (1, 1, 1)])
def test_a_batch_of_one_image_can_be_trained_on(name, shape):
    network = made(name, shape, 2).train()
    loss = nn.functional.cross_entropy(network(images(shape, 1)), torch.tensor([1]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_one_image_is_normalized_by_running_statistics_and_does_not_update_them():
    layer = BatchNorm(2).train()
    layer(torch.randn(16, 2, 3, 3, generator=torch.Generator().manual_seed(0)))
    before = [buffer.clone() for buffer in layer.buffers()]
    single = torch.ones(1, 2, 3, 3)
    trained = layer(single)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.buffers(), strict=True))
    torch.testing.assert_close(trained, layer.eval()(single))


def test_batches_of_several_images_are_normalized_as_in_torch():
    grid = images((2, 3, 3), 8)
    torch.testing.assert_close(BatchNorm(2).train()(grid), nn.BatchNorm2d(2).train()(grid))


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_training_bit_for_bit(name):
    def trained() -> list[torch.Tensor]:
        seeding.make_torch_deterministic(3, "init", threads=1)
        network = build(ModelSpec(name=name), shape=DIGITS, classes=10).train()
        assert isinstance(network, Network)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images(DIGITS, 20)), torch.arange(20) % 10).backward()
            optimizer.step()
        return [p.detach() for p in network.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(trained(), trained(), strict=True))


@pytest.mark.parametrize("name", SIZED)
def test_the_search_for_a_width_does_not_change_the_initialization(name):
    searched = made(name, params=40_000)
    width = models.entry(name).facts["step"]
    given = next(
        network for w in range(width, 600, width) if count_parameters(network := made(name, width=w)) == count_parameters(searched)
    )
    assert all(torch.equal(a, b) for a, b in zip(searched.parameters(), given.parameters(), strict=True))


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("params", [10_000, 40_000, 290_000])
@pytest.mark.parametrize("shape", [DIGITS, (1, 28, 28)])
def test_a_budget_is_met_within_ten_percent(name, params, shape):
    assert count_parameters(made(name, shape, params=params)) == pytest.approx(params, rel=0.10)


@pytest.mark.parametrize("name", ["mlp", "resnet", "bilstm", "vit"])
def test_modern_models_and_their_forerunners_have_about_the_same_size(name):
    forerunner = {"mlp": "perceptron", "resnet": "lenet", "bilstm": "elman"}
    assert count_parameters(made(name, params=40_000)) == pytest.approx(40_000, rel=0.1)
    if name in forerunner:
        assert count_parameters(made(forerunner[name])) == pytest.approx(40_000, rel=0.12)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec(name="resnext"), "unknown model 'resnext'; allowed: .*did you mean 'resnet'"),
        (ModelSpec(name="vit", options={"width": 45}), "'vit', width: 45 was given; allowed are multiples of 2"),
        (ModelSpec(name="vit", options={"patch": 9}), "patch: 9 was given; allowed are 1 to 8"),
        (ModelSpec(name="mlp", options={"dropout": 1.0}), "model 'mlp', dropout: 1.0 was given"),
        (ModelSpec(name="bilstm", options={"pool": "max"}), "model 'bilstm', pool: 'max' was given"),
        (ModelSpec(name="lenet", options={"width": 8}), "unknown key 'width' of model 'lenet'"),
        (ModelSpec(name="lenet", params=40_000), "'lenet' has a fixed size; params: 40000 was given; remove params"),
        (ModelSpec(name="svm", params=40_000), "'svm' has a fixed size"),
        (
            ModelSpec(name="mlp", options={"width": 8}, params=40_000),
            "both width and params were given; only one of them is allowed",
        ),
        (ModelSpec(name="resnet", params=20), "cannot have 20 parameters within 10%; the nearest are"),
    ],
)
def test_an_invalid_model_or_option_gives_a_clear_error(spec, message):
    with pytest.raises(InputError, match=message):
        build(spec, shape=DIGITS, classes=10)


@pytest.mark.parametrize(("shape", "classes"), [(DIGITS, 1), ((1, 0, 8), 2)])
def test_one_class_or_no_pixel_is_refused(shape, classes):
    with pytest.raises(InputError, match="needed are at least 2 classes and at least 1 channel, row and column"):
        build(ModelSpec(name="mlp"), shape=shape, classes=classes)


def test_only_models_with_a_free_width_get_a_budget():
    assert at_budget(Choice(name="vit", options={"depth": 3}), 40_000) == ModelSpec(name="vit", options={"depth": 3}, params=40_000)
    assert at_budget(Choice(name="lenet"), 40_000) == ModelSpec(name="lenet")
    assert at_budget(Choice(name="mlp", options={"width": 8}), 40_000).params is None


@pytest.mark.parametrize(
    ("side", "factor"), [(1, 1), (5, 1), (6, 1), (7, 2), (8, 2), (28, 4), (32, 4), (64, 8), (224, 16), (1000, 64)]
)
def test_reduction_of_known_sides(side, factor):
    assert views.reduction(side) == factor


def test_every_side_leaves_4_to_16_positions():
    left = np.array([views.positions(side, views.reduction(side)) for side in range(4, 1500)])
    assert left.min() >= 4
    assert left.max() <= 16
    assert [views.reduction(side) for side in (1, 2, 3)] == [1, 1, 1]


def test_rows_and_patches_keep_every_pixel_in_its_place():
    grid = images((2, 5, 6))
    rows = views.rows(grid, height=2)
    assert rows.shape == (3, 3, 2 * 2 * 6)
    torch.testing.assert_close(rows[:, 1].view(3, 2, 2, 6), grid[:, :, 2:4])
    assert rows[:, 2].view(3, 2, 2, 6)[:, :, 1].eq(0).all()
    patches = views.patches(grid, height=2, width=4)
    assert patches.shape == (3, 3, 2, 2 * 2 * 4)
    torch.testing.assert_close(patches[:, 1, 0].view(3, 2, 2, 4), grid[:, :, 2:4, :4])
    assert patches[:, 0, 1].view(3, 2, 2, 4)[..., 2:].eq(0).all()


@pytest.mark.parametrize(("name", "options"), [("elman", {}), ("bilstm", {"bidirectional": False})])
def test_a_downward_state_does_not_depend_on_the_rows_below(name, options):
    network = made(name, **options).eval()
    grid = images(DIGITS)
    changed = grid.clone()
    changed[:, :, 5:] += 1
    before, after = network.features(grid), network.features(changed)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert not torch.isclose(before[:, :, 5:], after[:, :, 5:]).any(dim=1).all()


def test_the_last_state_of_each_direction_is_the_one_after_the_whole_image():
    network = made("bilstm", pool="last").eval()
    features = network.features(images(DIGITS))
    pooled = network.pool(features)
    torch.testing.assert_close(pooled, torch.cat([features[:, :64, -1, 0], features[:, 64:, 0, 0]], dim=1))


def test_without_position_embeddings_a_transformer_ignores_where_a_patch_is():
    grid = images(DIGITS)
    swapped = torch.cat([grid[:, :, 4:], grid[:, :, :4]], dim=2)
    blind, seeing = made("vit", positions=False).eval(), made("vit").eval()
    torch.testing.assert_close(blind(grid), blind(swapped))
    assert not torch.allclose(seeing(grid), seeing(swapped), atol=1e-3)


def test_a_block_with_a_zero_residual_returns_its_input():
    network = made("resnet", width=4).eval()
    block = next(m for m in network.modules() if type(m).__name__ == "Block")
    nn.init.zeros_(block.conv2.weight)
    grid = images((4, 4, 4))
    assert torch.equal(block(grid), grid)
    block.shortcut = False
    assert block(grid).eq(0).all()
    assert count_parameters(made("resnet", shortcut=False)) == count_parameters(made("resnet"))


def test_quarters_of_even_grids_are_means_over_their_positions():
    features = images((5, 4, 6))
    pool = made("resnet", (1, 16, 24)).pool
    assert pool(features).view(3, 5, 4)[:, :, 3].allclose(features[:, :, 2:, 3:].mean(dim=(2, 3)))
    assert pool(features).shape == (3, 20)


def test_attention_is_torchs_own_multi_head_attention():
    from imagestudy.models.transformer import Attention

    ours, theirs = Attention(8, heads=2), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    tokens = torch.randn(3, 5, 8)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_the_article_model_has_exactly_the_layers_of_the_listing():
    kinds = [type(m).__name__ for m in made("article").modules() if not list(m.children())]
    assert kinds == ["Linear", "ReLU", "Dropout", "OnlyPosition", "Linear"]


def test_forget_gates_start_open_and_recurrent_weights_are_orthogonal():
    rnn = made("bilstm").features.rnn
    assert rnn.bias_ih_l0[64:128].eq(1).all()
    assert rnn.bias_hh_l0.eq(0).all()
    for gate in rnn.weight_hh_l0.split(64):
        torch.testing.assert_close(gate @ gate.T, torch.eye(64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SMALL)
def test_it_overfits_one_batch(name):
    network = made(name).train()
    grid, labels = images(DIGITS, 16), torch.arange(16) % 4
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(grid), labels).backward()
        optimizer.step()
    assert (network.eval()(grid).argmax(dim=1) == labels).all()

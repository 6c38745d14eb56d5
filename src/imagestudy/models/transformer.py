"""Transformers, which split the image into patches; every patch attends to every other patch."""

from typing import Annotated

import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from imagestudy.core.errors import InputError
from imagestudy.models import views
from imagestudy.models.base import Depth, MeanPool, Network, Shape, Width, draw_xavier, models

HEADS = 2


class Positions(nn.Module):
    """Position embeddings: a learned vector for each position of the grid, added to its token.

    The initial vectors are about as large as an embedded patch. With the usual standard deviation of 0.02, a short training hardly
    learns positions.
    """

    def __init__(self, rows: int, columns: int, dim: int):
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(rows * columns, dim))
        nn.init.normal_(self.vectors, std=0.5)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Add the position embeddings to the tokens."""
        return tokens + self.vectors


class Attention(nn.Module):
    """Multi-head self-attention, softmax(QKᵀ/√d)V in each head (Vaswani et al. 2017)."""

    def __init__(self, dim: int, *, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return, for every token, the attention-weighted sum over all tokens."""
        batch, count, dim = tokens.shape
        q, k, v = self.qkv(tokens).view(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        gathered = F.scaled_dot_product_attention(q, k, v)
        return self.out(gathered.transpose(1, 2).reshape(batch, count, dim))


class EncoderLayer(nn.Module):
    """A pre-norm encoder layer: attention, then an MLP with GELU and twice the width, each with a residual connection."""

    def __init__(self, dim: int, *, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads=heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Apply attention, then the MLP."""
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class PatchFeatures(nn.Module):
    """The feature layers of a transformer: patches → tokens → encoder layers → grid of tokens."""

    def __init__(self, embed: nn.Linear, positions: nn.Module, encoder: nn.Module, *, patch: tuple[int, int]):
        super().__init__()
        self.embed = embed
        self.positions = positions
        self.encoder = encoder
        self.patch = patch

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows columns"]:
        """Return the encoded patches at their positions in the grid."""
        height, width = self.patch
        grid = views.patches(images, height=height, width=width)
        tokens = self.encoder(self.positions(self.embed(grid.flatten(1, 2))))
        return rearrange(tokens, "batch (rows columns) dim -> batch dim rows columns", rows=grid.shape[1])


def _patch(shape: Shape, given: int | None) -> tuple[int, int]:
    _, height, width = shape
    if given is None:
        return views.reduction(height), views.reduction(width)
    if given > min(height, width):
        raise InputError(f"model 'vit', patch: {given} was given; allowed are 1 to {min(height, width)} (the image's shorter side)")
    return given, given


@models.register("vit", family="transformer", era="modern", kind="neural", step=HEADS)
def vit(
    shape: Shape,
    classes: int,
    *,
    width: Width = 48,
    depth: Depth = 2,
    positions: bool = True,
    patch: Annotated[int, Field(gt=0)] | None = None,
) -> Network:
    """Build a vision transformer (Dosovitskiy et al. 2021) with small patches, pre-norm layers and mean pooling."""
    height, columns = _patch(shape, patch)
    rows, cols = views.positions(shape[1], height), views.positions(shape[2], columns)
    embed = nn.Linear(shape[0] * height * columns, width)
    places = Positions(rows, cols, width) if positions else nn.Identity()
    encoder = nn.Sequential(*[EncoderLayer(width, heads=HEADS) for _ in range(depth)], nn.LayerNorm(width))
    features = PatchFeatures(embed, places, encoder, patch=(height, columns))
    network = Network(features, MeanPool(), nn.Linear(width, classes))
    draw_xavier(network)
    return network

"""Recurrent networks (RNN), which read the image from top to bottom, one band of rows per time step."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models import views
from imagestudy.models.base import MeanPool, Network, Shape, Width, draw_recurrent, models


class RowFeatures(nn.Module):
    """A recurrent layer over bands of rows. Its states are the features, a grid with one column."""

    def __init__(self, rnn: nn.RNNBase, *, norm: nn.Module, band: int):
        super().__init__()
        self.rnn = rnn
        self.norm = norm
        self.band = band

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows 1"]:
        """Read the bands of rows and return the state after each band."""
        states, _ = self.rnn(views.rows(images, height=self.band))
        return rearrange(self.norm(states), "batch time dim -> batch dim time 1")


class LastState(nn.Module):
    """A pool that returns the last state; with two directions, the last state of each.

    The upward direction ends at the first row.
    """

    def __init__(self, *, bidirectional: bool):
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, features: Float[Tensor, "batch dim rows 1"]) -> Float[Tensor, "batch dim"]:
        """Return the state after the whole image has been read."""
        if not self.bidirectional:
            return features[:, :, -1, 0]
        down, up = features[..., 0].chunk(2, dim=1)
        return torch.cat([down[:, :, -1], up[:, :, 0]], dim=1)


@models.register("elman", family="rnn", era="traditional", kind="neural")
def elman(shape: Shape, classes: int) -> Network:
    """Build a simple recurrent network (Elman 1990) with 192 recurrent tanh units; the head classifies the last state."""
    channels, height, width = shape
    hidden, band = 192, views.band(height)
    rnn = nn.RNN(channels * band * width, hidden, batch_first=True)
    draw_recurrent(rnn)
    return Network(RowFeatures(rnn, norm=nn.Identity(), band=band), LastState(bidirectional=False), nn.Linear(hidden, classes))


@models.register("bilstm", family="rnn", era="modern", kind="neural", step=2)
def bilstm(
    shape: Shape, classes: int, *, width: Width = 64, bidirectional: bool = True, pool: Literal["mean", "last"] = "mean"
) -> Network:
    """Build a bidirectional LSTM that reads the rows downward and upward (Hochreiter & Schmidhuber 1997; Graves 2005).

    Layer norm (Ba et al. 2016) is applied to the states before they are pooled.
    """
    channels, height, columns = shape
    band = views.band(height)
    rnn = nn.LSTM(channels * band * columns, width, bidirectional=bidirectional, batch_first=True)
    draw_recurrent(rnn)
    dim = 2 * width if bidirectional else width
    features = RowFeatures(rnn, norm=nn.LayerNorm(dim), band=band)
    pooling = MeanPool() if pool == "mean" else LastState(bidirectional=bidirectional)
    return Network(features, pooling, nn.Linear(dim, classes))

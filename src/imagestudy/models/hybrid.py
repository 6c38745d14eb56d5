"""Hybrid networks: convolutions read neighborhoods, and a recurrent layer reads the whole image.

The article lists CNNs and RNNs in both of its branches.
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from imagestudy.models.base import MeanPool, Network, Shape, Width, draw_recurrent, models
from imagestudy.models.cnn import draw_he, grid_size, stem, strides


class ConvolutionThenRows(nn.Module):
    """Convolutions, followed by a recurrent layer over the rows of their grid."""

    def __init__(self, convolutions: nn.Module, rnn: nn.RNNBase):
        super().__init__()
        self.convolutions = convolutions
        self.rnn = rnn

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch dim rows 1"]:
        """Read the rows of the grid and return the state after each row."""
        grid = self.convolutions(images)
        states, _ = self.rnn(rearrange(grid, "batch dim row column -> batch row (column dim)"))
        return rearrange(states, "batch row dim -> batch dim row 1")


@models.register("crnn", family="hybrid", era="modern", kind="neural", step=1)
def crnn(shape: Shape, classes: int, *, width: Width = 30) -> Network:
    """Build a convolutional recurrent network (after Shi et al. 2017): two convolutions, then a bidirectional LSTM.

    The LSTM reads the rows of the convolutions' grid. `width` is the number of LSTM units per direction and the number of filters
    of the second convolution. The first convolution has half as many filters.
    """
    channels, height, columns = shape
    first, (second, third) = strides(height, columns, stages=2)
    half = (width + 1) // 2
    convolutions = nn.Sequential(stem(channels, half, (first[0] * second[0], first[1] * second[1])), stem(half, width, third))
    draw_he(convolutions)
    rnn = nn.LSTM(width * grid_size(height, columns)[1], width, bidirectional=True, batch_first=True)
    draw_recurrent(rnn)
    return Network(ConvolutionThenRows(convolutions, rnn), MeanPool(), nn.Linear(2 * width, classes))

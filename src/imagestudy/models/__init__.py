"""All models, with one module per family."""

from imagestudy.models.base import Network, Shape, count_parameters, models
from imagestudy.models.build import at_budget, build, check_size, twin
from imagestudy.models.classical import Classical
from imagestudy.models.keras import KerasNetwork

"""The public sets of images: each one registered function that returns a `Dataset`, beside what is known of it without reading it.

Facts of an entry beyond those of every source: `known` (what the table of data sets says) and `origin` (where its files come from
and lie). Files lie below `paths.data_folder()`, in folders such as torchvision makes where it reads the same files.
"""

from imagestudy.data.public import cifar, idx, land, matlab, signs
from imagestudy.data.public.origin import Known, Origin, Piece, is_here, obtain

__all__ = ["Known", "Origin", "Piece", "cifar", "idx", "is_here", "land", "matlab", "obtain", "signs"]

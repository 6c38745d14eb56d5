"""The public sets of images: each one registered function that returns a `Dataset`, beside what is known of it without reading it.

Facts of an entry beyond those of every source: `known` (what the table of data sets says) and `origin` (where its files come from
and lie). Files lie below `paths.data_folder()`, in folders such as torchvision makes where it reads the same files.
"""

from imagestudy.data.public import cifar, eurosat, gtsrb, matlab, mnist
from imagestudy.data.public.remote import Known, Origin, Piece, is_here, obtain

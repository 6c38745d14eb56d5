"""The public datasets. Each is a registered function that returns a `Dataset`, with facts that are known without reading it.

Besides the facts of every dataset, an entry states `known` (what the tables of datasets show) and `origin` (where its files come
from and where they are stored). Files are stored below `paths.data_folder()`, in the folders that torchvision uses for the same
files.
"""

from imagestudy.data.public import cifar, eurosat, gtsrb, matlab, mnist
from imagestudy.data.public.remote import Known, Origin, Piece, is_here, obtain

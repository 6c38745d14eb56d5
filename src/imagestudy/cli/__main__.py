"""`python -m imagestudy.cli`."""

from imagestudy.cli import main

main()

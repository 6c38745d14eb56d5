"""Run the command line as `python -m imagestudy.cli`."""

from imagestudy.cli import main

main()

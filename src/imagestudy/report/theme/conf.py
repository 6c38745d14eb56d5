"""The Sphinx configuration of every site. Values that differ between studies are in `site.json` beside this file."""

import html
import json
from pathlib import Path

_site = json.loads((Path(__file__).parent / "site.json").read_text(encoding="utf-8"))

project = _site["study"]
html_title = _site["title"]
author = ""
extensions = ["myst_nb", "sphinx-mathjax-offline", "sphinx.ext.mathjax", "imagestudy.report.sphinx_tables"]
exclude_patterns = ["static"]
smartquotes = False

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "gfm"
myst_enable_extensions = ["amsmath", "dollarmath"]

html_theme = "sphinx_book_theme"
html_theme_options = {
    "announcement": html.escape(_site["notice"]),
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "logo": {"text": html.escape(_site["title"])},
    "show_toc_level": 2,
    "use_fullscreen_button": False,
}
html_static_path = ["static"]
html_css_files = ["custom.css"]
html_show_copyright = False
html_show_sphinx = False

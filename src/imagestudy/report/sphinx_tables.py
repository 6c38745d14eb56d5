"""A Sphinx extension that escapes titles and adds style classes to the cells of Markdown tables; HTML tables have them already."""

import html
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from imagestudy.core.text import kinds_of_column

LAST = 1000


def _mark_page(_app: Sphinx, page: nodes.document) -> None:
    for table in page.findall(nodes.table):
        rows = [list(row.findall(nodes.entry)) for row in table.findall(nodes.row)]
        for column in zip(*rows, strict=False):
            for cell, kind in zip(column, kinds_of_column([cell.astext() for cell in column]), strict=True):
                cell["classes"] += kind.split()


def _escape_titles(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: nodes.document | None) -> None:
    """Escape the title in the printed heading and in the name of the search page, because the theme's templates do not."""
    context["pagetitle"] = html.escape(context.get("pagetitle") or "")
    if page == "search":
        context["docstitle"] = html.escape(context["docstitle"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension. Sphinx calls this function."""
    app.connect("doctree-read", _mark_page)
    app.connect("html-page-context", _escape_titles, priority=LAST)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension that escapes titles and adds style classes to the cells of tables.

The style sheet uses the classes to align numbers, highlight verdicts and wrap long text.
"""

import html
import re
from collections.abc import Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

VERDICTS = ("supported", "contradicted", "equivalent", "undecided", "higher", "lower")
NUMBER = re.compile(r"[+−-]?\d[\d.,]*(e[+-]?\d+)? ?[%×s]?( ?\[[^\]]*\])?|\[[\d.,; +−-]*\]|[–—-]|nan", re.IGNORECASE)
LONG = 24
LAST = 1000
TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(t[hd])([^>]*)>(.*?)</\1>", re.DOTALL)


def kinds_of_cells(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return a style class for each cell of a table. The first row is the header.

    A header cell is a number cell if all other cells of its column are numbers or empty. Otherwise, it has no class.

    Args:
        rows: the texts, row by row. The rows may differ in length.

    Returns:
        For each cell: "", "number", "long", or "verdict" followed by the verdict.
    """
    kinds = [[_kind(text) for text in row] for row in rows]
    for column in range(len(kinds[0]) if kinds else 0):
        body = [(texts[column], row[column]) for texts, row in zip(rows[1:], kinds[1:], strict=True) if column < len(row)]
        numeric = any(kind == "number" for _, kind in body) and all(kind == "number" or not text for text, kind in body)
        kinds[0][column] = "number" if numeric else ""
    return kinds


def _kind(text: str) -> str:
    if text.lower() in VERDICTS:
        return f"verdict {text.lower()}"
    if NUMBER.fullmatch(text):
        return "number"
    return "long" if len(text) > LONG else ""


def mark_html(source: str) -> str:
    """Return HTML with the classes of `kinds_of_cells` added to the cells of its tables."""
    return TABLE.sub(lambda table: _mark_table(table[0]), source)


def _mark_table(table: str) -> str:
    rows = [[_text(content) for _, _, content in CELL.findall(row)] for row in ROW.findall(table)]
    kinds = iter([kind for row in kinds_of_cells(rows) for kind in row])

    def mark(cell: re.Match) -> str:
        kind = next(kinds)
        tag, attributes, content = cell.groups()
        return f'<{tag}{attributes} class="{kind}">{content}</{tag}>' if kind and "class=" not in attributes else cell[0]

    return ROW.sub(lambda row: CELL.sub(mark, row[0]), table)


def _text(content: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", content)).split())


def _mark_page(_app: Sphinx, page: nodes.document) -> None:
    for table in page.findall(nodes.table):
        rows = [list(row.findall(nodes.entry)) for row in table.findall(nodes.row)]
        kinds = kinds_of_cells([[" ".join(cell.astext().split()) for cell in row] for row in rows])
        for row, row_kinds in zip(rows, kinds, strict=True):
            for cell, kind in zip(row, row_kinds, strict=True):
                cell["classes"] += kind.split()
    for raw in page.findall(nodes.raw):
        if raw.get("format") == "html":
            raw[:] = [nodes.Text(mark_html(raw.astext()))]


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

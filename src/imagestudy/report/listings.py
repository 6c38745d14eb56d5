"""Tables of models, remedies and data sets for the terminal, and the table of `data/README.md`."""

from collections.abc import Sequence

from imagestudy import data
from imagestudy.core import paths
from imagestudy.core.registry import Registry


def say_entries(registry: Registry, facts: Sequence[str]) -> str:
    """Return one line per registered name: the name, some of its facts, and the first line of its docstring."""
    columns: dict[str, list[object]] = {registry.kind: list(registry.names())}
    entries = [registry.entry(name) for name in registry.names()]
    columns |= {fact: [entry.facts.get(fact, "") for entry in entries] for fact in facts}
    columns["what it is"] = [(entry.function.__doc__ or "").partition("\n")[0] for entry in entries]
    return _tabulate(columns)


def say_datasets() -> str:
    """Return one line per data set, at most 100 characters wide, and a note about data sets that are not on disk."""
    rows = data.list_datasets()
    table = _tabulate({name: [row[name] for row in rows] for name in rows[0]})
    note = f"Data sets that are not on disk are downloaded to {paths.data_folder()} when they are first used."
    return f"{table}\n\n{note} Set the environment variable IMAGESTUDY_DATA to use another folder."


def document_datasets() -> str:
    """Return the table of `data/README.md`: one row per built-in data set."""
    rows = data.document_datasets()
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)))


def _tabulate(columns: dict[str, list[object]]) -> str:
    cells = [_align(name, values) for name, values in columns.items()]
    return "\n".join(" ".join(row).rstrip() for row in zip(*cells, strict=True))


def _align(name: str, values: Sequence[object]) -> list[str]:
    """Return the header and the cells of a column, padded to the same width. Text is aligned left, numbers are aligned right."""
    cells = [name, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)]
    width = max(map(len, cells))
    return [cell.ljust(width) if isinstance(values[0], str) else cell.rjust(width) for cell in cells]

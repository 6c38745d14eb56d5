"""What there is to choose from, as tables for a terminal."""

from collections.abc import Sequence

from imagestudy import data
from imagestudy.core import paths
from imagestudy.core.registry import Registry


def say_entries(registry: Registry, facts: Sequence[str]) -> str:
    """One line a registered name: the name, some of its facts, and the first line of its docstring."""
    columns: dict[str, list[object]] = {registry.kind: list(registry.names())}
    entries = [registry.entry(name) for name in registry.names()]
    columns |= {fact: [entry.facts.get(fact, "") for entry in entries] for fact in facts}
    columns["what it is"] = [(entry.function.__doc__ or "").partition("\n")[0] for entry in entries]
    return _tabulate(columns)


def say_datasets() -> str:
    """One line a data set, at most 100 characters wide, and what becomes of those that are not on disk."""
    rows = data.catalogue()
    table = _tabulate({name: [row[name] for row in rows] for name in rows[0]})
    place = f"into {paths.data_folder()}; IMAGESTUDY_DATA moves that folder."
    return f"{table}\n\nWhat is not on disk is fetched at its first use, {place}"


def _tabulate(columns: dict[str, list[object]]) -> str:
    cells = [_align(name, values) for name, values in columns.items()]
    return "\n".join(" ".join(row).rstrip() for row in zip(*cells, strict=True))


def _align(name: str, values: Sequence[object]) -> list[str]:
    """Head and cells of a column, all as wide as the widest: texts to the left, numbers to the right."""
    cells = [name, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)]
    width = max(map(len, cells))
    return [cell.ljust(width) if isinstance(values[0], str) else cell.rjust(width) for cell in cells]

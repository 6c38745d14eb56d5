"""What is published gives the same numbers as before the package was laid out anew; see golden/README.md."""

import hashlib
import html
import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imagestudy.core import paths
from imagestudy.experiments.records import labels_key
from imagestudy.experiments.store import RunStore

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
NUMBER = re.compile(r"[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


def digest(*parts: object) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else str(part).encode())
        found.update(b"\0")
    return found.hexdigest()[:24]


def digest_store(study: str) -> dict[str, object]:
    """Hash ids, specs, records and arrays as the store gives them, whatever their form on the disk."""
    store = RunStore(paths.published_results(study) / paths.STORE_NAME, read_only=True)
    status = store.status()
    records = store.load(status)
    lines, arrays = [], {}
    for run_id in sorted(status):
        record = records[run_id]
        kept = {name: getattr(record, name) for name in ("scores", "validation", "cost", "facts")}
        spec = json.dumps(json.loads(record.spec.key()), sort_keys=True)
        lines.append(digest(run_id, spec, status[run_id], json.dumps(kept, sort_keys=True), None))
        arrays |= {(run_id, name): array for name, array in record.arrays.items()}
    for key in {labels_key(record.spec.dataset, record.spec.split) for record in records.values()}:
        arrays |= {(key, name): array for name, array in store.load_arrays(key).items()}
    values = [digest(*key, a.dtype.str, a.shape, np.ascontiguousarray(a).tobytes()) for key, a in sorted(arrays.items())]
    return {"runs": len(lines), "records": digest(*lines), "arrays": len(values), "values": digest(*values)}


def digest_table(file: Path) -> dict[str, object]:
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if "cell" in frame:
        frame = frame.sort_values("cell")
    numeric = {}
    for column in frame:
        try:
            pd.to_numeric(frame[column].replace("", "0"))
        except ValueError:
            continue
        numeric[column] = digest(*frame[column])
    return {"rows": len(frame), "columns": numeric}


def list_verdicts(folder: Path) -> list[list[str]]:
    file = folder / "tables" / "verdicts.csv"
    if not file.is_file():
        return []
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    return [list(row) for row in frame[["claim", "claim verdict", "comparison", "verdict"]].itertuples(index=False)]


def list_numbers(notebook: Path) -> list[str]:
    """The numbers in each checked output, in their order."""
    found = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and "nbval-check-output" in cell["metadata"].get("tags", []):
            data = [output.get("data", {}) for output in cell["outputs"]]
            text = "\n".join("".join(one.get("text/html") or one.get("text/markdown") or "") for one in data)
            found.append(" ".join(NUMBER.findall(html.unescape(re.sub(r"<[^>]*>", " ", text)))))
    return found


def describe(study: str) -> dict[str, Any]:
    folder = paths.published_results(study)
    return {
        "store": digest_store(study),
        "tables": {file.name: digest_table(file) for file in sorted((folder / "tables").glob("*.csv"))},
        "verdicts": list_verdicts(folder),
        "checked": {file.stem.partition("_")[2]: list_numbers(file) for file in sorted((folder / "notebooks").glob("*.ipynb"))},
    }


def flat(described: dict[str, Any]) -> dict[str, object]:
    """The parts of a description by place: store, rows and columns of tables, verdicts, and checked outputs."""
    parts: dict[str, object] = {"store": described["store"], "verdicts": described["verdicts"]}
    for file, table in described["tables"].items():
        parts[f"{file}: rows"] = table["rows"]
        parts |= {f"{file}: {column}": digest_ for column, digest_ in table["columns"].items()}
    for notebook, cells in described["checked"].items():
        parts |= {f"{notebook}: checked output {place}": numbers for place, numbers in enumerate(cells)}
    return parts


@pytest.mark.parametrize("study", sorted(GOLDEN))
def test_what_is_published_differs_only_where_it_is_listed_and_explained(study: str) -> None:
    described = describe(study)
    described["tables"] = {name: table for name, table in described["tables"].items() if name in GOLDEN[study]["tables"]}
    golden, published = flat(GOLDEN[study]), flat(described)
    differing = {place for place in golden.keys() | published.keys() if golden.get(place) != published.get(place)}
    listed = json.loads((FOLDER / "differences.json").read_text(encoding="utf-8")).get(study, {})
    new = {place for place in differing if not any(fnmatch(place, pattern) for pattern in listed)}
    assert not new, {place: (golden.get(place), published.get(place)) for place in sorted(new)}
    assert [pattern for pattern in listed if not any(fnmatch(place, pattern) for place in differing)] == []
    assert all(reason.strip() for reason in listed.values())


if __name__ == "__main__":
    made = {study: describe(study) for study in GOLDEN}
    (FOLDER / "golden.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

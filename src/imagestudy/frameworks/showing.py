"""Tables and figures of what may not be there: a sentence stands in their place."""

import html

import pandas as pd
from IPython.display import HTML

from imagestudy import tables

NOT_RECORDED = "No such runs are recorded at this effort."
NOT_INSTALLED = "This needs TensorFlow."


def show(frame: pd.DataFrame, columns: dict[str, str], *, caption: str = "", otherwise: str = NOT_RECORDED) -> HTML:
    """`tables.show`, or a sentence where the frame is empty."""
    return tables.show(frame, columns, caption=caption) if len(frame) else HTML(f"<p>{html.escape(otherwise)}</p>")

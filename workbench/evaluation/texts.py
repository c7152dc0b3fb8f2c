"""A table of documents as the texts a model reads."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.models.contract import Contract


def join_documents(documents: Any, contract: Contract) -> Any:
    """Columns title and text (n,) -> an Arrow string array (n,), joined as the contract says.

    Without the document prompt: encoding and training put that in front themselves.
    """
    title = pc.fill_null(documents["title"], "")
    text = pc.fill_null(documents["text"], "")
    joined = pc.binary_join_element_wise(title, text, contract.title_separator)
    whole = pc.if_else(pc.equal(title, ""), text, joined)
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole

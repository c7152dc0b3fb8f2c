"""'This unjudged hit is right': a judgment that looking at results brought, as a new version."""

from typing import TYPE_CHECKING

from workbench.comparison.explore import (
    Pairing,
    dataset_name,
    document_row,
    query_row,
    read_version,
    row_name,
)
from workbench.data.edit import Changes
from workbench.data.versions import new_version
from workbench.errors import BadInput

if TYPE_CHECKING:
    from workbench.workspace import Workspace

WHAT = "a result was judged right"


def judge(
    workspace: "Workspace", pair: Pairing, query: int, document: int, grade: int = 1
) -> tuple[str, int]:
    """The data set's name, and the number of its new version that has the judgment.

    ``query`` and ``document``: rows of the version that was measured. The judgment is added to the
    current version, which may be a later one, so that nothing corrected since is lost. What was
    measured stays as it is. Raises :class:`BadInput` where it is judged already, or gone.
    """
    then = read_version(workspace, pair.after)
    name = dataset_name(workspace, pair.after)
    now = workspace.datasets.read(name)
    table = then.queries(pair.after.split)
    ids = dict(zip(table["row"].to_pylist(), table["id"].to_pylist(), strict=True))
    if query not in ids or not 0 <= document < then.counts["documents"]:
        raise BadInput("There is no such query or document in what was measured.", "Choose again.")
    document_id = then.documents_at([document])["id"][0].as_py()
    asked = query_row(now, query, ids[query])
    found = document_row(now, document, document_id)
    if asked is None or found is None:
        missing = "query" if asked is None else "document"
        raise BadInput(
            f"The current version of '{name}' no longer has this {missing}.",
            "Make the version that was measured the current one first, on the Data tab.",
        )
    judged = now.edges("judgments", asked, asked + 1)
    known = dict(zip(judged["document"].to_pylist(), judged["grade"].to_pylist(), strict=True))
    if known.get(found, 0) >= 1:
        raise BadInput("It is judged relevant in the current version already.", "Compare again.")
    recipe = {
        "evaluations": [pair.before.id, pair.after.id],
        "rows": [row_name(pair.before), row_name(pair.after)],
        "query": ids[query],
        "document": document_id,
        "grade": grade,
    }
    how = {"what": WHAT, "by": "a person", "recipe": recipe, "counts": {"judgments_added": 1}}
    # One that was judged not relevant makes room for the new judgment.
    drop = [(asked, found)] if found in known else []
    changes = Changes(add_judgments=[(asked, found, grade)], drop_judgments=drop)
    return name, new_version(workspace, name, changes, how, base_version=now.version)

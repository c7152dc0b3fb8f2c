"""The switch of every recipe that measures: whether a query's own document may be found by it."""

from typing import Any, Literal

from workbench.recipes.base import setting

QueryDocument = Literal["auto", "yes", "no"]


def query_document(group: str = "basics") -> Any:
    """The field ``exclude_query_document``."""
    return setting(
        "auto",
        help="Leave the document that has the query's own id out of its ranking, as BEIR and MTEB "
        "do; 'auto' does so where query ids are document ids, unless that document is judged "
        "relevant to the query.",
        group=group,
        advanced=True,
    )

"""What the explorer's list can be narrowed to and sorted by. Imports nothing."""

ALL, GAINED, LOST, UNCHANGED = "all", "gained", "lost", "unchanged"
#: Which queries are listed.
WHICH = (ALL, GAINED, LOST, UNCHANGED)
CHANGE, BEFORE, AFTER, LENGTH, QUERY = "change", "before", "after", "length", "query"
#: What they can be sorted by.
COLUMNS = (CHANGE, BEFORE, AFTER, LENGTH, QUERY)
#: Of each choice, how it is first shown: the column, and whether from the highest down.
FIRST = {
    ALL: (CHANGE, True),
    GAINED: (CHANGE, True),
    LOST: (CHANGE, False),
    # Those that still fail in both come first.
    UNCHANGED: (AFTER, False),
}


def first_order(which: str, by: str | None = None) -> tuple[str, bool]:
    """How a choice is first shown, by its own column or by the one named: values from the highest
    down, texts from A on."""
    if by is None or by == FIRST[which][0]:
        return FIRST[which]
    return by, by != QUERY

"""The rows of a workbook's first sheet, as JSON on lines: a process of its own reads them.

A workbook of a few hundred bytes may say that it has a cell at the far end of its sheet, and is
then unpacked to all of it. So its reader gets a bounded share of memory, and takes nobody along.

``python sheet_rows.py MEGABYTES ROWS < workbook``; ``ROWS`` 0 reads all of them. The first line is
``{"sheets": [...], "read": NAME}`` or ``{"error": TEXT}``, the others ``[number, [cell, ...]]``.
"""

import json
import sys
from typing import Any


def main(megabytes: int, most: int) -> None:
    _bound(megabytes << 20)
    import python_calamine

    try:
        sys.stdin.buffer.seek(0)
        with python_calamine.CalamineWorkbook.from_filelike(sys.stdin.buffer) as book:
            names = [one.name for one in book.sheets_metadata if _is_sheet(one)]
            for name in names:
                sheet = book.get_sheet_by_name(name)
                if sheet.height:
                    _say({"sheets": names, "read": name})
                    _rows(sheet, most)
                    return
            _say({"sheets": names, "read": ""})
    except python_calamine.PasswordError:
        _say({"error": "it is locked with a password"})
    except python_calamine.CalamineError as error:
        _say({"error": f"it is no workbook that is whole ({error})"})
    except MemoryError:
        _say({"error": f"it unpacks to more than {megabytes:,} MB"})


def _bound(most: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such bound.
        return
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _is_sheet(about: Any) -> bool:
    return str(about.typ).endswith("WorkSheet") and str(about.visible).endswith(".Visible")


def _rows(sheet: Any, most: int) -> None:
    first = (sheet.start or (0, 0))[0] + 1
    for number, cells in enumerate(sheet.iter_rows(), first):
        if most and number - first >= most:
            return
        _say([number, [_text(cell) for cell in cells]])


def _text(cell: Any) -> str:
    """As a CSV file would have it."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

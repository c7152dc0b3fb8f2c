"""Writes a small Excel workbook, part by part: nothing we depend on does."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from xml.sax.saxutils import escape

_XML = '<?xml version="1.0"?>'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"

Cell = str | int | float | bool


def workbook(path: Path, **sheets: Sequence[Sequence[Cell]]) -> Path:
    """A workbook with these sheets; returns its path."""
    packed(path, {name: sheet(rows) for name, rows in sheets.items()})
    return path


def packed(path: Path | IO[bytes], sheets: dict[str, str]) -> None:
    """Write a workbook of sheets that are XML already."""
    names = list(enumerate(sheets, 1))
    listed = "".join(f'<sheet name="{one}" sheetId="{at}" r:id="r{at}"/>' for at, one in names)
    links = "".join(
        f'<Relationship Id="r{at}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at, _ in names
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'{_XML}<Types xmlns="{_PACKAGE}/content-types"/>')
        archive.writestr(
            "_rels/.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets>'
            "</workbook>",
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>',
        )
        for at, name in names:
            archive.writestr(f"xl/worksheets/sheet{at}.xml", sheets[name])


def sheet(rows: Sequence[Sequence[Cell]]) -> str:
    said = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    return f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>{said}</sheetData></worksheet>'


def _cell(value: Cell) -> str:
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        text = f'<t xml:space="preserve">{escape(value)}</t>'
        return f'<c t="inlineStr"><is>{text}</is></c>'
    return f"<c><v>{value}</v></c>"

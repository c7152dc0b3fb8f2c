"""What rows look like in the wild. ``recognise`` names the shape of a row by its columns."""

from workbench.data.shapes.recognise import recognise
from workbench.data.shapes.row import Document, Plan, Row

__all__ = ["Document", "Plan", "Row", "recognise"]

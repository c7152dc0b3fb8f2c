"""Commands people already have, read into recipes: FlagEmbedding, EmbedRAG (and RAG-Retrieval),
open-retrievals, sentence-transformers scripts, AutoTrain. Nothing of the text is ever run."""

from workbench.commands.read import read_command
from workbench.commands.reading import DataSource, Imported

__all__ = ["DataSource", "Imported", "read_command"]

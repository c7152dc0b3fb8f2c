"""What is sent and answered: OpenAI's shape for embeddings, Jina's and Cohere's for reranking.

Fields that nobody here knows are let through unread, as clients send many; null means the default.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.errors import BadInput
from workbench.search.protocol import Role

MOST_INPUTS = 2048
MOST_DOCUMENTS = 1000
#: Characters of one text: what is longer is cut by any model, and takes long to be cut.
LONGEST_TEXT = 200_000
MOST_DIMENSIONS = 65_536

InputType = Literal["query", "document", "passage", "search_query", "search_document"]
_ROLES: dict[str, Role] = {
    "query": "query",
    "search_query": "query",
    "retrieval.query": "query",
    "document": "document",
    "passage": "document",
    "search_document": "document",
    "retrieval.passage": "document",
}


class TooLarge(BadInput):
    """More than one request may hold."""

    code = "too-large"


class _Open(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        """Null is no value: clients send it for what they leave out."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}


class TextObject(_Open):
    """A text as some clients wrap it."""

    text: str


class EmbeddingsAsked(_Open):
    """The body of ``POST /v1/embeddings``."""

    model: str = Field(
        description="A served model's name; NAME:query and NAME:document say the role too."
    )
    input: str | TextObject | list[str | TextObject] | list[int] | list[list[int]] = Field(
        description=f"A text, or up to {MOST_INPUTS:,} texts. Lists of tokens are refused."
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64: little-endian float32, as OpenAI's clients ask for it."
    )
    dimensions: int | None = Field(
        None,
        ge=1,
        le=MOST_DIMENSIONS,
        description="Cut the vectors to so many numbers (Matryoshka), to length 1 again where the"
        " model's have it.",
    )
    input_type: InputType | None = Field(
        None, description="What the texts are: the model's prompt and length for it are used."
    )
    task: str | None = Field(
        None, description="Jina's word for it: retrieval.query or retrieval.passage."
    )

    def texts(self) -> list[str]:
        """The texts; raises :class:`BadInput` or :class:`TooLarge`."""
        given = self.input if isinstance(self.input, list) else [self.input]
        if not given:
            raise BadInput("'input' is empty.", "Send a text, or a list of texts.")
        if any(isinstance(one, int | list) for one in given):
            raise BadInput(
                "'input' holds tokens; this server takes texts, since every model has its own"
                " tokens.",
                "Send texts (in LangChain's OpenAIEmbeddings: check_embedding_ctx_length=False).",
            )
        if len(given) > MOST_INPUTS:
            raise TooLarge(
                f"'input' holds {len(given):,} texts, more than {MOST_INPUTS:,}.", "Send fewer."
            )
        return [_text(one, "input", at) for at, one in enumerate(given)]

    def role(self, suffix: Role | None) -> Role:
        """Query or document, a document unless said; raises :class:`BadInput` for two answers."""
        said = {suffix, _ROLES.get(self.input_type or ""), _ROLES.get(self.task or "")} - {None}
        if len(said) > 1:
            raise BadInput(
                "The request calls its texts both queries and documents.",
                "Say it once: by input_type, by task, or behind the model's name.",
            )
        return said.pop() or "document" if said else "document"


class RerankAsked(_Open):
    """The body of ``POST /v1/rerank``."""

    model: str = Field(description="A served reranker or late-interaction model.")
    query: str | TextObject = Field(description="The question.")
    documents: list[str | TextObject] = Field(
        description=f"Up to {MOST_DOCUMENTS:,} texts, bare or as {{'text': ...}}."
    )
    top_n: int | None = Field(None, ge=1, description="Only so many of the best.")
    return_documents: bool = Field(False, description="Whether each result holds its document.")
    raw_scores: bool = Field(
        False,
        description="Scores as the model gives them; else those of a reranker lie between 0 and 1.",
    )

    def texts(self) -> tuple[str, list[str]]:
        """Query and documents; raises :class:`BadInput` or :class:`TooLarge`."""
        if not self.documents:
            raise BadInput("'documents' is empty.", "Send the texts to rerank.")
        if len(self.documents) > MOST_DOCUMENTS:
            raise TooLarge(
                f"'documents' holds {len(self.documents):,} texts, more than {MOST_DOCUMENTS:,}.",
                "Send fewer.",
            )
        query = _text(self.query, "query", None)
        found = [_text(one, "documents", at, empty=True) for at, one in enumerate(self.documents)]
        return query, found


def _text(given: Any, field: str, at: int | None, empty: bool = False) -> str:
    text: str = given.text if isinstance(given, TextObject) else given
    where = f"'{field}'" if at is None else f"'{field}[{at}]'"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise BadInput(
            f"{where} is no text: it holds half of a character ({half}).",
            "Send whole characters.",
        ) from error
    if not text.strip() and not empty:
        raise BadInput(f"{where} is an empty text.", "Leave empty texts out.")
    if len(text) > LONGEST_TEXT:
        raise TooLarge(
            f"{where} has {len(text):,} characters, more than {LONGEST_TEXT:,}.",
            "Send it in parts.",
        )
    return text


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsAnswer(BaseModel):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class RerankResult(BaseModel):
    index: int
    relevance_score: float
    document: TextObject | None = None


class RerankAnswer(BaseModel):
    id: str
    object: Literal["list"]
    model: str
    results: list[RerankResult]
    usage: Usage
    meta: dict[str, Any]


class ModelAnswer(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    kind: str | None
    dimensions: int | None


class ModelsAnswer(BaseModel):
    object: Literal["list"]
    data: list[ModelAnswer]


class Trouble(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class Failure(BaseModel):
    """A refusal, as OpenAI words it."""

    error: Trouble

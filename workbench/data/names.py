"""Names that columns go by, where several readers must agree on them."""

#: Names of the relevant text's own title. The first is what a mapping makes of a title.
OF_POSITIVE = ("pos_title", "positive_title", "passage_title", "document_title", "doc_title")

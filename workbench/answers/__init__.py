"""Written answers over the passages an index finds, with numbered citations. Torch-free."""

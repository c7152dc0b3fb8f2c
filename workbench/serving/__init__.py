"""Models offered to other programs: ``/v1/embeddings`` and ``/v1/rerank``. Torch-free."""

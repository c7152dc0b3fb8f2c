"""Training that decides its own settings by measuring, and says when the base is as good."""

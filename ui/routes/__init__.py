"""Our own routes beside Gradio's: one file per subject, each a FastAPI router."""

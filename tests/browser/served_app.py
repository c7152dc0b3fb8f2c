"""Serves the page as ``python app.py`` does; once stopped, writes down what it had imported.

``python -m tests.browser.served_app FILE [OPTIONS of app.py]``
"""

import sys
from pathlib import Path

import app

if __name__ == "__main__":
    status = app.main(sys.argv[2:])
    Path(sys.argv[1]).write_text("\n".join(sys.modules), encoding="utf-8")
    sys.exit(status)

"""Start the workbench's page: options, workspace, jobs, server.

Heavy imports (Gradio takes most of the start) come after the options were checked and the port was
taken, so that a wrong option answers at once. Torch is never imported here.
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from ui.web.launch import Options, run
from workbench.errors import WorkbenchError


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped; 2 when the options will not do, 1 when the workspace will not."""
    try:
        return run(read_options(arguments))
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 2 if error.bad_input else 1


def read_options(arguments: list[str] | None = None) -> Options:
    """The command line, checked for form only."""
    parser = _Parser(prog="app.py", description="Retrieval Workbench in the browser.")
    add = parser.add_argument
    add("--home", metavar="DIR", help="the workspace's folder (default: WORKBENCH_HOME)")
    add(
        "--host",
        default="127.0.0.1",
        help="the address to listen on; any other needs --auth (%(default)s)",
    )
    add("--port", type=_port, help="exactly this port (default: 7860 or the next free one)")
    add("--root-path", default="", metavar="/PREFIX", help="path prefix set by a reverse proxy")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name under which the page is reached; may be given several times",
    )
    add(
        "--auth",
        nargs="?",
        const="",
        metavar="FILE",
        help="ask for a login: user:password in FILE, or in WORKBENCH_AUTH",
    )
    add(
        "--trust-remote-code",
        action="store_true",
        help="allow models to run their own code",
    )
    add(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a reverse proxy's address or network, whose X-Forwarded-For says who asks; may be"
        " given several times",
    )
    add(
        "--endpoint-key",
        action="append",
        default=[],
        metavar="NAME=ORIGIN",
        help="let endpoints at this scheme, host and port be sent the key in the environment"
        " variable NAME; may be given several times",
    )
    add(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="open the page in the browser",
    )
    add(
        "--serve",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="offer these models to other programs at /v1 (docs/serve.md); the key comes from"
        " WORKBENCH_API_KEY, or is made up and printed",
    )
    add("--mcp", action="store_true", help="offer tools to agents over MCP (docs/serve.md)")
    return Options(**vars(parser.parse_args(arguments)))


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a port: a number from 1 to 65535")


class _Parser(argparse.ArgumentParser):
    """Usage errors end with 2 and one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}. See {Path(sys.argv[0]).name} --help\n")


if __name__ == "__main__":
    sys.exit(main())

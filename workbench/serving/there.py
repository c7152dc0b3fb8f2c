"""Work for a client while it is there: one that went away is not computed for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from workbench.errors import WorkbenchError

T = TypeVar("T")


class Gone(WorkbenchError):
    """Who asked has closed the connection; nobody reads this."""

    code = "gone"


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives; it is cancelled, and :class:`Gone` raised, when the client goes away.

    The request's body has been read before.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone("Who asked has closed the connection.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue

"""The metrics endpoint: ``GET /metrics`` over plain HTTP.    The only user of aiohttp so far."""

import logging
import socket
from collections.abc import Sequence

from aiohttp import web

from mox.base import metrics
from mox.base.log import get_logger

_STOP_S = 1.0  # a scrape in progress may finish

_log = get_logger("metrics")
# aiohttp logs broken requests, as long as the peer makes them; our own errors we log ourselves.
_quiet = logging.getLogger("mox.metrics.aiohttp")
_quiet.disabled = True


class MetricsServer:
    """Serves the metrics of this process on bound sockets.

    There is no login: the listener's address says who may read.
    """

    __slots__ = ("_runner",)

    def __init__(self) -> None:
        application = web.Application(client_max_size=1024)
        application.router.add_get("/metrics", _answer)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            logger=_quiet,
            shutdown_timeout=_STOP_S,
        )

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Answer on these sockets, which are bound and become listening."""
        await self._runner.setup()
        for bound in sockets:
            await web.SockSite(self._runner, bound).start()

    async def stop(self) -> None:
        """Close the sockets and the connections."""
        await self._runner.cleanup()


async def _answer(_request: web.Request) -> web.Response:
    try:
        body = metrics.exposition()
    except Exception as error:
        metrics.unhandled("metrics")
        _log.error("metrics.unhandled", error)
        raise web.HTTPInternalServerError from error
    return web.Response(
        body=body, headers={"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"}
    )

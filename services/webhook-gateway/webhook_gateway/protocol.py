"""uvicorn's protocol with two bounds that it lacks, for `uvicorn --http`: on what a connection makes it hold, and on the log."""

import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BESIDES_BODY = 64 * 1024
"""Bytes of one request: its address, headers, trailers and the sizes of its chunks."""


class Http(HttpToolsProtocol):
    """A connection with a longer head is cut. Nothing is logged of requests that aren't HTTP: anybody can send them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.logger.getChild("requests")
        self.logger.setLevel(logging.ERROR)
        self._besides_body = 0

    def data_received(self, data: bytes) -> None:
        self._besides_body += len(data)
        super().data_received(data)
        if self._besides_body > MOST_BESIDES_BODY:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._besides_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._besides_body = 0
        super().on_message_complete()

"""Applications on a real socket in the test's own loop, and waiting for something to become so."""

import asyncio
import contextlib
import inspect
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C is pytest's."""
        yield


@asynccontextmanager
async def serving(make: Callable[[str], Any], port: int = 0) -> AsyncIterator[str]:
    """The address of the application that `make` makes for it, once it answers; at a free port, unless one is given."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        address = f"http://localhost:{listener.getsockname()[1]}"
        server = _Server(uvicorn.Config(make(address), lifespan="on", log_config=None, timeout_graceful_shutdown=2))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started or task.done())
            if task.done():
                raise RuntimeError("the application did not start")
            yield address
        finally:
            server.should_exit = True
            await task


async def until(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `look` (plain or async) returns, once that is true of it. Fails after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = look()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not so after {seconds} seconds: {inspect.getsource(look).strip()}") from None

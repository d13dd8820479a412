"""Background tasks, ended for certain."""

import asyncio


async def end(task: asyncio.Task[None]) -> None:
    """Cancels until the task is over: while a server is away, a driver underneath may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)

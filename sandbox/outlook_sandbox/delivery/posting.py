"""One post to a client's address, with no more patience and no more memory than it deserves."""

import asyncio
from dataclasses import dataclass

import httpx2

MOST_READ = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is cut after some kilobytes."""

    status: int
    content_type: str
    body: bytes


def make_client() -> httpx2.AsyncClient:
    """Redirects are not followed, and no proxy of this machine is asked: the addresses are on it."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=60)
    return httpx2.AsyncClient(limits=limits, trust_env=False)


async def post(client: httpx2.AsyncClient, address: str, content: bytes, content_type: str, seconds: float) -> Answer:
    """Raises TimeoutError after so many seconds, httpx2.HTTPError or InvalidURL where nobody answers."""
    headers = {"Content-Type": content_type, "Accept-Encoding": "identity"}
    async with asyncio.timeout(seconds):
        async with client.stream("POST", address, content=content, headers=headers, timeout=None) as answer:
            body = b""
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MOST_READ:
                    break
            return Answer(answer.status_code, answer.headers.get("content-type", ""), body[:MOST_READ])

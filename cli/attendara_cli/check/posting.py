"""One post as Microsoft Graph makes it: TLS 1.2, public authorities, no proxy, no redirect followed, a limit on its time."""

import asyncio
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx2

from attendara_cli.check.unreachable import why_unreachable

LARGEST_ANSWER = 64 * 1024
"""Bytes that are read of an answer: far more than a handshake's or a probe's."""


@dataclass(frozen=True)
class Answer:
    """`seconds`: from the first packet to the end of the answer."""

    status: int
    headers: httpx2.Headers
    body: bytes
    seconds: float

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Unreachable(Exception):
    """No connection that could be posted over; why, in words."""


class Unanswered(Exception):
    """The post was sent, and no answer came; why, in words."""


def graphs_trust(authority: Path | None = None) -> ssl.SSLContext:
    """Graph refuses TLS 1.3 as `latestSupportedTlsVersion`, so that 1.2 is what it speaks to us.

    Trusted is Mozilla's list, or `authority` alone, and not what this machine trusts besides. Raises ssl.SSLError for a
    file that holds no certificate.
    """
    trust = ssl.create_default_context(cafile=authority or certifi.where())
    trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_2
    return trust


def graphs_client(trust: ssl.SSLContext, seconds: float) -> httpx2.AsyncClient:
    """A connection for each post. `seconds`: how long it may take to come about."""
    return httpx2.AsyncClient(
        verify=trust,
        trust_env=False,
        timeout=httpx2.Timeout(None, connect=seconds),
        limits=httpx2.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "attendara-check-webhook"},
    )


async def post(client: httpx2.AsyncClient, url: str, body: bytes, media_type: str, seconds: float) -> Answer:
    """Raises Unreachable, or Unanswered when there is no whole answer after `seconds`."""
    sent = {"Content-Type": f"{media_type}; charset=utf-8"}
    began = time.perf_counter()
    try:
        async with asyncio.timeout(seconds), client.stream("POST", url, content=body, headers=sent) as answer:
            read = await _read(answer)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise Unreachable(why_unreachable(error, httpx2.URL(url))) from error
    except TimeoutError as error:
        raise Unanswered(f"no answer within {seconds:g} seconds: see the gateway's log, and what stands in front of it") from error
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise Unanswered(
            f"no answer that can be read ({error or type(error).__name__}): see the log of whatever listens there"
        ) from error
    return Answer(answer.status_code, answer.headers, read, time.perf_counter() - began)


async def _read(answer: httpx2.Response) -> bytes:
    read = b""
    async for chunk in answer.aiter_bytes():
        read += chunk
        if len(read) > LARGEST_ANSWER:
            break
    return read

"""`attendara check webhook`: what an operator reads, for each thing that can be wrong between Graph and the gateway."""

import base64
import html
import json
import re
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
import trustme
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from attendara_cli.__main__ import app
from attendara_cli.check.posting import graphs_trust
from attendara_cli.check.webhook import Limits, address_of, check_webhook
from common.client_state import PROBE_CALENDAR, ClientStates
from tests.serving import serving

KEYS = f"k1:{base64.b64encode(b'o' * 32).decode()}"
CLIENT_STATES = ClientStates([SecretStr(KEYS)])
LOGIN_PAGE = "<!DOCTYPE html><title>Sign in</title>"
NOTES = [
    f"note    localhost leads to {ip} from here, where Microsoft can't reach it: check it from outside, too"
    for ip in sorted({str(found[4][0]) for found in socket.getaddrinfo("localhost", None)})
]
"""One or two: not every machine has IPv6."""

Answering = Callable[[str], Response]
"""An answer to a handshake's token or to a probe's clientState."""


def shaken(token: str) -> Response:
    return PlainTextResponse(token, headers={"X-Content-Type-Options": "nosniff"})


def recognized(client_state: str) -> Response:
    assert CLIENT_STATES.verify(client_state) == PROBE_CALENDAR
    return Response(status_code=202, headers={"Attendara-Probe": "recognized"})


@dataclass
class Gateway:
    """Answers well, unless told otherwise, and keeps what it was asked."""

    shake: Answering = shaken
    probe: Answering = recognized
    url: str = ""
    asked: list[tuple[Request, bytes]] = field(default_factory=list)

    def app(self, url: str) -> Starlette:
        self.url = url
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.asked.append((request, body))
        if "validationToken" in request.query_params:
            return self.shake(request.query_params["validationToken"])
        return self.probe(json.loads(body)["value"][0]["clientState"])


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    fake = Gateway()
    async with serving(fake.app):
        yield fake


async def findings(url: str, trust: ssl.SSLContext | None = None, **limits: float) -> list[str]:
    checking = check_webhook(address_of(url), CLIENT_STATES, trust or graphs_trust(), Limits(**limits))
    return [finding.line async for finding in checking]


async def failures(url: str, trust: ssl.SSLContext | None = None, **limits: float) -> list[str]:
    return [line.removeprefix("failed  ") for line in await findings(url, trust, **limits) if line.startswith("failed")]


async def test_a_gateway_that_answers_well_is_ok_at_both_paths(gateway: Gateway) -> None:
    lines = await findings(gateway.url)

    paths = ["/graph/notifications", "/graph/lifecycle"]
    names = [f"ok      {check} {gateway.url}{path}:" for path in paths for check in ("handshake", "probe")]
    assert [line[: len(name)] for line, name in zip(lines, names, strict=False)] == names
    assert lines[4:] == [*NOTES, "note    http will do on this machine; Graph posts to https alone"]


async def test_it_posts_as_graph_does(gateway: Gateway) -> None:
    await findings(gateway.url)

    handshakes, probes = gateway.asked[::2], gateway.asked[1::2]
    assert {(one.headers["content-type"], body) for one, body in handshakes} == {("text/plain; charset=utf-8", b"")}
    tokens = {one.query_params["validationToken"] for one, _ in handshakes}
    assert len(tokens) == 2
    assert all(quote_plus(token) != token != html.escape(token) for token in tokens)
    assert {one.headers["content-type"] for one, _ in probes} == {"application/json; charset=utf-8"}
    notification, lifecycle = (json.loads(body)["value"][0] for _, body in probes)
    both = {"subscriptionId", "subscriptionExpirationDateTime", "clientState", "tenantId"}
    assert set(notification) == both | {"changeType", "resource", "resourceData"}
    assert set(lifecycle) == both | {"lifecycleEvent"}


async def test_a_path_in_front_and_a_query_string_are_kept_and_the_query_is_not_shown(gateway: Gateway) -> None:
    lines = await findings(f"{gateway.url}/hooks/?code=secret")

    assert not [line for line in lines if line.startswith("failed") or "secret" in line]
    assert [one.url.path for one, _ in gateway.asked[::2]] == ["/hooks/graph/notifications", "/hooks/graph/lifecycle"]
    assert all(one.query_params["code"] == "secret" for one, _ in gateway.asked)


async def test_an_address_with_one_of_the_paths_is_checked_alone(gateway: Gateway) -> None:
    await findings(f"{gateway.url}/hooks/graph/lifecycle")

    assert [one.url.path for one, _ in gateway.asked] == ["/hooks/graph/lifecycle"] * 2


def plain(status: int) -> Answering:
    return lambda _: PlainTextResponse("no", status)


def said(change: Callable[[str], str]) -> Answering:
    return lambda token: PlainTextResponse(change(token))


def to(where: str, status: int) -> Answering:
    return lambda _: RedirectResponse(where, status)


WRONG_HANDSHAKES: list[tuple[Answering, str]] = [
    (plain(400), "400: what arrived isn't what was posted"),
    (plain(401), "401: something in front (a sign-in, a firewall, a list of addresses) refuses"),
    (plain(403), "403: something in front (a sign-in, a firewall, a list of addresses) refuses"),
    (plain(404), "404: nobody serves this path"),
    (plain(405), "405: POST isn't allowed at this path"),
    (plain(418), "418 instead of 200, which the webhook gateway never answers"),
    (plain(429), "429: a limit on the rate"),
    (plain(500), "500: the gateway, or what stands in front of it, fails"),
    (plain(502), "502: what stands in front can't reach the gateway"),
    (plain(503), "503: the gateway has no broker"),
    (plain(504), "504: what stands in front waited for the gateway in vain"),
    (plain(202), "202 instead of 200, which the webhook gateway never answers"),
    (to("/graph/notifications/?validationToken=x", 308), "308: it redirects to {url}/graph/notifications/, and"),
    (to("https://sso.example/oauth2/authorize?state=x", 302), "302: it redirects to a sign-in at https://sso.example/oauth2/authorize;"),
    (lambda _: Response(status_code=304), "304: it redirects"),
    (lambda _: HTMLResponse(LOGIN_PAGE), "the content type is text/html, and Graph wants text/plain; it is a web page"),
    (lambda token: JSONResponse(token), "the content type is application/json"),
    (lambda token: Response(token), "the content type is missing"),
    (said(quote_plus), "the token is still URL-encoded"),
    (said(lambda token: token.replace("+", " ")), "the token was URL-decoded twice"),
    (said(html.escape), "the token is escaped for HTML"),
    (said(json.dumps), "the token stands in quotes"),
    (said(lambda token: f"{token}\n"), "something stands around the token"),
    (said(lambda _: ""), "the answer is empty"),
    (said(lambda _: "hello \x1b[2J"), r"the answer isn't the token but 'hello \x1b[2J'"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "words"), WRONG_HANDSHAKES, ids=[words for _, words in WRONG_HANDSHAKES])
async def test_a_wrong_answer_to_a_handshake_is_told(gateway: Gateway, answer: Answering, words: str) -> None:
    gateway.shake = answer

    told = await failures(f"{gateway.url}/graph/notifications")

    name = f"handshake {gateway.url}/graph/notifications: "
    assert [line.startswith(name + words.format(url=gateway.url)) for line in told] == [True], told
    assert {one.url.path for one, _ in gateway.asked} == {"/graph/notifications"}


WRONG_PROBES: list[tuple[Answering, str]] = [
    (plain(202), "202, but it wasn't recognized: the gateway has another key k1 in CLIENT_STATE_KEYS"),
    (plain(413), "413: the body is too large"),
    (plain(503), "503: the gateway has no broker, too much to do, or is about to stop"),
    (plain(200), "200 instead of 202, which the webhook gateway never answers"),
    (lambda _: HTMLResponse(LOGIN_PAGE), "200 instead of 202, which the webhook gateway never answers: something else does; it is"),
    (to("https://login.example/", 302), "302: it redirects to a sign-in at https://login.example/;"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "words"), WRONG_PROBES, ids=[words for _, words in WRONG_PROBES])
async def test_a_wrong_answer_to_a_probe_is_told(gateway: Gateway, answer: Answering, words: str) -> None:
    gateway.probe = answer

    told = await failures(f"{gateway.url}/graph/lifecycle")

    assert [line.startswith(f"probe {gateway.url}/graph/lifecycle: {words}") for line in told] == [True], told


async def test_an_answer_that_is_late_is_told_with_its_seconds(gateway: Gateway) -> None:
    told = await failures(gateway.url, slow=0)

    assert len(told) == 4
    assert all(re.search(r"answered well, but after \d+\.\d\d seconds: ", line) for line in told)


async def test_a_header_that_was_taken_away_is_told_and_fails_nothing(gateway: Gateway) -> None:
    gateway.shake = said(str)

    lines = await findings(gateway.url)

    assert [line.startswith("ok") for line in lines[:4]] == [True] * 4
    assert "X-Content-Type-Options: nosniff was taken away" in lines[0]


async def test_the_proxy_of_this_machine_is_not_used_and_that_is_told_when_there_is_no_way(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://localhost:1")

    assert not await failures(gateway.url)
    assert "note    this machine's proxy wasn't used, as Graph won't use it" in "\n".join(await findings("http://localhost:1"))


async def test_http_is_for_this_machine_alone() -> None:
    assert await findings("http://gateway.example") == [
        "failed  address: Graph posts to https alone: put TLS in front, and give the https address"
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"https://{'a' * 64}.example", f"the DNS has no address for {'a' * 64}.example: is it spelled right"),
        ("https://localhost:1", "nothing listens at localhost:1: the connection was refused"),
    ],
    ids=["no such name", "refused"],
)
async def test_that_there_is_no_connection_is_told_once(url: str, words: str) -> None:
    told = await failures(url)

    assert [line.startswith(f"connection: {words}") for line in told] == [True], told


@contextmanager
def listening(meet: Callable[[socket.socket], Any]) -> Iterator[int]:
    """A port at which `meet` is called with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    meet(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def hang_up(connection: socket.socket) -> None:
    connection.recv(4096)


def wait(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def speak_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


async def test_a_connection_that_is_closed_without_an_answer_is_told() -> None:
    with listening(hang_up) as port:
        told = await failures(f"http://localhost:{port}/graph/lifecycle")

    assert [line.partition(": ")[2].startswith("no answer that can be read (") for line in told] == [True, True], told


async def test_an_answer_that_does_not_come_is_told() -> None:
    with listening(wait) as port:
        told = await failures(f"http://localhost:{port}/graph/lifecycle", answer=0.1)

    assert ["no answer within 0.1 seconds: see the gateway's log" in line for line in told] == [True, True], told


@pytest.mark.parametrize(
    ("meet", "words"),
    [
        (wait, "no connection to localhost:{port} in time: a firewall drops it"),
        (hang_up, "the connection was closed while TLS was agreed on: does localhost speak TLS 1.2 at port {port}?"),
        (speak_http, "no TLS is spoken at port {port}: is it the port for http?"),
    ],
)
async def test_that_no_tls_is_spoken_is_told(meet: Callable[[socket.socket], Any], words: str) -> None:
    with listening(meet) as port:
        told = await failures(f"https://localhost:{port}", connecting=0.5)

    assert [line.startswith(f"connection: {words.format(port=port)}") for line in told] == [True], told


class TlsGateway(BaseHTTPRequestHandler):
    """A gateway that answers well."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0].encode()
        self.send_response(200 if token else 202)
        for name, value in {
            "Content-Type": "text/plain",
            "X-Content-Type-Options": "nosniff",
            "Attendara-Probe": "recognized",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(token)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@dataclass
class TlsServer:
    """Not asyncio's own: when TLS can't be agreed on, that one says so to nobody, as a server that is in use would."""

    certificate: trustme.LeafCert | trustme.CA
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    @contextmanager
    def running(self) -> Iterator[str]:
        context = self._context()

        class Server(ThreadingHTTPServer):
            def get_request(self) -> tuple[socket.socket, Any]:
                connection, address = super().get_request()
                return context.wrap_socket(connection, server_side=True), address

        with Server(("127.0.0.1", 0), TlsGateway) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            yield f"https://localhost:{server.server_port}"
            server.shutdown()
            thread.join()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version, context.maximum_version = self.lowest, self.highest
        if isinstance(self.certificate, trustme.LeafCert):
            self.certificate.configure_cert(context)
        else:
            with NamedTemporaryFile() as file:
                file.write(self.certificate.private_key_pem.bytes() + self.certificate.cert_pem.bytes())
                file.flush()
                context.load_cert_chain(file.name)
        return context


AUTHORITY = trustme.CA()
GOOD = AUTHORITY.issue_cert("localhost")
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (TlsServer(AUTHORITY.issue_cert("localhost", not_after=YESTERDAY)), "the certificate has expired: renew it"),
        (TlsServer(AUTHORITY.issue_cert("localhost", not_before=YESTERDAY + timedelta(days=2))), "the certificate isn't valid yet"),
        (TlsServer(AUTHORITY.issue_cert("other.example")), "the certificate is for another name than localhost"),
        (TlsServer(trustme.CA()), "the certificate is self-signed: Graph wants one"),
        (
            TlsServer(trustme.CA().issue_cert("localhost")),
            "the certificate's authority isn't publicly trusted, or the intermediate",
        ),
        (TlsServer(GOOD, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1), "no TLS 1.2 "),  # which alert it is depends on OpenSSL
        (TlsServer(GOOD, ssl.TLSVersion.TLSv1_3), "no TLS 1.2 is spoken, and Graph speaks no other"),
    ],
    ids=["expired", "not yet valid", "another name", "self-signed", "unknown authority", "TLS 1.1", "TLS 1.3 alone"],
)
async def test_what_is_wrong_with_tls_is_told(server: TlsServer, words: str, ca: Path) -> None:
    with server.running() as url:
        told = await failures(url, graphs_trust(ca))

    assert [line.startswith(f"connection: {words}") for line in told] == [True], told


async def test_an_authority_that_is_not_public_is_not_trusted_unless_it_is_given(ca: Path) -> None:
    with TlsServer(GOOD).running() as url:
        untold, told = await failures(url), await findings(url, graphs_trust(ca))

    assert [line.startswith("connection: the certificate's authority isn't publicly trusted") for line in untold] == [True]
    assert [line[:7] for line in told] == ["ok     "] * 4 + ["note   "] * len(NOTES)


def command(*arguments: str, keys: str = KEYS) -> tuple[int, str]:
    """The code that the command ends with, and all that it says."""
    ended = CliRunner().invoke(app, ["check", "webhook", *arguments], env={"CLIENT_STATE_KEYS": keys})
    return ended.exit_code, ended.output


def test_the_command_ends_with_0_when_all_is_well(ca: Path) -> None:
    with TlsServer(GOOD).running() as url:
        code, output = command(url, "--ca", str(ca))

    assert (code, output.count("ok "), output.count("failed")) == (0, 4, 0)
    assert f"note    the authority of {ca} is trusted here; Microsoft trusts public ones alone" in output
    assert all(note in output for note in NOTES)


def test_the_command_ends_with_1_when_something_is_wrong() -> None:
    assert command("https://localhost:1")[0] == 1


@pytest.mark.parametrize(
    "address", ["", "gateway.example", "ftp://localhost", "https://", "https://localhost:x", "https://me:secret@localhost"]
)
def test_the_command_ends_with_2_when_it_is_misused(address: str) -> None:
    code, output = command(address)

    assert code == 2
    assert "an address is like https://gateway.example" in output
    assert "secret" not in output


def test_a_file_without_a_certificate_is_misuse(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")

    code, output = command("https://localhost:1", "--ca", str(tmp_path / "ca.pem"))

    assert code == 2
    assert "holds no certificate" in output


def test_without_the_gateways_keys_nothing_is_posted() -> None:
    code, output = command("https://localhost:1", keys="")

    assert (code, output.splitlines()[1:]) == (1, ["  CLIENT_STATE_KEYS: is missing"])

"""auth's internal door: who may come in, what is written of each call, what is too much, and how it is described."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase
from structlog.testing import capture_logs

from attendara_cli.keys import list_keys
from attendara_cli.settings import Settings as CliSettings
from auth.settings import Settings
from common.errors import Transient
from common.graph.tokens import AccessTokens, auth_client
from common.settings import AuthClientSettings
from common.web import LARGEST_CALL, Problem
from tests.e2e.otlp import Collector, collecting
from tests.integration.auth_world import CREDENTIAL, Auth, Document, Sandbox, auth_process, running
from tests.servers import Servers
from tests.serving import until

JSON, PROBLEM = {"Content-Type": "application/json"}, "application/problem+json"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("credential", [None, "Bearer settings-web:wrong", "Basic abc", "Bearer "])
async def test_nobody_gets_in_without_a_service_credential(auth: Auth, credential: str | None) -> None:
    auth.http.headers.pop("Authorization")
    headers = {"Authorization": credential} if credential else {}
    for method, path in [("GET", "/connections?organization=o"), ("POST", "/connections/con_1/token"), ("POST", "/announce")]:
        assert (await auth.http.request(method, f"/internal/v1{path}", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("connects", {"return_to": "https://evil.example/"}),
        ("connects", {"return_to": "//evil.example/"}),
        ("connects", {"return_to": "/\\evil.example"}),
        ("connects", {"binding": "not a hash"}),
        ("connects/finish", {"query": {"code": "the-secret-code" * 1000}}),
        ("connects/finish", {"query": "the-secret-code"}),
        ("connections/con_1/token", {"claims": "the-secret-code"}),
        ("connections/con_1/token", {"claims": '{"a":' + "[" * 3_900}),
        ("connections/con_1/token", {"refused": "the-secret-code"}),
    ],
)
async def test_bad_input_is_refused_and_not_repeated(auth: Auth, path: str, body: Document) -> None:
    answer = await auth.http.post(f"/internal/v1/{path}", json=auth.asker | body)

    assert (answer.status_code, answer.json()["title"]) == (422, "invalid")
    assert next(iter(body)) in answer.json()["detail"]
    assert "the-secret-code" not in answer.text


async def test_several_credentials_of_one_caller_are_valid_at_once_until_one_is_taken_away(
    settings: Settings, database: AsyncDatabase[Document], redis_url: str, organization: str
) -> None:
    async def answers(*accepted: str) -> list[int]:
        own = settings.model_copy(update={"service_credentials": [SecretStr(credential) for credential in accepted]})
        async with running(own, database, redis_url, organization) as auth:
            await auth.ready()
            shown = [{"Authorization": f"Bearer settings-web:{secret}"} for secret in ("old", "new")]
            return [(await auth.http.get("/internal/v1/keys", headers=headers)).status_code for headers in shown]

    assert await answers("settings-web:old") == [200, 401]
    assert await answers("settings-web:new", "settings-web:old", "cli:another") == [200, 200]
    assert await answers("settings-web:new", "cli:another") == [401, 200]


async def test_each_call_is_one_line_with_its_caller_and_nothing_of_what_was_sent(auth: Auth) -> None:
    connection = await auth.connected()
    with capture_logs() as lines:
        await auth.token(connection)
        await auth.token("con_unknown", refused="0" * 64)
        await auth.http.get("/internal/v1/connections", params={"organization": "org_hush"})
        await auth.http.get("/internal/v1/keys", headers={"Authorization": "Bearer cli:another"})
        await auth.http.get("/internal/v1/keys", headers={"Authorization": "Bearer hush:hush"})
        await auth.http.post("/internal/v1/connects", json=auth.asker | {"return_to": "https://hush.example"})
        await auth.http.get("/internal/v1/nothing", params={"hush": "hush"})
        await auth.http.get("/livez")

    calls = [line for line in lines if line["event"] == "internal call"]
    assert [(line["caller"], line["method"], line["route"], line["status"]) for line in calls] == [
        ("settings-web", "POST", "/internal/v1/connections/{connection}/token", 200),
        ("settings-web", "POST", "/internal/v1/connections/{connection}/token", 404),
        ("settings-web", "GET", "/internal/v1/connections", 200),
        ("cli", "GET", "/internal/v1/keys", 200),
        (None, "GET", "/internal/v1/keys", 401),
        ("settings-web", "POST", "/internal/v1/connects", 422),
        ("settings-web", "GET", None, 404),
    ]
    assert all(line["seconds"] >= 0 for line in calls)
    assert "hush" not in repr(lines)


@pytest.mark.parametrize("said", [True, False], ids=["with its length", "in chunks"])
async def test_a_body_that_is_too_large_is_not_read_to_its_end(auth: Auth, said: bool) -> None:
    begun = json.dumps(auth.asker | {"return_to": "/" + "x" * 400}).encode()
    sent: list[int] = []

    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield begun.ljust(1024)
        for _ in range(size // 1024 - 1):
            sent.append(1024)
            yield b" " * 1024

    async def post(size: int) -> httpx2.Response:
        content: Any = begun.ljust(size) if said else chunks(size)
        return await auth.http.post("/internal/v1/connects", content=content, headers={"Content-Type": "application/json"})

    with capture_logs() as lines:
        fits, too_large = await post(LARGEST_CALL), await post(LARGEST_CALL + 1024)
    sent.clear()
    endless = await post(LARGEST_CALL * 100)

    assert fits.status_code == 201
    assert [(answer.status_code, answer.json()["title"]) for answer in (too_large, endless)] == [(413, "too-large")] * 2
    assert sum(sent) <= LARGEST_CALL
    assert [(line["caller"], line["status"]) for line in lines] == [("settings-web", 201), ("settings-web", 413)]


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/internal/v1/nothing", 404, "not-found"),
        ("PUT", "/internal/v1/connections", 405, "method-not-allowed"),
        ("GET", "/internal/v1/connects", 405, "method-not-allowed"),
    ],
)
async def test_an_unknown_path_or_method_is_a_problem_document_too(
    auth: Auth, method: str, path: str, status: int, title: str
) -> None:
    answer = await auth.http.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = Problem.model_validate(answer.json())
    assert (problem.type, problem.title, problem.status) == (f"urn:attendara:{title}", title, status)
    assert ("allow" in answer.headers) == (status == 405)


NASTY: list[Any] = ["x" * 60_000, "\x00", "\ud800", "$where", {"$gt": ""}, [[]], None, 10**400, -1, True, "\u202e\U0001f5d3", {}]


@pytest.mark.parametrize("nasty", NASTY, ids=lambda value: repr(value)[:12])
async def test_nothing_that_can_be_sent_is_an_error_of_ours(auth: Auth, nasty: Any) -> None:
    bodies: list[tuple[str, str, Document]] = [
        ("POST", "connects", auth.asker | {"return_to": "/here", "connection": "con_1"}),
        ("POST", "connects/finish", auth.asker | {"query": {"state": "s", "code": "c"}}),
        ("POST", "connections/con_1/token", {"refused": "0" * 64, "claims": "{}"}),
        ("PATCH", "connections/con_1", {"organization": "org_1", "name": "Front", "user": "usr_1"}),
        ("POST", "keys/rotate", {"to": "k1", "after": "", "limit": 1}),
    ]
    answers = []
    for method, path, right in bodies:
        for name in right:
            wrong = [right | {name: nasty}, {key: value for key, value in right.items() if key != name}]
            wrong += [right | {name: {"code": nasty}}, right | {name: {str(nasty): "code"}}]
            for body in (nasty, *wrong):
                content = json.dumps(body)
                answers.append(await auth.http.request(method, f"/internal/v1/{path}", content=content, headers=JSON))
    for path in ("connections?organization={}", "connections/con_1/history?organization={}", "announce?organization={}"):
        method = "POST" if path.startswith("announce") else "GET"
        query = httpx2.QueryParams({"organization": str(nasty).encode(errors="replace").decode()})
        answers.append(await auth.http.request(method, f"/internal/v1/{path.partition('?')[0]}", params=query))
        answers.append(await auth.http.delete("/internal/v1/connections/con_1", params={**query, "user": "u" * 301}))

    assert {answer.status_code for answer in answers} <= {200, 201, 404, 409, 413, 422}


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 10_000, b"9" * 5_000, b"NaN", b'"' + b"\\u0000" * 9_000 + b'"']
)
async def test_a_body_that_is_no_json_is_refused_in_words(auth: Auth, content: bytes) -> None:
    answer = await auth.http.post("/internal/v1/connects", content=content, headers=JSON)

    assert (answer.status_code, answer.json()["title"]) in [(400, "malformed"), (422, "invalid")]
    assert len(answer.content) < 2_000


@pytest.mark.parametrize("path", ["connections/{}", "connections/{}/token", "connections/{}/history"])
async def test_an_endless_id_is_refused(auth: Auth, path: str) -> None:
    method = {"token": "POST", "history": "GET"}.get(path.rpartition("/")[2], "DELETE")
    address = f"/internal/v1/{path.format('c' * 5_000)}"

    assert (await auth.http.request(method, address, params={"organization": "org_1"})).status_code == 422


async def test_a_connection_has_a_link_for_the_administrator_of_its_tenant(auth: Auth) -> None:
    connection = await auth.connected()
    path, tenant = f"/internal/v1/connections/{connection}/admin-consent", (await auth.stored(connection))["tid"]

    given = await auth.http.get(path, params={"organization": auth.organization})
    assert f"/{tenant}/v2.0/adminconsent?" in given.json()["url"]
    assert (await auth.http.get(path, params={"organization": "org_another"})).status_code == 404


async def test_every_call_is_described_with_an_example_and_with_every_way_it_is_refused(auth: Auth) -> None:
    described = (await auth.http.get("/openapi.json")).json()
    paths = described["paths"]

    assert {(method.upper(), path.removeprefix("/internal/v1")) for path in paths for method in paths[path]} == {
        ("POST", "/connects"),
        ("POST", "/connects/finish"),
        ("GET", "/connections"),
        ("PATCH", "/connections/{connection}"),
        ("DELETE", "/connections/{connection}"),
        ("POST", "/connections/{connection}/token"),
        ("GET", "/connections/{connection}/admin-consent"),
        ("GET", "/connections/{connection}/history"),
        ("GET", "/keys"),
        ("POST", "/keys/rotate"),
        ("POST", "/announce"),
    }
    for path, operation in ((path, operation) for path, methods in paths.items() for operation in methods.values()):
        responses = operation["responses"]
        assert operation["summary"], path
        assert operation["description"], path
        assert {"400", "401", "413", "422", "503"} <= set(responses)
        assert ("{connection}" in path) <= ("404" in responses)
        done = next(responses[status] for status in responses if status < "300")["content"]["application/json"]
        assert "example" in json.dumps(with_schemas(done, described)), path
        sent = operation.get("requestBody", {"examples": "none is sent"})
        assert "example" in json.dumps(with_schemas(sent, described)), path
        for status in (status for status in responses if status >= "400"):
            [(kind, content)] = responses[status]["content"].items()
            examples = [Problem.model_validate(example["value"]) for example in content["examples"].values()]
            assert (kind, {example.status for example in examples}) == (PROBLEM, {int(status)})
    refusals = paths["/internal/v1/connections/{connection}/token"]["post"]["responses"]["409"]["content"][PROBLEM]["examples"]
    assert set(refusals) == {"needs-reconnect", "needs-admin-consent"}
    assert all(schema.get("description") for schema in described["components"]["schemas"].values())


def with_schemas(part: Any, described: Document) -> Any:
    """With every `$ref` followed."""
    match part:
        case {"$ref": str(reference)}:
            return with_schemas(described["components"]["schemas"][reference.rpartition("/")[2]], described)
        case dict():
            return {name: with_schemas(value, described) for name, value in part.items()}
        case list():
            return [with_schemas(value, described) for value in part]
    return part


async def test_auth_starts_as_a_process_and_goes_on_with_the_callers_trace(
    sandbox: Sandbox, servers: Servers, database: AsyncDatabase[Document], tmp_path: Path
) -> None:
    with collecting() as collector:
        traces = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.address}/v1/traces", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        async with (
            auth_process(sandbox, servers, database, tmp_path, None, **traces) as url,
            httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {CREDENTIAL}"}) as http,
        ):
            answer = await http.get(
                "/internal/v1/connections", params={"organization": "org_hush"}, headers={"traceparent": PARENT}
            )
            await http.get("/internal/v1/keys", headers={"Authorization": "Bearer hush:hush"})
            await until(lambda: seen(collector, "/internal/v1/connections") and seen(collector, "/internal/v1/keys"))

    assert (answer.status_code, answer.json()) == (200, [])
    [span], [refused] = seen(collector, "/internal/v1/connections"), seen(collector, "/internal/v1/keys")
    assert (span.trace, span.parent) == tuple(PARENT.split("-")[1:3])
    assert span.attributes["attendara.caller"] == "settings-web"
    assert "attendara.caller" not in refused.attributes
    assert "hush" not in repr(collector.spans)
    log = (tmp_path / "logs" / "auth.log").read_text()
    [line] = [one for one in map(json.loads, log.splitlines()) if one.get("route") == "/internal/v1/connections"]
    assert (line["caller"], line["status"], line["trace_id"]) == ("settings-web", 200, span.trace)
    assert "hush" not in log


def seen(collector: Collector, route: str) -> list[Any]:
    return [span for span in collector.spans if span.attributes.get("http.route") == route]


async def test_the_door_serves_tls_to_callers_that_were_told_the_authority(
    sandbox: Sandbox, servers: Servers, database: AsyncDatabase[Document], tmp_path: Path
) -> None:
    authority, ca, certificate, key = trustme.CA(), tmp_path / "ca.pem", tmp_path / "tls.crt", tmp_path / "tls.key"
    authority.cert_pem.write_to_path(ca)
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(key)
    own.cert_chain_pems[0].write_to_path(certificate)
    mounted = {"UVICORN_SSL_CERTFILE": str(certificate), "UVICORN_SSL_KEYFILE": str(key)}

    async with auth_process(sandbox, servers, database, tmp_path, ca, **mounted) as url:
        told = AuthClientSettings(auth_url=url, auth_ca_file=ca, service_credential=SecretStr(CREDENTIAL))
        untold = told.model_copy(update={"auth_ca_file": None})
        async with auth_client(told) as http, auth_client(untold) as other:
            answer = await http.get("/internal/v1/connections", params={"organization": "org_1"})
            with pytest.raises(Transient, match="ConnectError"):
                await AccessTokens(other).get("con_1")
        said: list[str] = []
        await list_keys(CliSettings(auth_url=url, auth_ca_file=ca, service_credential=SecretStr("cli:another")), said.append)
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(url.replace("https:", "http:") + "/livez", trust_env=False)

    assert (answer.status_code, answer.json()) == (200, [])
    assert said == ["  k1: 0 records (active)"]

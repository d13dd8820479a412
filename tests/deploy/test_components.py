"""The components say what the code says: topics, marks, consumer groups, public addresses."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from bson import json_util

import settings_web.app
import sync_worker.settings
import webhook_gateway.settings
from common.announce import Announcer
from common.marks import Marks
from common.messages import all_topics
from common.runner import utc_now
from common.store import Database
from sync_worker.appointments import make_appointments, message_of
from sync_worker.handlers import Handlers
from sync_worker.states import make_states
from tests.deploy import topics
from tests.deploy.manifests import K8S, Manifest, built, config_of, named, of_kind, overlay
from tests.fakes.recorded_messaging import RecordedMessaging

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
POOLS = {
    ("sync_states", "delta"): "short_rounds_at_once",
    ("sync_states", "full"): "long_rounds_at_once",
    ("sync_states", "checks"): "long_rounds_at_once",
    ("sync_states", "closing"): "long_rounds_at_once",
    ("appointments", "label.mark"): "labels_at_once",
}
"""The marks that sync-worker scales by, and how many of each one process works on. Waiting statuses are cheap and few."""


def component(name: str) -> list[Manifest]:
    files = (path for path in (K8S / "components" / name).glob("*.yaml") if path.name != "kustomization.yaml")
    return [manifest for path in files for manifest in yaml.safe_load_all(path.read_text())]


def test_strimzis_topics_are_those_of_the_code() -> None:
    wanted = {
        topic.name: {
            "partitions": topic.partitions,
            "cleanup.policy": "compact" if topic.compacted else "delete",
            "delete.retention.ms" if topic.compacted else "retention.ms": topic.retention / timedelta(milliseconds=1),
        }
        for topic in all_topics()
    }
    found = {
        one["metadata"]["name"]: {"partitions": one["spec"]["partitions"], "cleanup.policy": "delete"}
        | {name: value for name, value in one["spec"]["config"].items() if name != "min.insync.replicas"}
        for one in component("strimzi-topics")
    }

    assert found == wanted
    assert topics.FILE.read_text() == topics.rendered(), "run `python -m tests.deploy.topics`"


def triggers(kind: str) -> list[dict[str, Any]]:
    (scaled,) = of_kind(component("keda"), "ScaledObject")
    return [trigger["metadata"] for trigger in scaled["spec"]["triggers"] if trigger["type"] == kind]


def path_of(trigger: dict[str, Any]) -> str:
    """The mark that a query is about."""
    return str(next(iter(json.loads(trigger["query"])))).removesuffix(".due_at")


def test_sync_worker_scales_by_every_mark_at_the_size_of_its_pool() -> None:
    fields = sync_worker.settings.Settings.model_fields
    wanted = {(collection, path): str(fields[pool].default) for (collection, path), pool in POOLS.items()}
    found = {(one["collection"], path_of(one)): one["queryValue"] for one in triggers("mongodb")}

    assert found == wanted
    assert {one["dbName"] for one in triggers("mongodb")} == {fields["mongodb_database"].default}


def marks_of(database: Database) -> Mapping[tuple[str, str], Marks]:
    states = make_states(database).marks
    announcer = Announcer(database.appointments, RecordedMessaging(), message_of)
    return {
        ("sync_states", "delta"): states.delta,
        ("sync_states", "full"): states.full,
        ("sync_states", "checks"): states.checks,
        ("sync_states", "closing"): states.closing,
        ("appointments", "label.mark"): make_appointments(database, announcer, private_details=False).labels,
    }


@pytest.mark.parametrize("place", POOLS)
async def test_a_trigger_counts_work_that_is_due_and_work_in_hand(database: Database, place: tuple[str, str]) -> None:
    marks = marks_of(database)[place]
    (trigger,) = (one for one in triggers("mongodb") if (one["collection"], path_of(one)) == place)
    query = json_util.loads(trigger["query"])
    collection = database[place[0]]
    await collection.insert_many([{"_id": name} for name in ("idle", "due", "in-hand", "later", "failed")])
    await marks.create_index()

    async def counted() -> int:
        return await collection.count_documents(query)

    assert await counted() == 0
    await marks.set({"_id": "due"}, NOW - HOUR)
    assert await counted() == 1
    await marks.set({"_id": "in-hand"}, NOW - 2 * HOUR)
    claim = await marks.claim(NOW + HOUR)
    assert claim
    assert claim.id == "in-hand"
    assert await counted() == 2
    await marks.set({"_id": "later"}, NOW + HOUR)
    assert await counted() == 2
    await marks.set({"_id": "failed"}, NOW - 2 * HOUR)
    failing = await marks.claim(NOW)
    assert failing
    assert await counted() == 3
    await marks.failed(failing, RuntimeError("busy"), NOW + HOUR)
    assert await counted() == 2
    await marks.done(claim, NOW)
    assert await counted() == 1


async def test_a_trigger_looks_at_marked_documents_alone(database: Database) -> None:
    for (collection, path), marks in marks_of(database).items():
        await marks.create_index()
        await database[collection].insert_many([{"_id": f"{path}-{number}"} for number in range(100)])
        (trigger,) = (one for one in triggers("mongodb") if path_of(one) == path)
        explained = await database.command(
            {"explain": {"find": collection, "filter": json_util.loads(trigger["query"])}, "verbosity": "executionStats"}
        )
        assert explained["executionStats"]["totalDocsExamined"] == 0, path


def test_lag_is_that_of_sync_workers_own_groups() -> None:
    messaging = RecordedMessaging()
    Handlers(None, None, None, None, {}, utc_now).subscribe(messaging)  # type: ignore[arg-type]
    for one in triggers("kafka"):
        assert one["topic"] in messaging.topics
        assert one["consumerGroup"] == f"sync-worker.{one['topic']}"
        assert one["bootstrapServersFromEnv"] == "KAFKA_BOOTSTRAP_SERVERS"


def test_what_is_scaled_has_no_number_of_its_own() -> None:
    manifests = overlay("overlays/production")
    scaled = of_kind(manifests, "ScaledObject", "HorizontalPodAutoscaler")
    targets = {one["spec"]["scaleTargetRef"]["name"] for one in scaled}

    assert targets == {"auth", "settings-web", "sync-worker", "webhook-gateway"}
    assert not any("replicas" in named(manifests, "Deployment", name)["spec"] for name in targets)
    assert all((one["spec"].get("minReplicas") or one["spec"]["minReplicaCount"]) >= 2 for one in scaled)


Rule = tuple[str, str]
"""How it is compared (Exact or Prefix), and with what."""


def by_ingress() -> dict[str, list[Rule]]:
    return {
        path["backend"]["service"]["name"]: [(each["pathType"], each["path"]) for each in rule["http"]["paths"]]
        for one in component("ingress")
        for rule in one["spec"]["rules"]
        for path in rule["http"]["paths"][:1]
    }


def by_gateway() -> dict[str, list[Rule]]:
    return {
        rule["backendRefs"][0]["name"]: [
            (each["path"]["type"].removeprefix("Path"), each["path"]["value"]) for each in rule["matches"]
        ]
        for one in of_kind(component("gateway-api"), "HTTPRoute")
        for rule in one["spec"]["rules"]
    }


def is_public(paths: list[Rule], asked: str) -> bool:
    return any(asked == path or (kind == "Prefix" and asked.startswith(f"{path.rstrip('/')}/")) for kind, path in paths)


def pages() -> Iterator[str]:
    """The addresses of the pages, of the sign-in and of the return from Microsoft."""
    for page in settings_web.app.PAGES:
        for route in page.routes.routes:
            yield route.path.replace("{", "").replace("}", "")


@pytest.mark.parametrize("public", [by_ingress(), by_gateway()], ids=["ingress", "gateway-api"])
def test_only_graphs_addresses_and_the_pages_are_public(public: dict[str, list[Rule]]) -> None:
    assert public.keys() == {"webhook-gateway", "settings-web"}
    assert public["webhook-gateway"] == [("Exact", "/graph/notifications"), ("Exact", "/graph/lifecycle")]
    assert [page for page in (*pages(), "/static/settings.css") if not is_public(public["settings-web"], page)] == []
    for inside in (
        "/internal/v1/announce",
        "/livez",
        "/readyz",
        "/api/v1/calendars",
        "/api/v1/openapi.json",
        "/settingsx",
        "/docs",
    ):
        assert not is_public(public["settings-web"], inside)


def test_public_hosts_are_those_that_browsers_and_microsoft_are_told() -> None:
    manifests = overlay("overlays/production")
    hosts = {one["metadata"]["name"]: one["spec"]["rules"][0]["host"] for one in of_kind(manifests, "Ingress")}

    def told(service: str, variable: str) -> str:
        return config_of(manifests, named(manifests, "Deployment", service)["spec"]["template"])[variable]

    assert told("settings-web", "PUBLIC_URL") == f"https://{hosts['settings-web']}"
    assert told("auth", "MICROSOFT_REDIRECT_URI") == f"https://{hosts['settings-web']}/connect/microsoft/return"
    assert told("renewer", "NOTIFICATION_URL") == f"https://{hosts['webhook-gateway']}"
    for one in of_kind(manifests, "Ingress"):
        assert one["spec"]["tls"][0]["hosts"] == [hosts[one["metadata"]["name"]]]


@pytest.mark.parametrize("public", ["ingress", "gateway-api"])
def test_a_copy_of_the_example_with_hosts_of_its_own_names_no_others(public: str, tmp_path: Path) -> None:
    text = (K8S / "overlays/production/kustomization.yaml").read_text().replace("components/ingress", f"components/{public}")
    text = text.replace("../../", f"{os.path.relpath(K8S.resolve(), tmp_path.resolve())}/")
    (tmp_path / "kustomization.yaml").write_text(text.replace("example.com", "example.net"))
    copied = json.dumps(built(tmp_path))

    assert "https://webhook.example.net" in copied
    assert "example.com" not in copied


def test_the_ingress_lets_through_what_the_gateway_takes() -> None:
    largest = webhook_gateway.settings.Settings.model_fields["post_largest_bytes"].default
    annotations = named(component("ingress"), "Ingress", "webhook-gateway")["metadata"]["annotations"]

    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{largest >> 20}m"

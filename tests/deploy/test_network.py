"""The NetworkPolicies allow the arrows of docs/design.md and no others, and lead wherever a service's settings say that it goes."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from common.settings import Part
from tests.deploy.manifests import (
    KINDS,
    NAME,
    OVERLAYS,
    SERVICES,
    Manifest,
    config_of,
    in_vault,
    matches,
    name_of,
    named,
    of_kind,
    overlay,
    pod_templates,
)

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
SERVERS = {"kafka": ("Kafka", 9092), "mongodb": ("MongoDB", 27017), "redis": ("Redis", 6379), "otlp": ("OTLP", 4318)}
"""By the label of the namespaces where they are."""

NAMED_BY = {
    "kafka_bootstrap_servers": "Kafka",
    "mongodb_url": "MongoDB",
    "redis_url": "Redis",
    "auth_url": "auth",
    "settings_web_url": "settings-web",
    "sync_worker_url": "sync-worker",
    "graph_url": "Microsoft",
    "microsoft_authority": "Microsoft",
    "oidc_issuer": "OpenID provider",
}
"""Whom a setting's address belongs to."""
TOLD_TO_OTHERS = {"public_url", "notification_url", "microsoft_redirect_uri", "microsoft_admin_consent_redirect_uri"}
"""Addresses of our own that browsers and Microsoft are given."""

OUTSIDE = {"settings-web": "browser", "webhook-gateway": "Graph"}
"""Who comes through the cluster's ingress."""

Arrow = tuple[str, str]


def table() -> set[Arrow]:
    rows = DESIGN.read_text().partition("| from | to | why |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    cells = [[cell.split(", ") for cell in line.strip("| ").split(" | ")[:2]] for line in rows.splitlines()]
    return {(one, other) for ones, others in cells for one in ones for other in others}


def policy(manifests: tuple[Manifest, ...], name: str) -> Manifest:
    spec: Manifest = named(manifests, "NetworkPolicy", name)["spec"]
    assert spec["podSelector"] == {"matchLabels": {NAME: name}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return spec


def chosen(peer: Manifest) -> list[str]:
    """The services that a peer of this namespace stands for."""
    assert peer.keys() == {"podSelector"}
    names = [name for name in KINDS if matches(peer["podSelector"], {NAME: name})]
    assert names
    return names


def ports(rule: Manifest) -> set[int]:
    assert all(port["protocol"] == "TCP" for port in rule["ports"])
    return {port["port"] for port in rule["ports"]}


def port_of(manifests: tuple[Manifest, ...], service: str) -> int:
    (container,) = named(manifests, "Deployment", service)["spec"]["template"]["spec"]["containers"]
    return int(container["ports"][0]["containerPort"])


def going_out(manifests: tuple[Manifest, ...], name: str) -> Iterator[Arrow]:
    """The arrows that a service's egress rules draw, each at the one port that it is for."""
    for rule in policy(manifests, name)["egress"]:
        for peer in rule["to"]:
            if "ipBlock" in peer:
                assert ports(rule) == {443}
                yield name, "https"
            elif "podSelector" in peer:
                for other in chosen(peer):
                    assert ports(rule) == {port_of(manifests, other)}
                    yield name, other
            else:
                ((label, value),) = peer["namespaceSelector"]["matchLabels"].items()
                server, port = SERVERS[label.removeprefix("attendara.io/")]
                assert value == "true"
                assert ports(rule) == {port}
                yield name, server


def coming_in(manifests: tuple[Manifest, ...], name: str) -> Iterator[Arrow]:
    for rule in policy(manifests, name).get("ingress", []):
        assert ports(rule) == {port_of(manifests, name)}
        for peer in rule["from"]:
            if "namespaceSelector" in peer:
                assert peer == {"namespaceSelector": {"matchLabels": {"attendara.io/ingress": "true"}}}
                yield OUTSIDE[name], name
            else:
                for other in chosen(peer):
                    yield other, name


def by_https(arrow: Arrow) -> Arrow:
    """Microsoft and the OpenID provider have no addresses that a policy could name: both are the internet, by https."""
    return (arrow[0], "https") if arrow[1] in ("Microsoft", "OpenID provider") else arrow


def test_the_arrows_out_are_those_of_the_table(manifests: tuple[Manifest, ...]) -> None:
    assert {arrow for name in KINDS for arrow in going_out(manifests, name)} == {
        by_https(arrow) for arrow in table() if arrow[0] in KINDS
    }


def test_the_arrows_in_are_those_of_the_table(manifests: tuple[Manifest, ...]) -> None:
    assert {arrow for name in KINDS for arrow in coming_in(manifests, name)} == {arrow for arrow in table() if arrow[1] in KINDS}


def test_all_else_is_denied_and_no_other_policy_opens_anything(manifests: tuple[Manifest, ...]) -> None:
    policies = {
        name_of(one): one["spec"] for one in of_kind(manifests, "NetworkPolicy") if one["metadata"]["namespace"] == "attendara"
    }
    (to_names,) = policies["dns"]["egress"]

    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {port["port"] for port in to_names["ports"]} == {53}
    assert policies["dns"]["policyTypes"] == ["Egress"]
    sandbox = {"sandbox", "to-sandbox", "from-sandbox"} if "sandbox" in policies else set()
    assert policies.keys() == {*KINDS, "default-deny", "dns", *sandbox}


@pytest.mark.parametrize("name", KINDS)
def test_the_table_names_whom_the_settings_have_addresses_of(name: str) -> None:
    addresses = {field for field in KINDS[name].model_fields if re.search("(url|uri|servers|issuer|authority)$", field)}
    telemetry = {"OTLP"} if name in SERVICES else set()

    assert {NAMED_BY[field] for field in addresses - TOLD_TO_OTHERS} | telemetry == {to for one, to in table() if one == name}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("folder", OVERLAYS)
def test_a_policy_leads_wherever_the_settings_of_an_overlay_say(folder: str, name: str) -> None:
    manifests = overlay(folder)
    *_, template = (one for _, one in pod_templates(manifests) if one["metadata"]["labels"][NAME] == name)
    config = config_of(manifests, template)
    asked = [
        (NAMED_BY[field], address(config.get(field.upper()) or default_of(KINDS[name], field)))
        for field in sorted(KINDS[name].model_fields.keys() & NAMED_BY.keys())
        if field.upper() not in in_vault(manifests).get(name, ())  # its values aren't here
    ]
    if endpoint := config.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        asked += [("OTLP", address(endpoint))] if name != "cli" else []

    assert asked
    for whose, (host, port) in asked:
        assert leads(manifests, template["metadata"]["labels"], whose, host, port), f"{name} can't reach {whose} at {host}:{port}"


def default_of(kind: type[Part], field: str) -> str:
    default = kind.model_fields[field].default
    return str(default.get_secret_value() if isinstance(default, SecretStr) else default)


def address(setting: str) -> tuple[str, int]:
    parts = urlsplit(setting if "://" in setting else f"//{setting}")
    assert parts.hostname
    return parts.hostname, parts.port or {"https": 443}[parts.scheme]


def leads(manifests: tuple[Manifest, ...], labels: Mapping[str, str], whose: str, host: str, port: int) -> bool:
    """Whether some egress rule for pods with these labels leads to the pods, or the place, behind a host's name."""
    service, _, namespace = host.partition(".")
    theirs = {"kubernetes.io/metadata.name": namespace or "attendara"}
    known = {name_of(one): one["metadata"]["labels"] for one in of_kind(manifests, "Namespace")}
    pods: Mapping[str, str] = {}
    if theirs["kubernetes.io/metadata.name"] in known:
        theirs |= known[theirs["kubernetes.io/metadata.name"]]
        pods = selected(manifests, service, namespace or "attendara", port)
    elif role := next((label for label, (server, _) in SERVERS.items() if server == whose), None):
        theirs[f"attendara.io/{role}"] = "true"  # the label that deploy/k8s/README.md asks for
    else:
        theirs = {}
    rules = (
        rule
        for one in of_kind(manifests, "NetworkPolicy")
        if one["metadata"]["namespace"] == "attendara" and matches(one["spec"]["podSelector"], labels)
        for rule in one["spec"].get("egress", [])
        if port in {one["port"] for one in rule["ports"]}
    )
    return any(_is_peer(peer, theirs, pods) for rule in rules for peer in rule["to"])


def selected(manifests: tuple[Manifest, ...], service: str, namespace: str, port: int) -> dict[str, str]:
    """The labels of the pods behind a Service, which must have this port."""
    (found,) = (
        one["spec"]
        for one in of_kind(manifests, "Service")
        if (name_of(one), one["metadata"]["namespace"]) == (service, namespace)
        and port in {each["port"] for each in one["spec"]["ports"]}
    )
    return dict(found["selector"])


def _is_peer(peer: Manifest, namespace: Mapping[str, str], pods: Mapping[str, str]) -> bool:
    if "ipBlock" in peer:
        return not namespace
    if "namespaceSelector" in peer:
        return bool(namespace) and matches(peer["namespaceSelector"], namespace) and matches(peer.get("podSelector", {}), pods)
    return namespace.get("kubernetes.io/metadata.name") == "attendara" and matches(peer["podSelector"], pods)


def test_https_leads_to_the_internet_and_to_no_private_network() -> None:
    rules = policy(overlay("overlays/production"), "auth")["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]

    def open_to(address: str) -> bool:
        return any(
            ip_address(address) in ip_network(block["cidr"])
            and not any(ip_address(address) in ip_network(kept) for kept in block["except"])
            for block in blocks
        )

    assert open_to("20.190.128.1")
    assert open_to("2603:1036::1")
    assert not any(map(open_to, ["10.0.0.1", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fd00:ec2::254"]))

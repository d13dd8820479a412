"""Coming in at brokers by TLS, with a password or a certificate; `make test-kafka` runs this beside the integration tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from attendara_local.ports import Ports
from common.messages import CalendarChanged
from common.messaging import make_messaging, producer_options
from common.settings import ServiceSettings
from tests.kafka.node import node
from tests.serving import until

pytestmark = pytest.mark.kafka

USER = {"kafka_sasl_username": "attendara", "kafka_sasl_password": "a-password"}
BROKER = """
listener.name.ssl.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
    user_attendara="a-password";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """The settings for each way in."""
    folder, ports = tmp_path_factory.mktemp("secured"), Ports.free()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    _write(authority.issue_cert("localhost"), folder / "broker.pem")
    _write(authority.issue_cert("attendara"), folder / "client.pem")
    tls, sasl = f"localhost:{ports.renewer}", f"localhost:{ports.sync_worker}"
    users = tuple(f"SCRAM-SHA-{bits}=[name=attendara,password=a-password]" for bits in (256, 512))
    listeners = f",SSL://{tls},SASL_SSL://{sasl}"
    trusted = {"kafka_ca_file": folder / "ca.pem"}
    with node(folder, ports, listeners=listeners, more=BROKER.format(folder=folder), users=users):
        found: dict[str, dict[str, Any]] = {
            mechanism: trusted
            | USER
            | {"kafka_bootstrap_servers": sasl, "kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": mechanism}
            for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
        }
        found["certificate"] = trusted | {
            "kafka_bootstrap_servers": tls,
            "kafka_security_protocol": "SSL",
            "kafka_client_certificate": folder / "client.pem",
        }
        yield found


def _write(issued: trustme.LeafCert, file: Path) -> None:
    """Key and certificates in one file; Kafka takes keys as PKCS #8 only."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + chain)


@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "certificate"])
async def test_topics_are_made_and_messages_published_and_read(ways: dict[str, dict[str, Any]], way: str) -> None:
    await create_topics(Settings(**ways[way]), None)
    settings, read = ServiceSettings(**ways[way]), list[str]()

    async def take(message: CalendarChanged) -> None:
        read.append(message.calendar)

    messaging = make_messaging(f"access-{way}", settings)
    messaging.subscribe(CalendarChanged, take)
    async with messaging.running():
        await until(lambda: messaging.started)
        await messaging.publish(CalendarChanged(organization="org_a", connection="con_a", calendar=way, change="added"))
        await until(lambda: way in read)


@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "certificate"])
async def test_the_gateways_own_producer_comes_in_too(ways: dict[str, dict[str, Any]], way: str) -> None:
    settings = ServiceSettings(**ways[way])
    await create_topics(Settings(**ways[way]), None)
    async with AIOKafkaProducer(**producer_options("access", settings)) as producer:
        await producer.send_and_wait("auth.dead.v1", b"")


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        ("SCRAM-SHA-512", {"kafka_sasl_password": "hush-hush"}),
        ("SCRAM-SHA-512", {"kafka_ca_file": None}),
        ("certificate", {"kafka_client_certificate": None}),
    ],
)
async def test_who_may_not_come_in_is_told_in_one_line(ways: dict[str, dict[str, Any]], way: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"^topics at localhost:\d+: ") as ended:
        await create_topics(Settings(**ways[way] | wrong), None)
    assert "hush-hush" not in str(ended.value)

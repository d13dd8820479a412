"""What integration tests share: the topics, made once per run with the operator's own command, and a module's database."""

import secrets
from collections.abc import AsyncIterator

import pytest
from pymongo import AsyncMongoClient

from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from common.store import Database, Document
from tests.integration.auth_secrets import readable  # noqa: F401 - a fixture
from tests.integration.auth_world import auth, control, person, sandbox, settings  # noqa: F401 - fixtures
from tests.integration.gateway_world import broker, own_broker  # noqa: F401 - fixtures
from tests.integration.settings_world import web  # noqa: F401 - a fixture
from tests.servers import Kafka, Servers


@pytest.fixture(scope="session")
async def topics(servers: Servers) -> Kafka:
    """The broker, with all topics of `common/messages.py` on it."""
    await create_topics(Settings(kafka_bootstrap_servers=servers.kafka.bootstrap_servers), None)
    return servers.kafka


@pytest.fixture(scope="module")
async def module_database(mongodb: AsyncMongoClient[Document]) -> AsyncIterator[Database]:
    """One database for all tests of a module, whose organizations keep them apart; dropped after it."""
    fresh = mongodb[f"test_{secrets.token_hex(6)}"]
    yield fresh
    await mongodb.drop_database(fresh)

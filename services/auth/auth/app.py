"""Puts auth together: the only place that constructs anything."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis

from auth.connect import Connect
from auth.connections import Connections, message_of
from auth.credentials import Credentials
from auth.flows import Flows
from auth.forget import Forget
from auth.idle import Idle
from auth.keys import Keys
from auth.microsoft import Microsoft, make_microsoft_http
from auth.profile import Profiles
from auth.routes import Doors, open_doors
from auth.settings import Settings
from auth.tokens import Tokens
from auth.vault import Vault, make_vault
from common import store, telemetry
from common.announce import Announcer
from common.ending import end_with_success
from common.graph.client import ON_ANOTHER_CONNECTION
from common.health import health_routes, once_found
from common.messaging import Messaging, make_messaging
from common.runner import Once, Periodic, Runner, all_running
from common.settings import read_settings
from common.web import Doorkeeper, Lock, answer_with_problems

IDLE_AT_ONCE = 2
IDLE_LOOK_SECONDS = 30.0


def create_app(
    credentials: Sequence[SecretStr],
    database: store.Database,
    redis: Redis,
    messaging: Messaging,
    microsoft: Microsoft,
    profiles: Profiles,
    vault: Vault,
    rest: timedelta = timedelta(days=30),
) -> FastAPI:
    """`rest`: how long a connection that nobody uses goes without a refresh."""
    announcer = Announcer(database.connections, messaging, message_of)
    connections = Connections(database.connections, vault, announcer)
    forget = Forget(connections, database)
    flows = Flows(redis)
    connect, tokens = Connect(microsoft, profiles, flows, connections), Tokens(connections, microsoft)
    prepared = Once("indexes and keys", connections.prepare)
    parts = [
        prepared,
        announcer,
        Periodic("authority", microsoft.check, 15.0),
        Periodic("credentials", microsoft.credentials.watch, 6 * 3600.0),
        Periodic("forget", forget.sweep, 2.0),
        Runner("refresh idle", connections.idle, Idle(tokens, rest).refresh, IDLE_AT_ONCE, look_every=IDLE_LOOK_SECONDS),
    ]
    lock = Lock(credentials)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with messaging.running(), all_running(parts):
            yield

    app = FastAPI(
        title="Attendara auth", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=telemetry.OF_REQUESTS
    )
    # Without Redis and Kafka it still hands out tokens.
    checks = {
        "mongodb": store.readiness_of(database),
        "redis": once_found(flows.readiness),
        "kafka": once_found(messaging.readiness),
    }
    own = {"prepared": prepared.readiness, "token_keys": connections.keys_readiness, "authority": microsoft.readiness}
    app.include_router(health_routes(checks | own))
    doors = Doors(connect, tokens, forget, connections, Keys(connections.collection, vault), announcer)
    open_doors(app, doors, lock, prepared)
    answer_with_problems(app, store.AWAY)
    app.add_middleware(Doorkeeper, lock)
    return app


def make_app() -> FastAPI:
    settings = read_settings(Settings)
    telemetry.set_up("auth", settings)
    end_with_success()
    database = store.make_client(settings)[settings.mongodb_database]
    redis = Redis(
        connection_pool=BlockingConnectionPool.from_url(
            settings.redis_url.get_secret_value(),
            timeout=5,
            socket_timeout=5,
            socket_connect_timeout=3,
            retry=ON_ANOTHER_CONNECTION,
        )
    )
    return create_app(
        settings.service_credentials,
        database,
        redis,
        make_messaging("auth", settings, store.AWAY),
        Microsoft(settings, make_microsoft_http(settings), Credentials(settings)),
        Profiles(httpx2.AsyncClient(base_url=settings.graph_url, timeout=httpx2.Timeout(10, connect=3))),
        make_vault(settings.token_keys),
        timedelta(days=settings.idle_refresh_days),
    )

"""Puts auth together: the only place that constructs anything."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis

from auth.connect import Connect
from auth.connections import Connections, message_of
from auth.flows import Flows
from auth.forget import Forget
from auth.keys import Keys
from auth.microsoft import Microsoft, make_microsoft_http
from auth.profile import Profiles
from auth.routes import Doors, open_doors
from auth.settings import Settings
from auth.tokens import Tokens
from auth.vault import Vault, make_vault
from common import store, telemetry
from common.announce import Announcer
from common.health import health_routes
from common.messaging import Messaging, make_messaging
from common.runner import Once, Periodic, all_running
from common.web import Doorkeeper, Lock, answer_with_problems


def create_app(
    credentials: Sequence[SecretStr],
    database: store.Database,
    redis: Redis,
    messaging: Messaging,
    microsoft: Microsoft,
    profiles: Profiles,
    vault: Vault,
) -> FastAPI:
    announcer = Announcer(database.connections, messaging, message_of)
    connections = Connections(database.connections, vault, announcer)
    forget = Forget(connections, database)
    flows = Flows(redis)
    connect = Connect(microsoft, profiles, flows, connections)
    prepared = Once("indexes and keys", connections.prepare)
    lock = Lock(credentials)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with messaging.running(), all_running([prepared, announcer, Periodic("forget", forget.sweep, 2.0)]):
            yield

    app = FastAPI(
        title="Attendara auth", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=telemetry.OF_REQUESTS
    )
    checks = {"mongodb": store.readiness_of(database), "redis": flows.readiness, "kafka": messaging.readiness}
    app.include_router(health_routes(checks | {"prepared": prepared.readiness, "token_keys": connections.keys_readiness}))
    doors = Doors(connect, Tokens(connections, microsoft), forget, connections, Keys(connections.collection, vault), announcer)
    open_doors(app, doors, lock, prepared)
    answer_with_problems(app, store.AWAY)
    app.add_middleware(Doorkeeper, lock)
    return app


def make_app() -> FastAPI:
    settings = Settings()
    telemetry.set_up("auth", settings)
    database = store.make_client(settings)[settings.mongodb_database]
    redis = Redis(
        connection_pool=BlockingConnectionPool.from_url(settings.redis_url, timeout=5, socket_timeout=5, socket_connect_timeout=3)
    )
    return create_app(
        settings.service_credentials,
        database,
        redis,
        make_messaging("auth", settings, store.AWAY),
        Microsoft(settings, make_microsoft_http(settings)),
        Profiles(httpx2.AsyncClient(base_url=settings.graph_url, timeout=httpx2.Timeout(10, connect=3))),
        make_vault(settings.token_keys),
    )

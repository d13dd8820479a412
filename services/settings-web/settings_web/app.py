"""Puts settings-web together; nothing else constructs anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI
from redis.asyncio import Redis

from common import store, telemetry
from common.announce import Announcer, announce_door
from common.ending import end_with_success
from common.graph import Graph, make_graph
from common.graph.client import make_redis
from common.graph.tokens import auth_client
from common.health import health_routes, once_found
from common.messages import ConnectionChanged
from common.messaging import Messaging, make_messaging
from common.runner import Once, Periodic, all_running
from common.settings import read_settings
from common.store import Database
from common.web import Doorkeeper, Lock
from settings_web import api, calendars, sync_settings
from settings_web.auth_door import AuthDoor
from settings_web.calendars import Calendars
from settings_web.connect import Connecting
from settings_web.connections import Connections
from settings_web.endings import Endings
from settings_web.errors import answer_errors
from settings_web.outside import Files, Guard, redis_readiness
from settings_web.pages import add, connect, providers, signin
from settings_web.pages import calendars as calendars_page
from settings_web.pages import sync_settings as sync_settings_page
from settings_web.parts import Parts
from settings_web.sessions import Sessions
from settings_web.settings import Settings
from settings_web.signin import SignIn
from settings_web.sync_settings import SyncSettingsOf
from settings_web.view import STATIC, View

SERVICE = "settings-web"
PAGES = (signin, add, calendars_page, providers, sync_settings_page, connect)


def create_app(
    settings: Settings, database: Database, redis: Redis, messaging: Messaging, graph: Graph, auth: AuthDoor, sign_in: SignIn
) -> FastAPI:
    announcer = Announcer(database.calendars, messaging, calendars.message_of)
    settings_announcer = Announcer(database.sync_settings, messaging, sync_settings.message_of)
    monitored = Calendars(database, announcer, messaging, graph)
    sessions = Sessions(redis, timedelta(hours=settings.session_hours))
    messaging.subscribe(ConnectionChanged, monitored.connection_changed)

    async def create_indexes() -> None:
        await monitored.create_indexes()
        await settings_announcer.create_index()

    indexes = Once("indexes", create_indexes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs = [indexes, announcer, settings_announcer, Periodic("sweep", monitored.sweep, 5)]
        async with graph, messaging.running(), all_running(jobs):
            yield
        await auth.aclose()
        await redis.aclose()

    app = FastAPI(
        title="Attendara Settings",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        telemetry=telemetry.OF_REQUESTS,
    )
    app.state.parts = Parts(
        settings=settings,
        sessions=sessions,
        sign_in=sign_in,
        calendars=monitored,
        connections=Connections(database, auth),
        connecting=Connecting(auth),
        endings=Endings(redis),
        sync_settings=SyncSettingsOf(database, settings_announcer),
        view=View(sessions),
    )
    for page in (*PAGES, api):
        app.include_router(page.routes)
    lock = Lock(settings.service_credentials)
    app.include_router(announce_door(announcer, lock), include_in_schema=False)
    # Without Redis it says why nobody can sign in; what is to be announced waits in MongoDB for Kafka.
    ready = {
        "mongodb": store.readiness_of(database),
        "kafka": once_found(messaging.readiness),
        "redis": once_found(redis_readiness(redis)),
    }
    app.include_router(health_routes(ready | {"indexes": indexes.readiness}))
    app.mount("/static", Files(directory=STATIC))
    answer_errors(app)
    app.add_middleware(Doorkeeper, lock)
    app.add_middleware(Guard, https=settings.public_url.startswith("https:"))
    return app


def make_app() -> FastAPI:
    settings = read_settings(Settings)
    telemetry.set_up(SERVICE, settings)
    end_with_success()
    redis = make_redis(settings)
    return create_app(
        settings,
        store.make_client(settings)[settings.mongodb_database],
        redis,
        make_messaging(SERVICE, settings, store.AWAY),
        make_graph(settings),
        AuthDoor(auth_client(settings)),
        SignIn(settings, redis),
    )

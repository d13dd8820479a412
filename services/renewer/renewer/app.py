"""The renewer, put together. The only file that constructs anything."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from common import store, telemetry
from common.announce import Announcer
from common.client_state import ClientStates
from common.ending import end_with_success
from common.graph import Graph, make_graph
from common.graph.client import make_redis
from common.health import Check, health_routes
from common.messaging import Messaging, make_messaging
from common.runner import Clock, Periodic, Runner, all_running, utc_now
from common.settings import read_settings
from renewer.handlers import Handlers
from renewer.reconcile import Reconcile
from renewer.settings import Settings
from renewer.subscriptions import Subscriptions, announcement
from renewer.sweep import Sweep
from renewer.terms import Terms
from renewer.tools import Tools

AT_ONCE = 8


def create_app(
    messaging: Messaging,
    database: store.Database,
    graph: Graph,
    client_states: ClientStates,
    terms: Terms,
    clock: Clock = utc_now,
    checks: Mapping[str, Check] | None = None,
    owned: Sequence[AbstractAsyncContextManager[object]] = (),
) -> FastAPI:
    """`checks`: what `/readyz` asks beside MongoDB and the broker. `owned`: closed when the service ends."""
    subscriptions = Subscriptions(database)
    announcer = Announcer(subscriptions.collection, messaging, announcement)
    tools = Tools(database, subscriptions, graph, messaging, announcer, client_states, terms)
    runner = Runner("reconcile subscription", subscriptions.marks, Reconcile(tools), at_once=AT_ONCE, clock=clock)
    Handlers(database, subscriptions, messaging, runner, clock).subscribe()
    sweep = Sweep(database, subscriptions, announcer, runner, clock, terms.notification_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in owned:
                await stack.enter_async_context(each)
            async with messaging.running(), all_running([announcer, runner, Periodic("sweep calendars", sweep.turn, 60)]):
                yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, telemetry=telemetry.OF_REQUESTS)
    mongodb = store.readiness_of(database)
    app.include_router(health_routes({"mongodb": mongodb, "kafka": messaging.readiness} | dict(checks or {})))
    return app


def make_app() -> FastAPI:
    settings = read_settings(Settings)
    telemetry.set_up("renewer", settings)
    end_with_success()
    client = store.make_client(settings)
    graph, redis = make_graph(settings), make_redis(settings)

    async def redis_answers() -> str | None:
        await redis.ping()
        return None

    return create_app(
        make_messaging("renewer", settings, store.AWAY),
        client[settings.mongodb_database],
        graph,
        ClientStates(settings.client_state_keys),
        Terms(settings.notification_url, settings.subscription_minutes),
        checks={"redis": redis_answers},
        owned=[client, graph, redis],
    )

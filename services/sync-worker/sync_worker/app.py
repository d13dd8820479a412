"""sync-worker, put together: the only file here that constructs anything."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from common import telemetry
from common.announce import Announcer, announce_door
from common.ending import end_with_success
from common.graph import Graph, make_graph
from common.graph.client import make_redis
from common.health import Check, health_routes
from common.marks import Marks
from common.messaging import Messaging, make_messaging
from common.runner import Clock, Once, Periodic, Runner, all_running, utc_now
from common.settings import read_settings
from common.store import AWAY, Database, make_client, readiness_of
from common.web import Doorkeeper, Lock, answer_with_problems
from sync_worker.appointments import make_appointments, message_of
from sync_worker.check import Checks
from sync_worker.handlers import Handlers
from sync_worker.label import Labels
from sync_worker.removal import Removal
from sync_worker.round import Rounds
from sync_worker.schedule import Schedule
from sync_worker.settings import Settings
from sync_worker.states import make_states, saying_why
from sync_worker.status import Statuses


def create_app(
    settings: Settings,
    database: Database,
    graph: Graph,
    messaging: Messaging,
    clock: Clock = utc_now,
    readiness: Mapping[str, Check] | None = None,
) -> FastAPI:
    """`readiness`: what `/readyz` asks beside MongoDB and the broker."""
    announcer = Announcer(database.appointments, messaging, message_of)
    appointments = make_appointments(database, announcer, settings.private_details)
    states = make_states(database)
    rounds = Rounds(database, graph, states, appointments, settings.window)
    labels = Labels(database, graph, announcer)
    removal = Removal(database, states, appointments, labels)
    checks = Checks(database, graph, states, appointments)
    waiting = Marks(database.waiting_statuses, "mark")
    statuses = Statuses(appointments, states, database.waiting_statuses, waiting, messaging)
    runners = [
        Runner("delta round", states.marks.delta, saying_why(states, rounds.delta), settings.short_rounds_at_once, clock),
        Runner("full round", states.marks.full, saying_why(states, rounds.full), settings.long_rounds_at_once, clock),
        Runner("check suspects", states.marks.checks, checks.run, settings.long_rounds_at_once, clock),
        Runner("label", appointments.labels, labels.write, settings.labels_at_once, clock),
        Runner("waiting status", waiting, statuses.look_again, 2, clock),
        Runner("calendar removal", states.marks.closing, removal.finish, settings.long_rounds_at_once, clock),
    ]
    handlers = Handlers(database, states, statuses, removal, {runner.name: runner for runner in runners}, clock)
    handlers.subscribe(messaging)
    schedule = Schedule(database, states, handlers, timedelta(minutes=settings.safety_round_minutes), clock)

    async def create_indexes() -> None:
        await states.create_indexes()
        await appointments.create_indexes()
        await waiting.create_index()

    indexes = Once("make indexes", create_indexes)
    parts = [
        indexes,
        messaging,
        announcer,
        *runners,
        Periodic("schedule", schedule.turn, 5),
        Periodic("reconcile", schedule.reconcile, 60),
    ]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with graph, all_running(parts):
            yield

    lock = Lock(settings.service_credentials)
    app = FastAPI(title="sync-worker", lifespan=lifespan, telemetry=telemetry.OF_REQUESTS)
    answer_with_problems(app, AWAY)
    app.add_middleware(Doorkeeper, lock)
    asked: dict[str, Check] = {"kafka": messaging.readiness, "mongodb": readiness_of(database), "indexes": indexes.readiness}
    app.include_router(health_routes(asked | dict(readiness or {})))
    app.include_router(announce_door(announcer, lock))
    return app


def make_app() -> FastAPI:
    settings = read_settings(Settings)
    telemetry.set_up("sync-worker", settings)
    end_with_success()
    database = make_client(settings)[settings.mongodb_database]
    redis = make_redis(settings)

    async def redis_answers() -> str | None:
        """Without it work goes on, one request at a time for each mailbox; somebody should know."""
        await redis.ping()
        return None

    messaging = make_messaging("sync-worker", settings, AWAY)
    return create_app(settings, database, make_graph(settings), messaging, readiness={"redis": redis_answers})

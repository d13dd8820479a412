"""Puts the sandbox together: the one place that makes its parts, and the application that serves them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from outlook_sandbox import seed
from outlook_sandbox.accounts import Accounts
from outlook_sandbox.clock import Clock
from outlook_sandbox.control import problems
from outlook_sandbox.control import routes as control
from outlook_sandbox.customers import routes as customers
from outlook_sandbox.customers.feed import Feed
from outlook_sandbox.cut import CuttableApp
from outlook_sandbox.database import Database
from outlook_sandbox.delivery.delivery import Delivery
from outlook_sandbox.delivery.lifecycle import Lifecycle
from outlook_sandbox.faults import Faults
from outlook_sandbox.graph.limits import Limits
from outlook_sandbox.graph.mailboxes import Mailboxes
from outlook_sandbox.graph.resource_data import ResourceData
from outlook_sandbox.graph.routes import Door
from outlook_sandbox.graph.settling import Settling
from outlook_sandbox.graph.subscriptions import Subscriptions
from outlook_sandbox.guard import Guard
from outlook_sandbox.identity import routes as identity
from outlook_sandbox.identity.apps import Apps
from outlook_sandbox.identity.tenants import Tenants
from outlook_sandbox.identity.tokens import Tokens
from outlook_sandbox.issuer import routes as issuer
from outlook_sandbox.issuer.provider import Provider
from outlook_sandbox.journal import Journal
from outlook_sandbox.journaling import Journaled
from outlook_sandbox.pages import routes as pages
from outlook_sandbox.settings import Settings
from outlook_sandbox.state import Sandbox


def make_sandbox(settings: Settings, database: Database) -> Sandbox:
    """All parts, with what the database remembers; an empty one gets the practice's week."""
    clock = Clock(database)
    faults = Faults(database)
    subscriptions = Subscriptions(database, clock)
    accounts = Accounts(database)
    tokens = Tokens(database, clock)
    mailboxes = Mailboxes(database, clock, lambda change: delivery.tell(change), seed.first_events)
    resource_data = ResourceData(accounts, mailboxes, tokens, clock)
    delivery = Delivery(subscriptions, clock, faults, database, resource_data)
    sandbox = Sandbox(
        settings=settings,
        clock=clock,
        faults=faults,
        database=database,
        accounts=accounts,
        tenants=Tenants(database, accounts),
        apps=Apps(database, settings),
        tokens=tokens,
        mailboxes=mailboxes,
        settling=Settling(clock, settings.settle_seconds),
        subscriptions=subscriptions,
        delivery=delivery,
        lifecycle=Lifecycle(subscriptions, delivery, clock, faults),
        limits=Limits(settings.requests_per_10_minutes),
        journal=Journal(),
        feed=Feed(settings, database),
        provider=Provider(settings, database, clock),
    )
    if not sandbox.accounts.all():
        seed.practice(sandbox)
    return sandbox


def create_app(sandbox: Sandbox) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sandbox.feed.start()
        sandbox.delivery.start()
        sandbox.lifecycle.start()
        yield
        await sandbox.feed.stop()
        await sandbox.settling.stop()
        await sandbox.lifecycle.stop()
        await sandbox.delivery.stop()
        sandbox.database.close()

    app = CuttableApp(
        title="Outlook sandbox", lifespan=lifespan, openapi_url="/sandbox/openapi.json", docs_url=None, redoc_url=None
    )
    problems.install(app)
    app.add_middleware(Journaled, journal=sandbox.journal, clock=sandbox.clock)
    app.add_middleware(Door, sandbox=sandbox)
    app.add_middleware(Guard, settings=sandbox.settings)
    app.state.sandbox = sandbox
    for part in (control, identity, issuer, pages, customers):
        app.include_router(part.router)

    @app.get("/readyz", include_in_schema=False)
    @app.get("/livez", include_in_schema=False)
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app

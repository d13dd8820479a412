"""Everything that the sandbox holds while it runs, and how a route finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from starlette.requests import Request

    from outlook_sandbox.accounts import Accounts
    from outlook_sandbox.clock import Clock
    from outlook_sandbox.customers.feed import Feed
    from outlook_sandbox.database import Database
    from outlook_sandbox.delivery.delivery import Delivery
    from outlook_sandbox.delivery.lifecycle import Lifecycle
    from outlook_sandbox.faults import Faults
    from outlook_sandbox.graph.limits import Limits
    from outlook_sandbox.graph.mailboxes import Mailboxes
    from outlook_sandbox.graph.settling import Settling
    from outlook_sandbox.graph.subscriptions import Subscriptions
    from outlook_sandbox.identity.apps import Apps
    from outlook_sandbox.identity.tenants import Tenants
    from outlook_sandbox.identity.tokens import Tokens
    from outlook_sandbox.issuer.provider import Provider
    from outlook_sandbox.journal import Journal
    from outlook_sandbox.settings import Settings


@dataclass
class Sandbox:
    """The collaborators of every door, made once in app.py."""

    settings: Settings
    clock: Clock
    faults: Faults
    database: Database
    accounts: Accounts
    tenants: Tenants
    apps: Apps
    tokens: Tokens
    mailboxes: Mailboxes
    settling: Settling
    subscriptions: Subscriptions
    delivery: Delivery
    lifecycle: Lifecycle
    limits: Limits
    journal: Journal
    feed: Feed
    provider: Provider


def sandbox_of(request: Request) -> Sandbox:
    return cast("Sandbox", request.app.state.sandbox)

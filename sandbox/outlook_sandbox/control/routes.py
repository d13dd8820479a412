"""All of the control API's routes."""

from fastapi import APIRouter
from fastapi.routing import APIRoute

from outlook_sandbox.control import accounts, calendars, faults, identity, journal, population, subscriptions, whole
from outlook_sandbox.control.problems import PREFIX


def _name(route: APIRoute) -> str:
    return route.name


router = APIRouter(prefix=PREFIX, generate_unique_id_function=_name)
for part in (accounts, calendars, identity, faults, journal, subscriptions, population, whole):
    router.include_router(part.router)

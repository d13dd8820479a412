"""Faults, switched on and off."""

from typing import Annotated, get_args

from fastapi import APIRouter, Body, HTTPException

from outlook_sandbox.control.finding import TheSandbox, account_named
from outlook_sandbox.control.models import FaultKind, FaultShown
from outlook_sandbox.control.problems import refusals
from outlook_sandbox.faults import AnyFault, Armed

router = APIRouter(prefix="/faults", tags=["faults"])


@router.get("")
async def list_faults(sandbox: TheSandbox) -> list[FaultShown]:
    """Those that are on."""
    return [_shown(armed) for armed in sandbox.faults.all()]


@router.get("/kinds")
async def fault_kinds() -> list[FaultKind]:
    """All that can be switched on, with their settings."""
    union, _ = get_args(AnyFault)
    kinds = [(model.model_fields["kind"].default, model) for model in get_args(union)]
    return [FaultKind(kind=kind, description=model.__doc__ or "", json_schema=model.model_json_schema()) for kind, model in kinds]


@router.post("", status_code=201, responses=refusals(404))
async def switch_on(
    sandbox: TheSandbox, fault: Annotated[AnyFault, Body(examples=[{"kind": "graph-throttled", "path": "/me/events", "times": 3}])]
) -> FaultShown:
    """Switch a fault on; it works from the next request."""
    if fault.account is not None:
        fault = fault.model_copy(update={"account": account_named(sandbox, fault.account).id})
    return _shown(sandbox.faults.add(fault))


@router.delete("/{fault}", status_code=204, responses=refusals(404))
async def switch_off(sandbox: TheSandbox, fault: str) -> None:
    """Switch one off."""
    if not sandbox.faults.remove(fault):
        raise HTTPException(404, "There is no such fault.")


@router.delete("", status_code=204)
async def switch_all_off(sandbox: TheSandbox) -> None:
    """Switch all off."""
    sandbox.faults.clear()


def _shown(armed: Armed) -> FaultShown:
    return FaultShown(id=armed.id, struck=armed.struck, fault=armed.fault)

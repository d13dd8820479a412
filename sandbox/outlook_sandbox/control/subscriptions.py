"""Who is subscribed, how notifications get there, and lifecycle notifications at will."""

from fastapi import APIRouter, HTTPException

from outlook_sandbox.control.finding import TheSandbox
from outlook_sandbox.control.models import LifecycleWanted, SubscriptionShown
from outlook_sandbox.control.problems import refusals
from outlook_sandbox.delivery.endpoints import EndpointShown
from outlook_sandbox.graph.subscriptions import subscription_json

router = APIRouter(tags=["subscriptions"])


@router.get("/subscriptions")
async def list_subscriptions(sandbox: TheSandbox) -> list[SubscriptionShown]:
    """Every app's, of every account."""
    return [SubscriptionShown(**subscription_json(entry, with_state=True)) for entry in sandbox.subscriptions.all()]


@router.post("/subscriptions/{subscription}/lifecycle", status_code=204, responses=refusals(404, 409))
async def send_lifecycle(sandbox: TheSandbox, subscription: str, wanted: LifecycleWanted) -> None:
    """Send lifecycle notifications now."""
    found = sandbox.subscriptions.get(subscription)
    if found is None:
        raise HTTPException(404, "There is no such subscription.")
    if found.lifecycle_url is None:
        raise HTTPException(409, "The subscription has no lifecycleNotificationUrl.")
    if "subscriptionRemoved" in wanted.events:
        sandbox.subscriptions.remove(found)
    sandbox.lifecycle.send(found, *wanted.events)


@router.get("/deliveries")
async def list_deliveries(sandbox: TheSandbox) -> list[EndpointShown]:
    """Every address that notifications lately went to, how fast it answered, and how many wait."""
    return sandbox.delivery.states()

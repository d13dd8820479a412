"""Posts that look like Graph's, each of one entry, about a calendar that nobody has.

Shapes: https://learn.microsoft.com/graph/api/resources/changenotification, and lifecycle entries as in
https://learn.microsoft.com/graph/change-notifications-lifecycle-events.
"""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any


def notification_probe(client_state: str) -> bytes:
    event = f"Users/{uuid.uuid4()}/Events/probe"
    about = {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": event, "@odata.etag": 'W/"probe"', "id": "probe"}
    return _posted(client_state, changeType="updated", resource=event, resourceData=about)


def lifecycle_probe(client_state: str) -> bytes:
    return _posted(client_state, lifecycleEvent="missed")


def _posted(client_state: str, **more: Any) -> bytes:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    entry = {
        "subscriptionId": str(uuid.uuid4()),
        "subscriptionExpirationDateTime": expires_at.isoformat(),
        "clientState": client_state,
        "tenantId": str(uuid.uuid4()),
    }
    return json.dumps({"value": [entry | more]}).encode()

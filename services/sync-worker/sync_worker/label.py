"""Labels: the customer's answer on the Outlook event, as a category and, where the policy allows, in the title.

A label is a merge: of the event's categories only names that are ours are taken out, the wanted one is added, and the
PATCH carries `If-Match`; when somebody else was faster the event is read again and the change rebuilt. A title is only
touched where the policy allows, because Outlook mails the attendees of a meeting whose title changes.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from common import telemetry
from common.announce import Announcer, stamp
from common.errors import AttendaraError, Conflict, Gone, NotFound, Refused
from common.graph import Event, Graph, Mailbox
from common.marks import Claim
from common.messages import StatusWritten
from common.store import Collection, Connection, Database, Document, SyncSettings, read, sync_settings_of
from sync_worker.content import kept_outlook, outlook_of, own_prefixes, without_prefix

log = structlog.get_logger()

REBUILDS = 3


@dataclass
class Labels:
    database: Database
    graph: Graph
    announcer: Announcer

    async def write(self, claim: Claim, now: datetime) -> None:
        """Makes the event's label what its appointment's status wants, and announces how that went."""
        appointment = claim.document
        if appointment["removed"]:
            return
        status = appointment["status"]["value"]
        wanted: StatusWritten = "none" if status == "pending" else status
        mailbox = await self._mailbox(appointment)
        settings = await sync_settings_of(self.database, appointment["organization"])
        links = [appointment["trace"]] if appointment["trace"] else []
        with telemetry.span("write label", links=links, attributes={"attendara.label": wanted}):
            try:
                await self._merge(mailbox, settings, appointment, wanted, now)
            except (Refused, Gone) as error:
                await self._failed(appointment, error, now)

    async def take_off(self, appointment: Document, now: datetime) -> None:
        """Removes what we wrote on one event, for a calendar that leaves; a label that can't be taken off stays."""
        mailbox = await self._mailbox(appointment)
        settings = await sync_settings_of(self.database, appointment["organization"])
        try:
            await self._merge(mailbox, settings, appointment, "none", now)
        except (Refused, Gone) as error:
            log.warning("label left on an event", appointment=appointment["_id"], reason=error.reason)

    async def _mailbox(self, appointment: Document) -> Mailbox:
        mine = {"_id": appointment["connection"], "organization": appointment["organization"]}
        document = await self.database.connections.find_one(mine)
        if document is None:
            raise NotFound("the appointment's connection is gone")
        return self.graph.mailbox(appointment["connection"], read(Connection, document).mailbox)

    async def _merge(
        self, mailbox: Mailbox, settings: SyncSettings, appointment: Document, wanted: StatusWritten, now: datetime
    ) -> None:
        """What is stored of the event may be old: a PATCH on it is refused then, but only Graph can say that none is needed."""
        event: Event | None = None
        outlook = appointment["outlook"]
        if appointment["type"] == "occurrence" or not outlook["etag"]:
            event = await mailbox.event(appointment["event_id"])
        for _ in range(REBUILDS):
            outlook = outlook_of(event) if event else outlook
            plan = plan_label(settings, appointment["label"], outlook, wanted)
            if plan.change:
                await self._intend(appointment, plan, outlook["etag"])
                with suppress(Conflict):
                    event = await mailbox.patch_event(appointment["event_id"], plan.change, etag=outlook["etag"])
                    await self._written(appointment, plan, event, now)
                    return
            elif event:
                await self._written(appointment, plan, event, now)
                return
            event = await mailbox.event(appointment["event_id"])
        raise Conflict("the event keeps changing under its label")

    async def _intend(self, appointment: Document, plan: "Plan", etag: str | None) -> None:
        """Stored before the PATCH: whatever happens to its answer, we know which words on the event are ours."""
        intent = {"category": plan.category, "prefix": plan.prefix, "etag": etag}
        await self._collection.update_one({"_id": appointment["_id"]}, {"$set": {"label.writing": intent}})
        appointment["label"]["writing"] = intent

    async def _written(self, appointment: Document, plan: "Plan", event: Event, now: datetime) -> None:
        fields: Document = {
            "label.value": plan.value,
            "label.category": plan.category,
            "label.prefix": plan.prefix,
            "label.written_at": now,
            "label.failed": None,
            "change": "label-written",
            "outlook": kept_outlook(event),
            "type": event.type,
        }
        await self._store(appointment, fields, now)
        telemetry.count("labels_written", label=plan.value)
        if occurred_at := appointment["status"]["occurred_at"]:
            telemetry.observe("status_to_label_seconds", max(0.0, (now - occurred_at).total_seconds()))

    async def _failed(self, appointment: Document, error: AttendaraError, now: datetime) -> None:
        log.warning("label refused", appointment=appointment["_id"], reason=error.reason, error=str(error))
        telemetry.count("labels_failed", reason=error.reason)
        await self._store(appointment, {"label.failed": error.reason, "change": "label-failed"}, now)

    async def _store(self, appointment: Document, fields: Document, now: datetime) -> None:
        literal = {name: {"$literal": value} for name, value in fields.items()}
        pipeline: list[Document] = [{"$set": literal}, {"$unset": "label.writing"}, *stamp(now)]
        await self._collection.update_one({"_id": appointment["_id"]}, pipeline)
        await self.announcer.announce({"_id": appointment["_id"]})

    @property
    def _collection(self) -> Collection:
        return self.database.appointments


@dataclass(frozen=True)
class Plan:
    """What is to stand on the event: `change` is the PATCH's body, empty when it stands there already."""

    value: StatusWritten
    category: str | None
    prefix: str | None
    change: dict[str, Any]


def plan_label(settings: SyncSettings, label: Document, outlook: Document, wanted: StatusWritten) -> Plan:
    """Ours are the two names of the settings and whatever we wrote or began to write on this event before."""
    writing = label.get("writing") or {}
    category = {"confirmed": settings.confirmed_category, "cancelled": settings.cancelled_category}.get(wanted)
    ours = {settings.confirmed_category, settings.cancelled_category, label.get("category"), writing.get("category")}
    others = [name for name in outlook["categories"] if name not in ours]
    categories = others + ([category] if category else [])
    change: dict[str, Any] = {}
    if categories != outlook["categories"]:
        change["categories"] = categories
    subject, prefix = _title(settings, label, outlook, wanted)
    if subject != outlook["subject"]:
        change["subject"] = subject
    return Plan(wanted, category, prefix, change)


def _title(settings: SyncSettings, label: Document, outlook: Document, wanted: StatusWritten) -> tuple[str | None, str | None]:
    """The title as it should be, and the prefix in it that is ours. Where the policy forbids it, it stays as it is."""
    subject, written = outlook["subject"], label.get("prefix")
    allowed = settings.prefix_policy == "always" or (settings.prefix_policy == "no-attendees" and not outlook["attendees"])
    may_clean = written is not None and not outlook["attendees"]
    if not allowed and not may_clean:
        return subject, written
    bare = without_prefix(subject, *own_prefixes(label))
    prefix = {"confirmed": settings.confirmed_prefix, "cancelled": settings.cancelled_prefix}.get(wanted) if allowed else None
    if not prefix:
        return bare, None
    return f"{prefix} {bare}" if bare else prefix, prefix

"""Rounds: bringing one calendar up to date, `delta` from its link, or `full` over a new window.

Store, announce, then move the link: a crash repeats a page and never skips one. A full round follows a chain of its
own while delta rounds go on along the old link; when its first pass ends, what it didn't see is doubted (`check.py`),
and its link follows once the old one has been read to its end: of an event that a delta round stored during the pass,
only the old link surely tells what came after. A 410 begins a full round at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from common import telemetry
from common.errors import Gone, NotFound, Refused, Transient
from common.graph import Event, Graph, LinkExpired, Mailbox, Page
from common.marks import Claim
from common.store import Connection, Database, Document, read, sync_settings_of
from sync_worker.appointments import Appointments, Place
from sync_worker.categories import ensure_categories
from sync_worker.content import over_master
from sync_worker.states import States

log = structlog.get_logger()

MOST_PAGES = 20_000
"""A chain longer than this is Graph leading us in circles."""


@dataclass
class Rounds:
    database: Database
    graph: Graph
    states: States
    appointments: Appointments
    window: tuple[timedelta, timedelta]

    async def delta(self, claim: Claim, now: datetime) -> None:
        """Follows the calendar's link to its end, and then that of a newer chain. Without a link a full round is under way."""
        state = claim.document
        link, newer = state.get("link"), state.get("newer_link")
        if state["state"] == "closed" or not link:
            return
        with telemetry.span("delta round", attributes={"attendara.calendar": state["_id"]}):
            reader = await self._reader(state, now, state["window"], bulk=False)
            try:
                end = await self._follow(reader, link)
                if end and newer and await self.states.take_newer_link(claim.id, end, newer):
                    await self._follow(reader, newer)
            except LinkExpired:
                log.info("delta link expired", calendar=state["_id"])
                await self.states.update(claim.id, {"$unset": {"link": "", "newer_link": ""}}, link=reader.link)
                await self.states.wish("full", {"_id": claim.id}, now, telemetry.carrier())
                return
            await self._ended(reader)
        self._measure(state, now)

    async def _follow(self, reader: "_Reader", link: str) -> str | None:
        """The delta link at the chain's end, or None when somebody else moved the link, or closed the calendar."""
        for _ in range(MOST_PAGES):
            page = await reader.read(link)
            after = page.delta_link or page.next_link
            if not after:
                raise Refused("a delta page had no link", reason="unreadable-answer")
            if not await self.states.move_link(reader.place.calendar, link, after):
                return None
            if page.delta_link:
                return after
            link = after
        raise Refused("a delta chain doesn't end", reason="endless-chain")

    async def full(self, claim: Claim, now: datetime) -> None:
        """One pass over the window in a chain of its own, taken up where an interrupted one stopped."""
        state = claim.document
        if state["state"] == "closed":
            return
        chain = state.get("chain") or await self._new_chain(state, now)
        reader = await self._reader(state, now, chain["window"], number=chain["number"], bulk=True)
        if not chain["pages"] and reader.may_write_categories:
            await ensure_categories(reader.mailbox, await sync_settings_of(self.database, state["organization"]))
        try:
            delta_link = await self._pass(reader, claim, chain)
        except LinkExpired as error:
            await self.states.update(claim.id, {"$unset": {"chain": "", "progress": ""}})
            raise Transient("the chain expired under the round", reason="link-expired") from error
        if delta_link:
            await self._close_chain(reader, chain, delta_link)

    async def _new_chain(self, state: Document, now: datetime) -> Document:
        number = await self.states.draw_number(state["connection"])
        start, end = now - self.window[0], now + self.window[1]
        chain: Document = {"number": number, "window": {"start": start, "end": end}, "link": None, "pages": 0, "events": 0}
        await self.states.update(state["_id"], {"$set": {"chain": chain, "progress": {"pages": 0, "events": 0}}})
        return chain

    async def _pass(self, reader: "_Reader", claim: Claim, chain: Document) -> str | None:
        """The chain's delta link, or None when the calendar was closed under us."""
        window = chain["window"]
        link = chain["link"] or reader.mailbox.delta_url(reader.graph_calendar, window["start"], window["end"])
        for pages in range(chain["pages"] + 1, MOST_PAGES):
            page = await reader.read(link)
            if page.delta_link:
                return page.delta_link
            if not page.next_link:
                raise Refused("a delta page had no link", reason="unreadable-answer")
            chain["events"] += len(page.value)
            link = page.next_link
            progress = {"pages": pages, "events": chain["events"]}
            moved = {"chain.link": link, **{f"chain.{name}": value for name, value in progress.items()}, "progress": progress}
            if not await self.states.update(claim.id, {"$set": moved}, **{"chain.number": chain["number"]}):
                return None
        raise Refused("a delta chain doesn't end", reason="endless-chain")

    async def _close_chain(self, reader: "_Reader", chain: Document, delta_link: str) -> None:
        """The drift is doubted, and the new link is kept for the delta round that follows."""
        calendar, number, window = reader.place.calendar, chain["number"], chain["window"]
        unseen = {"calendar": calendar, "round": {"$lt": number}, "start": {"$lt": window["end"]}, "end": {"$gt": window["start"]}}
        phantoms = await reader.doubt(unseen)
        new: Document = {"$literal": delta_link}
        links = {
            "link": {"$ifNull": ["$link", new]},
            "newer_link": {"$cond": [{"$gt": ["$link", None]}, new, "$$REMOVE"]},
        }
        done = {"window": window, "state": "current", "last_full_at": reader.now} | links
        delta = self.states.marks.delta.wish(reader.now, telemetry.carrier())
        change: list[Document] = [{"$set": done}, {"$unset": ["chain", "progress"]}, *delta]
        await self.states.update(calendar, change, **{"chain.number": number})
        log.info("full round ended", calendar=calendar, changed=reader.changed, doubted=phantoms)
        await self._ended(reader)

    async def _reader(
        self, state: Document, now: datetime, window: Document, *, number: int | None = None, bulk: bool
    ) -> "_Reader":
        document = await self.database.connections.find_one({"_id": state["connection"], "organization": state["organization"]})
        if document is None:
            raise NotFound("the calendar's connection is gone")
        connection = read(Connection, document)
        mailbox = self.graph.mailbox(connection.id, connection.mailbox, bulk=bulk)
        drawn = number or await self.states.draw_number(state["connection"])
        place = Place(state["organization"], state["connection"], state["_id"])
        return _Reader(self, mailbox, place, state["graph_id"], window, drawn, now, connection.may_write_categories)

    async def _ended(self, reader: "_Reader") -> None:
        change: Document = {"$set": {"last_round_at": reader.now}, "$unset": {"last_error": ""}}
        if reader.changed:
            change["$set"]["appointments"] = await self.appointments.count(reader.place.calendar)
        await self.states.update(reader.place.calendar, change)

    def _measure(self, state: Document, now: datetime) -> None:
        """Of the round that a notification brought about, not of the clock's rounds after it."""
        notified, last = state.get("notified_at"), state.get("last_round_at")
        if notified and (last is None or notified > last):
            telemetry.observe("notification_to_round_seconds", max(0.0, (now - notified).total_seconds()))


class _Reader:
    """One round's eyes: reads a page, completes its occurrences, stores what it says and doubts what it takes away."""

    def __init__(
        self,
        rounds: Rounds,
        mailbox: Mailbox,
        place: Place,
        graph_calendar: str,
        window: Document,
        number: int,
        now: datetime,
        may_write_categories: bool,
    ) -> None:
        self._rounds = rounds
        self.mailbox = mailbox
        self.place = place
        self.graph_calendar = graph_calendar
        self._window = window
        self._number = number
        self.now = now
        self.may_write_categories = may_write_categories
        self.changed = 0
        self.link = ""
        self._masters: dict[str, Event | None] = {}

    async def read(self, link: str) -> Page:
        self.link = link
        page = await self.mailbox.delta_page(link)
        latest = {item.id: item for item in page.value}.values()
        removed = [item.id for item in latest if item.removed]
        masters = {item.id: item for item in latest if item.type == "seriesMaster"}
        self._masters |= masters
        events = [item for item in latest if not item.removed and item.type != "seriesMaster"]
        whole = [event for item in events if (event := await self._whole(item))]
        trace = telemetry.carrier()
        self.changed += await self._rounds.appointments.store(self.place, whole, self._number, self.now, dict(trace))
        if removed:
            await self.doubt({"$or": [{"event_id": {"$in": removed}}, {"series": {"$in": removed}}]})
        if masters:
            await self._doubt_lost_occurrences(list(masters))
        return page

    async def _doubt_lost_occurrences(self, masters: list[str]) -> None:
        """Graph sends all occurrences of a changed series, and no tombstone for a lost one; a single may have become a series."""
        window = {"start": {"$lt": self._window["end"]}, "end": {"$gt": self._window["start"]}}
        unseen = {"round": {"$lt": self._number}}
        await self.doubt({"$or": [{"event_id": {"$in": masters}}, {"series": {"$in": masters}, **window, **unseen}]})

    async def doubt(self, query: Document) -> int:
        known: Document = {"connection": self.place.connection, "calendar": self.place.calendar, "round": {"$lte": self._number}}
        doubted = await self._rounds.appointments.suspect({"$and": [known, query]})
        if doubted:
            marks = self._rounds.states.marks.checks
            await marks.set({"_id": self.place.calendar}, self.now, telemetry.carrier())
        return doubted

    async def _whole(self, item: Event) -> Event | None:
        """A skeleton occurrence over its master; None when the master is gone (its occurrences follow)."""
        if item.type != "occurrence" or item.subject is not None or not item.series_master_id:
            return item
        if item.series_master_id not in self._masters:
            self._masters[item.series_master_id] = await self._fetch(item.series_master_id)
        master = self._masters[item.series_master_id]
        return over_master(master, item) if master else None

    async def _fetch(self, master: str) -> Event | None:
        try:
            return await self.mailbox.event(master)
        except Gone:
            return None

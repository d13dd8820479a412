"""An organization's label names and prefix policy. The only writer of `sync_settings`."""

from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog
from pydantic import BaseModel

from common import store
from common.announce import Announcer, stamp
from common.errors import Rejected, Transient
from common.messages import Message, SyncSettingsChanged
from common.runner import Clock, utc_now
from common.store import Database, Document, SyncSettings
from settings_web.text import one_line

log = structlog.get_logger()

LONGEST_CATEGORY = 255
"""Outlook's limit for the name of a category."""
LONGEST_PREFIX = 40


class Wanted(BaseModel):
    """What somebody wants saved: the fields of `SyncSettings` without its id."""

    confirmed_category: str
    cancelled_category: str
    prefix_policy: Literal["never", "no-attendees", "always"]
    confirmed_prefix: str
    cancelled_prefix: str


def message_of(document: Document) -> Message:
    return SyncSettingsChanged(organization=document["_id"])


@dataclass
class SyncSettingsOf:
    database: Database
    announcer: Announcer
    clock: Clock = utc_now

    async def read(self, organization: str) -> SyncSettings:
        return await store.sync_settings_of(self.database, organization)

    async def save(self, organization: str, wanted: Wanted) -> SyncSettings:
        """Raises Rejected (422) with a sentence when something can't be used."""
        valid = validated(organization, wanted)
        fields = msgspec.to_builtins(valid) | {"organization": organization}
        del fields["_id"]
        change = [{"$set": {name: {"$literal": value} for name, value in fields.items()}}, *stamp(self.clock())]
        await self.database.sync_settings.update_one({"_id": organization}, change, upsert=True)
        try:
            await self.announcer.announce({"_id": organization})
        except Transient as error:
            log.warning("announced later", error=str(error))
        return valid


def validated(organization: str, wanted: Wanted) -> SyncSettings:
    values = {name: one_line(value) for name, value in wanted.model_dump().items()}
    settings = msgspec.convert(values | {"_id": organization}, SyncSettings)
    for name in (settings.confirmed_category, settings.cancelled_category):
        _check(bool(name), "Both categories need a name.")
        _check(len(name) <= LONGEST_CATEGORY, f"A category’s name may have at most {LONGEST_CATEGORY} characters.")
        _check("," not in name and ";" not in name, "A category’s name can’t contain a comma or semicolon in Outlook.")
    _check(
        settings.confirmed_category.casefold() != settings.cancelled_category.casefold(),
        "The two categories need different names.",
    )
    for prefix in (settings.confirmed_prefix, settings.cancelled_prefix):
        _check(bool(prefix) or settings.prefix_policy == "never", "Both prefixes need a text when titles are changed.")
        _check(len(prefix) <= LONGEST_PREFIX, f"A prefix may have at most {LONGEST_PREFIX} characters.")
    same = settings.confirmed_prefix.casefold() == settings.cancelled_prefix.casefold()
    _check(not same or settings.prefix_policy == "never", "The two prefixes must differ.")
    return settings


def _check(fine: bool, sentence: str) -> None:
    if not fine:
        raise Rejected(sentence, status=422, reason="invalid-settings")

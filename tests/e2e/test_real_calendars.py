"""Calendars that real programs wrote, through the whole system: every occurrence that another library finds, and no other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import batched, chain
from typing import Any

import httpx2
import msgspec
import pytest
from pymongo import AsyncMongoClient

from attendara_local.environment import MICROSOFT_APP
from attendara_local.stack import Stack
from common.messages import AppointmentChanged
from common.store import Database, Document
from tests.chaos.settings_pages import SettingsPages, settings_pages
from tests.kafka_reading import reading
from tests.servers import Servers
from tests.serving import until
from tests.unit.sandbox.real_calendars import FILES, FOLDER, REFUSED, Shown, shown_between

ADMIN = "usr_clara"
ACCOUNTS = 8
LOADED = [name for name in FILES if name not in REFUSED]
LIMIT = 120.0
"""Seconds until all is in step."""
PUBLISHED = ["fablab_cottbus.ics", "Germany.ics", "issue_4.ics", "private.ics"]


@dataclass
class Practice:
    """One Microsoft account and, by the name of the file, its calendars; `refused` has the reasons."""

    username: str
    calendars: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class Synced:
    """What became of each file: its calendar with us, and the window that was synced."""

    database: Database
    calendars: dict[str, Document]
    refused: dict[str, str]

    async def appointments(self, name: str) -> list[Document]:
        query = {"calendar": self.calendars[name]["_id"], "removed": None}
        return await self.database.appointments.find(query).to_list()

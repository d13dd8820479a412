"""Documents that survive a restart: kept in memory by their owners, written to one SQLite file off the hot path."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec

WRITE_EVERY_SECONDS = 0.1


class Database:
    """`put` and `delete` return at once; a thread commits what has gathered, about 100 ms later.

    Without a path nothing is kept.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = path
        self._pending: dict[tuple[str, str], bytes | None] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS documents (kind TEXT, id TEXT, document BLOB, PRIMARY KEY (kind, id))"
            )
            self._thread = threading.Thread(target=self._write_forever, name="database", daemon=True)
            self._thread.start()

    def load(self, kind: str) -> dict[str, Any]:
        """Every stored document of a kind by its id, as JSON values."""
        if self._file is None:
            return {}
        self.flush()
        with self._writing:
            rows = self._connection.execute("SELECT id, document FROM documents WHERE kind = ? ORDER BY rowid", (kind,)).fetchall()
        return {identifier: msgspec.json.decode(document) for identifier, document in rows}

    def put(self, kind: str, identifier: str, document: object) -> None:
        if self._file is not None:
            self._note(kind, identifier, msgspec.json.encode(document))

    def delete(self, kind: str, identifier: str) -> None:
        if self._file is not None:
            self._note(kind, identifier, None)

    def clear(self, kind: str) -> None:
        """Forget every document of a kind, and of its parts: the kinds named `kind part`."""
        if self._file is not None:
            self.flush()
            with self._writing:
                self._connection.execute("DELETE FROM documents WHERE kind = ? OR kind GLOB ?", (kind, f"{kind} *"))
                self._connection.commit()

    def flush(self) -> None:
        """Commit what has gathered, now."""
        with self._writing:
            with self._lock:
                pending, self._pending = self._pending, {}
            if not pending:
                return
            gone = [key for key, document in pending.items() if document is None]
            kept = [(*key, document) for key, document in pending.items() if document is not None]
            self._connection.executemany("DELETE FROM documents WHERE kind = ? AND id = ?", gone)
            self._connection.executemany(
                # Not REPLACE, which would move a changed document to the end: documents come back in their first order.
                "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
                kept,
            )
            self._connection.commit()

    def close(self) -> None:
        if self._thread is not None:
            self._closing.set()
            self._wake.set()
            self._thread.join()
            self.flush()
            self._connection.close()
            self._thread = None

    def _note(self, kind: str, identifier: str, document: bytes | None) -> None:
        with self._lock:
            self._pending[kind, identifier] = document
        self._wake.set()

    def _write_forever(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(WRITE_EVERY_SECONDS)
            self.flush()

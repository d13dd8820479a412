"""What the sandbox keeps comes back as it was, in the order in which it first came."""

from pathlib import Path

from outlook_sandbox.database import Database


def test_documents_come_back_in_their_first_order_though_some_were_changed(tmp_path: Path) -> None:
    before = Database(tmp_path / "sandbox.sqlite")
    for name in ("zebra", "ape", "mole"):
        before.put("animal", name, {"name": name})
        before.flush()
    before.put("animal", "zebra", {"name": "Zebra"})
    before.close()
    after = Database(tmp_path / "sandbox.sqlite")
    assert list(after.load("animal").values()) == [{"name": "Zebra"}, {"name": "ape"}, {"name": "mole"}]
    after.close()

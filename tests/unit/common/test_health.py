"""What a service does without, once it has found it."""

from common.health import once_found


async def test_what_was_found_once_may_be_away() -> None:
    answers: list[str | None] = ["no answer", None, "no answer"]

    async def ask() -> str | None:
        return answers.pop(0)

    check = once_found(ask)

    assert [await check() for _ in range(3)] == ["no answer", None, None]

"""How long a subscription is asked for, and when it is renewed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from common.errors import Refused
from common.graph import GraphSubscription
from renewer.terms import SHORTEST, Terms, ask_within_the_cap, renewal_of

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Capped:
    """Takes what ends within `cap` minutes, and keeps what it was asked."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.asked: list[int] = []

    async def __call__(self, expires_at: datetime) -> GraphSubscription:
        minutes = (expires_at - NOW) // timedelta(minutes=1)
        self.asked.append(minutes)
        if minutes > self.cap:
            raise Refused(f"Subscription expiration can only be {self.cap} minutes in the future.", status=400)
        return GraphSubscription(id="s", expiration_date_time=expires_at.isoformat())


@pytest.mark.parametrize(
    ("cap", "asked"),
    [(10_070, [10_000]), (4_230, [10_000, 5_000, 2_500]), (50, [10_000, 5_000, 2_500, 1_250, 625, 312, 156, 78, 45])],
)
async def test_the_life_is_halved_until_graph_takes_it(cap: int, asked: list[int]) -> None:
    graph = Capped(cap)

    _, minutes = await ask_within_the_cap(graph, 10_000, NOW)

    assert (minutes, graph.asked) == (asked[-1], asked)


async def test_it_is_not_halved_for_ever() -> None:
    graph = Capped(1)

    with pytest.raises(Refused):
        await ask_within_the_cap(graph, 10_000, NOW)

    assert graph.asked[-1] == SHORTEST


@given(minutes=some.integers(45, 10_080))
def test_a_third_of_the_life_or_somewhat_more_is_left_at_the_renewal(minutes: int) -> None:
    life = timedelta(minutes=minutes)

    left = NOW + life - renewal_of(NOW + life, NOW)

    assert life / 3 - timedelta(seconds=1) <= left <= life * 0.4 + timedelta(seconds=1)


def test_what_began_together_is_not_renewed_together() -> None:
    assert len({renewal_of(NOW + timedelta(days=7), NOW) for _ in range(50)}) > 40


@pytest.mark.parametrize("base", ["https://hooks.example", "https://hooks.example/"])
def test_the_addresses_are_those_of_the_gateway(base: str) -> None:
    terms = Terms(base, 10_000)

    assert terms.notification_url == "https://hooks.example/graph/notifications"
    assert terms.lifecycle_url == "https://hooks.example/graph/lifecycle"

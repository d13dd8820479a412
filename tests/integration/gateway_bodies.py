"""Bodies that anybody may post to the gateway, made from a seed: genuine, forged, and spoiled in many ways."""

import base64
import codecs
import hmac
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.integration.gateway_model import CHANGES, LIFECYCLE, LIFECYCLES, NOTIFICATIONS, PROBE, Expected, Model
from tests.integration.gateway_process import KEYS

DEEPEST = 100_000
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"

Body = bytes


def signed(calendar: str, key_id: str, key: bytes) -> str:
    """As the renewer signs: `v1.<key id>.<calendar>.<HMAC-SHA256, base64url>`."""
    text = f"v1.{key_id}.{calendar}"
    return f"{text}.{base64.urlsafe_b64encode(hmac.digest(key, text.encode(), 'sha256')).rstrip(b'=').decode()}"


class World:
    """The calendars of a seed. `genuine`: the calendar of each clientState that was ever signed with our keys."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.seed = seed
        self.calendars = ["cal_" + "".join(chance.choices(LETTERS, k=26)) for _ in range(400)]
        self.states = [signed(calendar, *chance.choice(list(KEYS.items()))) for calendar in self.calendars]
        self.probe = signed(PROBE, "k1", KEYS["k1"])
        self.genuine = dict(zip(self.states, self.calendars, strict=True)) | {self.probe: PROBE}

    def post(self, number: int) -> "Post":
        """The same for the same seed and number."""
        chance = random.Random(f"{self.seed} {number}")
        path = chance.choice((NOTIFICATIONS, NOTIFICATIONS, LIFECYCLE))
        body = _Making(self, chance, path, number).body()
        return Post(path, body, _request(path, body, chance))

    def expected(self, post: "Post") -> Expected:
        return Model(self.genuine, post.path).read(post.body)


@dataclass(frozen=True)
class Post:
    path: str
    body: Body
    request: bytes


def _request(path: str, body: Body, chance: random.Random) -> bytes:
    """As HTTP: what it says of its type is as little to be believed, and its length isn't always told beforehand."""
    kind = chance.choice((b"application/json", b"application/json; charset=utf-16", b"text/plain", b"", b"a/b;;\xff"))
    head = b"POST %s HTTP/1.1\r\nHost: gateway\r\nContent-Type: %s\r\n" % (path.encode(), kind)
    if chance.random() < 0.9:
        return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)
    middle = chance.randint(0, len(body))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:]) if part)
    return b"%sTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % (head, chunks)


class _Making:
    """One body: entries, as JSON, then perhaps spoiled."""

    def __init__(self, world: World, chance: random.Random, path: str, number: int) -> None:
        self._world, self._chance, self._path, self._number = world, chance, path, number

    def body(self) -> Body:
        spoil = self._chance.choices(list(SPOILING), list(SPOILING.values()))[0]
        return spoil(self)

    def whole(self) -> Body:
        chance = self._chance
        count = 300 if chance.random() < 0.002 else chance.choice((0, 1, 1, 1, 2, 2, 3, 6))
        post: dict[str, Any] = {"value": [self._entry() for _ in range(count)]}
        if chance.random() < 0.1:
            post["validationTokens"] = ["eyJ0eXAiOiJKV1QiLCJhbGciOiJSU"]
        separators = chance.choice(((",", ":"), (", ", ": "), ("\n,\t", "\r\n: ")))
        return json.dumps(post, ensure_ascii=chance.random() < 0.5, separators=separators).encode()

    def _entry(self) -> Any:
        roll = self._chance.random()
        if roll < 0.6:
            return self._told(self._chance.choice(self._world.states))
        if roll < 0.75:
            return self._told(self._forged())
        if roll < 0.755:
            return self._told(self._world.probe)
        if roll < 0.93:
            return self._odd(self._told(self._chance.choice(self._world.states)))
        return self._chance.choice((None, 7, "", [], {}, True, -1e300, [[]], {"clientState": self._world.states[0]}))

    def _told(self, client_state: str) -> dict[str, Any]:
        """As Graph tells: an Outlook notification, or a lifecycle notification; the tenant is anybody's."""
        chance = self._chance
        entry = {
            "subscriptionId": f"{self._number}-{chance.randrange(4)}",
            "subscriptionExpirationDateTime": "2026-11-28T15:30:00.1234567+05:30",
            "clientState": client_state,
            "tenantId": str(UUID(int=chance.getrandbits(128))),
        }
        lifecycle = (self._path == LIFECYCLE) != (chance.random() < 0.03)
        if lifecycle:
            return entry | {"lifecycleEvent": chance.choice((*LIFECYCLES, "unheardOf"))}
        event = f"Users/{chance.getrandbits(64):x}/Events/AAMk😀é="
        about = {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": event, "id": "AAMk😀é="}
        return entry | {"changeType": chance.choice((*CHANGES, "renamed")), "resource": event, "resourceData": about}

    def _forged(self) -> str:
        chance, (mine, other) = self._chance, self._chance.sample(self._world.states, 2)
        version, key_id, calendar, signature = mine.split(".")
        return chance.choice(
            (
                signed(calendar, key_id, b"x" * 32),
                signed(calendar, "k3", b"3" * 32),
                signed(calendar, *next(iter(KEYS.items()))).replace("v1", "v2"),
                f"{version}.{key_id}.{calendar}.{other.split('.')[3]}",
                f"{version}.{other.split('.')[1]}x.{calendar}.{signature}",
                mine[:-1],
                mine + "=",
                mine + "\n",
                " " + mine,
                mine.upper(),
                mine.replace("cal_", "con_"),
                f"{version}.{key_id}.{calendar}.",
                f"{version}.{key_id}..{signature}",
                mine + "." + mine,
                "\0" + mine,
                "ÿ" * 120,
                "." * chance.randrange(8),
                "x" * 129,
                "",
            )
        )

    def _odd(self, entry: dict[str, Any]) -> dict[str, Any]:
        """With something in it that may or may not make it malformed."""
        chance = self._chance
        name = chance.choice(("subscriptionId", "clientState", "tenantId", "changeType", "lifecycleEvent", "id", "resource"))
        if chance.random() < 0.2:
            entry.pop(name, None)
            return entry
        things: tuple[Any, ...] = (
            None,
            True,
            0,
            -(10**50),
            1e300,
            "",
            "s" * 200,
            "s" * 201,
            "é\0\u2028😀" * 10,
            [],
            {},
            ["updated"],
            {"a": [1]},
        )
        return entry | {name: chance.choice(things)}

    def flipped(self) -> Body:
        body = bytearray(self.whole())
        for _ in range(self._chance.randint(1, 8)):
            body[self._chance.randrange(len(body))] ^= 1 << self._chance.randrange(8)
        return bytes(body)

    def truncated(self) -> Body:
        body = self.whole()
        return body[: self._chance.randrange(len(body))]

    def spliced(self) -> Body:
        one, other = self.whole(), self.whole()
        start, end = sorted(self._chance.choices(range(len(other) + 1), k=2))
        at = self._chance.randint(0, len(one))
        return one[:at] + other[start:end] + one[at + self._chance.choice((0, end - start)) :]

    def replaced(self) -> Body:
        """Some values are put in the places of others: those that strain a parser, and those that only look like JSON."""
        body = self.whole()
        places = [match.span() for match in re.finditer(rb'"[^"]*"(?=\s*[,}\]])|null|\d+', body)] or [(0, 0)]
        for start, end in sorted(self._chance.sample(places, min(len(places), self._chance.randint(1, 2))), reverse=True):
            body = body[:start] + self._chance.choice(VALUES) + body[end:]
        return body

    def encoded(self) -> Body:
        body = self.whole()
        text, encoding = body.decode(), self._chance.choice(ENCODINGS)
        return encoding(text)

    def deep(self) -> Body:
        depth = DEEPEST if self._chance.random() < 0.03 else self._chance.choice((10, 60, 120))
        opening, closing = self._chance.choice(((b"[", b"]"), (b'{"value":', b"}"), (b'[{"a":', b"}]")))
        nest = opening * depth + b"1" + closing * self._chance.choice((depth, depth, depth - 1, 0))
        return self._at_some_value(nest)

    def _at_some_value(self, something: bytes) -> Body:
        genuine = json.dumps(self._told(self._chance.choice(self._world.states))).encode()
        return self._chance.choice(
            (
                b'{"value":[%s,%s]}' % (genuine, something),
                b'{"value":[%s],"more":%s}' % (genuine, something),
                b'{"more":%s,"value":[%s]}' % (something, genuine),
                b'{"value":[%s,"more":%s}]}' % (genuine[:-1], something),
                b'{"value":[%s,"changeType":%s}]}' % (genuine[:-1], something),
                b'{"value":[%s,"lifecycleEvent":%s}]}' % (genuine[:-1], something),
                b'{"value":%s}' % something,
                something,
            )
        )

    def twice(self) -> Body:
        """Keys that are given twice, some of them in other letters."""
        chance, ours = self._chance, json.dumps(self._told(self._chance.choice(self._world.states)))
        name = chance.choice(("subscriptionId", "clientState", "tenantId", "changeType", "lifecycleEvent", r"client\u0053tate"))
        value = json.dumps(chance.choice((self._forged(), chance.choice(self._world.states), 7, None, "x", ["x"])))
        again = f'"{name}":{value}'
        entry = chance.choice((f"{ours[:-1]},{again}}}", f"{{{again},{ours[1:]}"))
        return chance.choice(
            (
                f'{{"value":[{entry}]}}',
                f'{{"value":[{ours},{entry},{ours}]}}',
                f'{{"value":[{ours}],"value":[{entry}]}}',
                f'{{"value":[{entry}],"v\\u0061lue":[]}}',
                f'{{"value":7,"value":[{ours}]}}',
                f'{{"value":[{ours}],"value":null}}',
                f'{{"Value":[{ours}],"value ":[{ours}]}}',
            )
        ).encode()

    def wrapped(self) -> Body:
        body = self.whole()
        value = body[body.index(b"[") : body.rindex(b"]") + 1]
        return self._chance.choice(
            (
                value,
                b'{"value":{"value":%s}}' % value,
                b'{"value":"%s"}' % base64.b64encode(value),
                b"[%s]" % body,
                body + body,
                body + b"\0",
                b"\0" + body,
                b" \t\r\n" + body + b"\n\n ",
                b"\x0c" + body,
                body + b"//",
                body.replace(b'"', b"'"),
                body.replace(b"]", b",]", 1),
                json.dumps(body.decode()).encode(),
                b"",
                b" ",
                b"null",
            )
        )

    def noise(self) -> Body:
        chance = self._chance
        if chance.random() < 0.5:
            return chance.randbytes(chance.randrange(300))
        return bytes(chance.choices(b'{}[]",:\\ue0.-+truefalsn \n', k=chance.randrange(200)))


SPOILING: Mapping[Callable[[_Making], Body], int] = {
    _Making.whole: 44,
    _Making.flipped: 12,
    _Making.truncated: 8,
    _Making.spliced: 8,
    _Making.replaced: 10,
    _Making.encoded: 4,
    _Making.deep: 2,
    _Making.twice: 5,
    _Making.wrapped: 4,
    _Making.noise: 3,
}
"""How bodies are spoiled, each with how many of a hundred are."""

VALUES = (
    *(b"1e999", b"-1e999", b"0e99999999999999999999", b"1" * 50, b"-" + b"1" * 5_000, b"1." + b"1" * 5_000, b"-0", b"5e-324"),
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"01", b"1.", b".5", b"+1", b"0x10", b"1_0", b"-", b"1e", b"tru", b"undefined"),
    *(b'"\\ud800"', b'"\\udc00x"', b'"\\ud800\\u0041"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\\u12g4"', b'"\\x41"', b'"\\"'),
    *(b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\0"', b'"\n"', b'"\x7f"', b'"\xef\xbb\xbf"'),
    *(b"", b"[]", b"{}", b'{"":{"":[{}]}}', b"null", b"true", b'"updated"', b'"\\u0075pdated"', b"1,2", b"]}", b"/**/1"),
)

ENCODINGS: tuple[Callable[[str], bytes], ...] = (
    *(lambda text, name=name: text.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7")),
    lambda text: text.encode("latin-1", "replace"),
    lambda text: text.encode("cp1252", "replace"),
    lambda text: text.encode("utf-16-le", "surrogatepass")[1:],
    lambda text: codecs.BOM_UTF16_LE + text.encode(),
)

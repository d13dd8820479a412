"""Who may sign in to Attendara here: two people of one practice, and one of a business next door."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Organization:
    id: str
    name: str


@dataclass(frozen=True)
class User:
    sub: str
    name: str
    email: str
    organization: Organization
    role: Literal["admin", "member"]

    def claims(self) -> dict[str, Any]:
        return {
            "sub": self.sub,
            "name": self.name,
            "email": self.email,
            "email_verified": True,
            "org_id": self.organization.id,
            "org_name": self.organization.name,
            "roles": [self.role],
        }


BERGPRAXIS = Organization("org_bergpraxis", "Bergpraxis Physiotherapie")
SEEHOF = Organization("org_seehof", "Seehof Zahnmedizin")
USERS = (
    User("usr_miriam", "Miriam Vogt", "miriam@bergpraxis.example", BERGPRAXIS, "admin"),
    User("usr_jonas", "Jonas Brandt", "jonas@bergpraxis.example", BERGPRAXIS, "member"),
    User("usr_clara", "Clara Stein", "clara@seehof.example", SEEHOF, "admin"),
)


def user(sub: str) -> User | None:
    return next((user for user in USERS if user.sub == sub), None)

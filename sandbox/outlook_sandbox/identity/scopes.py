"""Which permissions Graph knows here, how requests spell them, and what the consent page calls them."""

from dataclasses import dataclass

from outlook_sandbox.identity.errors import Refused, missing

GRAPH = "https://graph.microsoft.com/"
DEFAULT = ".default"


@dataclass(frozen=True)
class Permission:
    title: str
    meaning: str
    work_only: bool = False


OPENID = {
    "openid": Permission("Sign you in", "Allows the app to know who you are when you sign in."),
    "profile": Permission("View your basic profile", "Allows the app to see your name and user name."),
    "email": Permission("View your email address", "Allows the app to read your primary email address."),
    "offline_access": Permission(
        "Maintain access to data you have given it access to",
        "Allows the app to see and update the data you gave it access to, even when you are not using the app.",
    ),
}
PERMISSIONS = {
    "User.Read": Permission("View your profile", "Allows the app to sign you in and to read your profile."),
    "Calendars.ReadBasic": Permission(
        "Read basic details of your calendars",
        "Allows the app to read events in your calendars, except for properties such as body and attachments.",
    ),
    "Calendars.Read": Permission("Read your calendars", "Allows the app to read events in your calendars."),
    "Calendars.ReadWrite": Permission(
        "Have full access to your calendars",
        "Allows the app to read, update, create and delete events in your calendars.",
    ),
    "Calendars.Read.Shared": Permission(
        "Read calendars you can access",
        "Allows the app to read events in all calendars you can access, including shared ones.",
        work_only=True,
    ),
    "Calendars.ReadWrite.Shared": Permission(
        "Read and write to your and shared calendars",
        "Allows the app to change events in all calendars you can access, including shared ones.",
        work_only=True,
    ),
    "MailboxSettings.Read": Permission(
        "Read your mailbox settings",
        "Allows the app to read your mailbox settings, such as time zone and categories.",
    ),
    "MailboxSettings.ReadWrite": Permission(
        "Read and write to your mailbox settings",
        "Allows the app to read and update your mailbox settings, such as categories. It cannot send mail.",
    ),
}
KNOWN = OPENID | PERMISSIONS
BY_LOWER_CASE = {name.lower(): name for name in KNOWN}


def read_scopes(text: str, *, personal: bool = False) -> frozenset[str]:
    """The scopes of a request by their plain names; a name without a resource means Microsoft Graph.

    Raises Refused (AADSTS70011) for one that Graph does not know, or that this kind of account can't give.
    """
    plain = [name.removeprefix(GRAPH) for name in text.split()]
    if not plain:
        raise missing("scope")
    if DEFAULT in plain:
        return _expand_default(frozenset(plain))
    unknown = [name for name in plain if name.lower() not in BY_LOWER_CASE]
    scopes = frozenset(BY_LOWER_CASE[name.lower()] for name in plain if name not in unknown)
    unknown += [name for name in sorted(scopes) if personal and KNOWN[name].work_only]
    if unknown:
        raise _invalid(text, f"The scope {' '.join(unknown)} is not valid.")
    return scopes


def consent_lines(scopes: frozenset[str]) -> list[Permission]:
    """What the consent page lists, Graph's permissions first; `openid` is never named there."""
    return [permission for name, permission in (PERMISSIONS | OPENID).items() if name in scopes and name != "openid"]


def full_names(scopes: frozenset[str]) -> str:
    """Scopes as Microsoft names them in addresses, Graph's with Graph's address."""
    return " ".join(sorted(name if name in OPENID else f"{GRAPH}{name}" for name in scopes))


def _expand_default(names: frozenset[str]) -> frozenset[str]:
    if names - OPENID.keys() - {DEFAULT}:
        raise _invalid(" ".join(sorted(names)), ".default scope can't be combined with resource-specific scopes.")
    return frozenset({"User.Read", "Calendars.ReadWrite", "MailboxSettings.ReadWrite"}) | names - {DEFAULT}


def _invalid(text: str, why: str) -> Refused:
    return Refused(70011, why=why, scope=text)

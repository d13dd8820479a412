"""Why Microsoft no longer lets us in, in plain words, and what to do about it."""

from collections.abc import Mapping

from common.store import Connection

RECONNECT = "Reconnect, and sign in as {username}."
ASK_TO_ALLOW = "Ask the administrator of your Microsoft 365 to allow it, then reconnect."
ASK_TO_RESTORE = "Ask the administrator of your Microsoft 365 to restore it, then reconnect; or remove it here."
HAND_OVER = "Hand the link for the approval to your administrator, then reconnect."

NO_LONGER_ACCEPTED = "Microsoft no longer accepts the sign-in of this account."
WHY: Mapping[str, tuple[str, str]] = {
    "account-disabled": ("The account is disabled at Microsoft.", ASK_TO_RESTORE),
    "account-elsewhere": ("Microsoft says that the account belongs to another organization.", RECONNECT),
    "account-gone": ("The account is no longer there at Microsoft.", ASK_TO_RESTORE),
    "admin-approval": ("An administrator of your Microsoft 365 has to approve Attendara.", HAND_OVER),
    "conditional-access": ("A security policy of your Microsoft 365 no longer lets this account use Attendara.", ASK_TO_ALLOW),
    "consent-withdrawn": ("Attendara’s permission was taken back at Microsoft.", RECONNECT),
    "grant-expired": ("The sign-in has expired at Microsoft.", RECONNECT),
    "grant-refused": (NO_LONGER_ACCEPTED, RECONNECT),
    "grant-revoked": ("The sign-in was revoked at Microsoft, as happens when a password is reset.", RECONNECT),
    "not-assigned": ("Your Microsoft 365 lets only assigned people use Attendara, and this account is not one.", ASK_TO_ALLOW),
    "password-expired": ("The account’s password has expired.", "Choose a new password at Microsoft, then reconnect."),
    "session-revoked": ("The account was signed out everywhere at Microsoft.", RECONNECT),
    "sign-in-required": ("Microsoft asks for more at its sign-in, such as a second factor.", RECONNECT),
    "sign-in-too-old": ("Your organization asks for a new sign-in from time to time.", RECONNECT),
}
"""For each reason that auth gives: the sentence, and the next step."""

STATES: Mapping[str, str] = {
    "active": "Connected",
    "catching-up": "Catching up",
    "needs-reconnect": "Needs reconnect",
    "needs-admin-consent": "Needs approval",
    "removing": "Removing",
}


def why(connection: Connection) -> tuple[str, str]:
    """The reason in plain words and the next step, also for a reason that is new to us."""
    approval = connection.state == "needs-admin-consent"
    reason, next_step = WHY.get(connection.reason or "", WHY["admin-approval"] if approval else WHY["grant-refused"])
    return reason, next_step.format(username=connection.username)

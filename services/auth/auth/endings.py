"""How a connect can end: which outcome an error is, its sentence for the page, and what people do next."""

from dataclasses import dataclass
from typing import Literal

from auth.id_token import Untrusted
from auth.profile import NoMailbox
from auth.refusals import CONDITIONAL_ACCESS, ELSEWHERE, NOT_ASSIGNED, AppMisconfigured, Declined, SignInNeeded
from common.errors import AdminConsentNeeded, AttendaraError, NotFound, Permanent

Outcome = Literal[
    "accepted",
    "declined",
    "wrong-account",
    "admin-consent-needed",
    "conditional-access",
    "no-mailbox",
    "expired",
    "mismatch",
    "microsoft-away",
    "app-misconfigured",
]


class WrongAccount(Permanent):
    """Somebody else signed in than the one whose connection is to be renewed."""

    default_reason = "wrong-account"


@dataclass(frozen=True)
class Ending:
    outcome: Outcome
    message: str
    next_step: str = ""


ACCEPTED = Ending("accepted", "Your Microsoft account is connected.")
ALREADY_CONNECTED = Ending("accepted", "This Microsoft account is connected already, and its connection has been refreshed.")
EXPIRED = Ending(
    "expired",
    "This sign-in took too long or was used already.",
    "Begin again; the sign-in has to be finished within ten minutes.",
)
REMOVED = Ending(
    "expired",
    "This account was removed from Attendara meanwhile, so it was not connected again.",
    "Connect it anew if it is still wanted.",
)
MISMATCH = Ending(
    "mismatch",
    "This sign-in was begun in another browser or session, so nothing was connected.",
    "Begin again, and stay in this browser and signed in to Attendara until you are back.",
)
DECLINED = Ending(
    "declined",
    "Access was not given at Microsoft’s page, so nothing was connected.",
    "Begin again when you are ready, and press Accept on Microsoft’s page.",
)
ANOTHER_ACCOUNT = Ending(
    "wrong-account",
    "You signed in with another Microsoft account than the one that is to be reconnected, so nothing was changed.",
    "Begin again, and pick the account that is to be reconnected.",
)
FOREIGN_ACCOUNT = Ending(
    "wrong-account",
    "Microsoft does not let this account in, because it belongs to another organization than the one asked for.",
    "Begin again with an account of the right organization.",
)
ADMIN_NEEDED = Ending(
    "admin-consent-needed",
    "An administrator of your Microsoft 365 must approve Attendara before you can connect.",
    "Hand the link to your administrator. Once it is approved there, connect again.",
)
POLICY = Ending(
    "conditional-access",
    "A security policy of your Microsoft 365 does not let this account use Attendara.",
    "Ask the administrator of your Microsoft 365 to allow it, then connect again.",
)
UNASSIGNED = Ending(
    "conditional-access",
    "Your Microsoft 365 lets only those people use Attendara whom its administrator has assigned to it.",
    "Ask the administrator to assign your account to Attendara, then connect again.",
)
NO_MAILBOX = Ending(
    "no-mailbox",
    "This Microsoft account has no Outlook calendar that Attendara can reach.",
    "Use an account with a mailbox in Exchange Online or Outlook.com.",
)
UNFINISHED = Ending(
    "expired",
    "Microsoft asks for more than was done at its sign-in, such as a second factor.",
    "Begin again, and finish every step that Microsoft asks for.",
)
UNUSABLE = Ending(
    "expired",
    "Microsoft says that this account cannot sign in: it is disabled or gone, or its password has expired.",
    "Sign in at Microsoft first to see what is wrong, or use another account.",
)
AWAY = Ending("microsoft-away", "Microsoft did not answer as it should.", "Try again in a few minutes.")
OUT_OF_ORDER = Ending(
    "app-misconfigured",
    "Connecting is out of order on our side, and not because of you.",
    "Tell Attendara’s support; nothing that you do here can mend this.",
)

BY_REASON = {
    CONDITIONAL_ACCESS: POLICY,
    NOT_ASSIGNED: UNASSIGNED,
    ELSEWHERE: FOREIGN_ACCOUNT,
    "sign-in-required": UNFINISHED,
    "account-disabled": UNUSABLE,
    "account-gone": UNUSABLE,
    "password-expired": UNUSABLE,
}


def ending_of(error: AttendaraError) -> Ending:
    match error:
        case WrongAccount():
            return ANOTHER_ACCOUNT
        case Declined():
            return DECLINED
        case AdminConsentNeeded():
            return ADMIN_NEEDED
        case NoMailbox():
            return NO_MAILBOX
        case AppMisconfigured():
            return OUT_OF_ORDER
        case Untrusted():
            return MISMATCH
        case NotFound():
            return REMOVED
        case SignInNeeded():  # of a code that was used already or is too old, unless the reason says more
            return BY_REASON.get(error.reason, EXPIRED)
    return AWAY

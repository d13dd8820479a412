"""Microsoft's numbers for its refusals, and what each looks like on the wire. These are the ones that faults can switch on.

Microsoft documents the numbers and their meaning [entra-docs reference-error-codes.md], but not the `error`, `suberror` and
status of each. Those seen in answers that people published are marked "seen"; the others follow the documented meaning of
`error` and are not verified.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """`error`, `suberror` and `status` are the token endpoint's, `redirect` is the error told to the app by redirect.

    With `on_page`, whoever signs in reads it on Microsoft's page and the app never hears of it (unless with prompt=none).
    With `claims`, the token endpoint's answer says which claims the next request must carry.
    """

    error: str
    text: str
    suberror: str | None = None
    redirect: str = "interaction_required"
    on_page: bool = False
    claims: bool = False
    status: int = 400


def _grant(text: str, suberror: str | None = None, *, redirect: str = "interaction_required", on_page: bool = False) -> Meaning:
    """What only the person can mend, by signing in again."""
    return Meaning("invalid_grant", text, suberror, redirect, on_page)


def _interaction(text: str, suberror: str | None = "basic_action") -> Meaning:
    """What the person is asked to do at the next sign-in; `claims` say for which policy."""
    return Meaning("invalid_grant", text, suberror, claims=True)


def _blocked(text: str) -> Meaning:
    """A policy's block, which a person reads about and can do nothing against."""
    return Meaning("invalid_grant", text, "message_only", "access_denied", on_page=True, claims=True)


def _client(text: str) -> Meaning:
    """An app that doesn't prove who it is."""
    return Meaning("invalid_client", text, redirect="unauthorized_client", on_page=True, status=401)


def _request(text: str, *, on_page: bool = False) -> Meaning:
    return Meaning("invalid_request", text, redirect="invalid_request", on_page=on_page)


def _unauthorized(text: str) -> Meaning:
    return Meaning("unauthorized_client", text, redirect="unauthorized_client", on_page=True)


_MOVED = "Due to a configuration change made by your administrator, or because you moved to a new location, "
_ENROLL = f"{_MOVED}you must enroll in multi-factor authentication to access '{{resource}}'."

MEANINGS: dict[int, Meaning] = {
    # Sign in again.
    50034: _grant(
        "The user account {user} does not exist in the {tenant} directory. To sign into this application, "
        "the account must be added to the directory.",
        on_page=True,
    ),
    50055: _grant("The password is expired.", "user_password_expired", on_page=True),  # seen
    50057: _grant("The user account is disabled.", on_page=True),
    50132: _grant("The session is not valid: the password expired or was changed recently, or the session is too old."),
    50133: _grant("Session is invalid due to expiration or recent password change."),
    50173: _grant(  # seen, without a suberror
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or "
        "reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before which tokens are not "
        "valid) for this user is '{now}'."
    ),
    70000: _grant("The user could not be authenticated as the grant is expired. The user must sign in again."),  # seen
    70008: _grant(
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization "
        "request for this user and resource."
    ),
    70043: _grant(  # seen
        "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access. The token was "
        "issued on {issued} and the maximum allowed lifetime for this request is 86400.",
        "token_expired",
    ),
    700082: _grant(  # seen in 2026; older answers had no suberror
        "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for 90.00:00:00.",
        "bad_token",
    ),
    700084: _grant(
        "The refresh token was issued to a single page app (SPA), and therefore has a fixed, limited lifetime of 1.00:00:00, "
        "which cannot be extended. It is now expired and a new sign in request must be sent by the SPA to the sign in page. "
        "The token was issued on {issued}."
    ),
    # More of the person is needed.
    16000: Meaning(
        "interaction_required",
        "User account '{user}' does not exist in tenant '{tenant}' and cannot access the application '{app}'({app_name}) in that "
        "tenant. Sign out and sign in again with a different user account.",
    ),
    50058: Meaning(
        "interaction_required", "A silent sign-in request was sent but no user is signed in.", redirect="login_required"
    ),
    50072: _interaction(_ENROLL),
    50074: _interaction("Strong Authentication is required."),
    50076: _interaction(f"{_MOVED}you must use multi-factor authentication to access '{{resource}}'."),  # seen
    50078: _interaction(
        "Presented multi-factor authentication has expired due to policies configured by your administrator, you must refresh "
        "your multi-factor authentication to access '{resource}'."
    ),
    50079: _interaction(_ENROLL),  # seen
    50097: _interaction("Device authentication is required."),
    65001: _grant(  # seen
        "The user or administrator has not consented to use the application with ID '{app}' named '{app_name}'. Send an "
        "interactive authorization request for this user and resource.",
        "consent_required",
    ),
    # A policy's block.
    50131: _blocked("Device is not in required device state, or the request was blocked due to suspicious activity."),
    53000: _blocked(
        "Device is not in required device state: not compliant. Conditional Access policy requires a compliant device. The user "
        "must enroll their device with an approved MDM provider."
    ),
    53001: _blocked(
        "Device is not in required device state: domain_joined. Conditional Access policy requires a domain joined device."
    ),
    53003: _blocked(  # seen
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."
    ),
    530032: _blocked("Your organization's security policy blocks this request. Contact your administrator."),
    530035: _blocked("Access has been blocked by security defaults. The request was deemed unsafe by security defaults policies."),
    # An administrator is needed.
    50105: _grant(
        "Your administrator has configured the application {app_name} ('{app}') to block users unless they are specifically "
        "granted ('assigned') access to the application. The signed in user '{user}' is blocked because they are not assigned.",
        redirect="access_denied",
        on_page=True,
    ),
    65004: _grant("User declined to consent to access the app.", redirect="access_denied"),  # the redirect: seen
    90094: _grant(
        "{app_name} needs permission to access resources in your organization that only an admin can grant. Please ask an admin "
        "to grant permission to this app before you can use it.",
        "consent_required",
        redirect="access_denied",
    ),
    90095: _grant(
        "{app_name} needs admin approval. The user was told to send a request for it to an admin.",
        "consent_required",
        redirect="access_denied",
    ),
    # The app, or its request, is wrong.
    50011: _request(
        "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the "
        "application '{app}'.",
        on_page=True,
    ),
    50020: _grant(
        "User account '{user}' does not exist in tenant '{tenant}' and cannot access the application in that tenant. "
        "Sign out and sign in again with a different user account.",
        redirect="access_denied",
        on_page=True,
    ),
    50027: _client("Invalid JWT token. {why}"),
    50194: _request(  # seen
        "Application '{app}'({app_name}) is not configured as a multi-tenant application. Usage of the /common endpoint is not "
        "supported for such applications. Use a tenant-specific endpoint or configure the application to be multi-tenant.",
        on_page=True,
    ),
    54005: _grant(
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."
    ),
    70003: Meaning("unsupported_grant_type", "The app requested an unsupported grant type '{grant}'."),
    70011: Meaning(
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. {why} Given: {scope}",
        redirect="invalid_scope",
    ),
    700005: _grant("Provided Authorization Code is intended to use against other tenant, thus rejected."),
    700016: _unauthorized(  # seen
        "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the application has "
        "not been installed by the administrator of the tenant or consented to by any user in the tenant."
    ),
    700021: _client("Client assertion application identifier doesn't match 'client_id' parameter."),
    700023: _client("Client assertion audience claim does not match Realm issuer. Expected: {expected}"),
    700024: _client("Client assertion is not within its valid time range."),
    700025: _client("Client is public so neither 'client_assertion' nor 'client_secret' should be presented."),  # seen
    700027: _client("Client assertion failed signature validation. [Reason - {why}, Thumbprint of key used by client: '{key}']"),
    700054: Meaning(
        "unsupported_response_type",
        "response_type '{response_type}' is not enabled for the application.",
        redirect="unsupported_response_type",
    ),
    7000112: _unauthorized("Application '{app}'({app_name}) is disabled."),
    7000215: _client(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client "
        "secret ID, for a secret added to app '{app}'."
    ),
    7000218: _client("The request body must contain the following parameter: 'client_assertion' or 'client_secret'."),
    7000222: _client(  # seen
        "The provided client secret keys for app '{app}' are expired. Create new keys for your app, or consider using certificate "
        "credentials for added security."
    ),
    90002: _request("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.", on_page=True),
    90014: _request("The required field '{field}' is missing from the credential."),
    90019: _request("No tenant-identifying information found in either the request or implied by any provided credentials."),
    90023: _request("Invalid request. {why}"),
    500112: _grant(
        "The reply address '{redirect_uri}' does not match the reply address '{expected}' provided when requesting "
        "Authorization code."
    ),
    501481: _grant("The Code_Verifier does not match the code_challenge supplied in the authorization request."),
    501491: _request("Invalid size of Code_Challenge parameter."),
    900144: _request("The request body must contain the following parameter: '{field}'."),
    9002331: _request(
        "Application '{app}'({app_name}) is configured for use by Microsoft Account users only. Please use the /consumers endpoint "
        "to serve this request.",
        on_page=True,
    ),
    9002332: _request(  # seen
        "Application '{app}'({app_name}) is configured for use by Azure Active Directory users only. Please do not use the "
        "/consumers endpoint to serve this request.",
        on_page=True,
    ),
    # Later.
    50196: _grant("The server terminated an operation because it encountered a client request loop."),  # documented
    70012: Meaning(
        "temporarily_unavailable",
        "A server error occurred while authenticating an MSA (consumer) user. Please try again.",
        redirect="server_error",
        status=503,
    ),
    90033: Meaning(  # seen
        "temporarily_unavailable",
        "A transient error has occurred. Please try again.",
        redirect="temporarily_unavailable",
        status=503,
    ),
    90055: Meaning(
        "temporarily_unavailable",
        "There are too many incoming requests for this tenant. Please try again later.",
        redirect="temporarily_unavailable",
        status=429,
    ),
}

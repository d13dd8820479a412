"""Why there is no connection: the system's and OpenSSL's errors, in words that say what to do."""

import socket
import ssl
from collections.abc import Iterator

import httpx2

PUBLIC = "Graph wants one of an authority that is publicly trusted"
_CERTIFICATE = {
    9: "the certificate isn't valid yet: look at its dates, and at this machine's clock",
    10: "the certificate has expired: renew it",
    18: f"the certificate is self-signed: {PUBLIC}",
    19: f"the certificate's authority isn't publicly trusted: {PUBLIC}",
    20: f"the certificate's authority isn't publicly trusted, or the intermediate certificates aren't sent with it: {PUBLIC}",
    21: "the intermediate certificates aren't sent: serve the whole chain",
}
_OTHER_NAME = (62, 64)
_NO_TLS = "no TLS is spoken at port {port}: is it the port for http?"
_OTHER_VERSION = "no TLS 1.2 is spoken, and Graph speaks no other version here: allow it"
_TLS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _OTHER_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OTHER_VERSION,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no TLS 1.2 with a cipher of today is spoken, or a client's certificate is wanted",
    "TLSV1_UNRECOGNIZED_NAME": "the TLS server knows no {host}: give it a certificate for this name",
}


def why_unreachable(error: httpx2.TransportError, url: httpx2.URL) -> str:
    host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
    for cause in _causes(error):
        if words := _words(cause, host, port):
            return words
    return f"there is no connection to {host}:{port}: {error or type(error).__name__}"


def _words(cause: BaseException, host: str, port: int) -> str | None:
    match cause:
        case httpx2.ConnectTimeout():
            return f"no connection to {host}:{port} in time: a firewall drops it, or nothing is at this address"
        case ssl.SSLCertVerificationError(verify_code=code) if code in _OTHER_NAME:
            return f"the certificate is for another name than {host}: issue one that has it"
        case ssl.SSLCertVerificationError():
            return _CERTIFICATE.get(cause.verify_code, f"the certificate isn't accepted: {cause.verify_message}")
        case ssl.SSLEOFError():
            return f"the connection was closed while TLS was agreed on: does {host} speak TLS 1.2 at port {port}?"
        case ssl.SSLError():
            return _TLS.get(cause.reason or "", f"TLS can't be agreed on: {cause.reason}").format(host=host, port=port)
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return f"the DNS doesn't answer for {host}: try again, and look at this machine's DNS"
        case socket.gaierror():
            return f"the DNS has no address for {host}: is it spelled right, is its record there?"
        case ConnectionRefusedError():
            return f"nothing listens at {host}:{port}: the connection was refused"
        case ConnectionError():
            return f"{host}:{port} closed the connection at once"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it stems from, and so on; a group's members come after it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__

"""How a service ends when it is asked to: with code 0, once all that ends a Python program has run (telemetry is sent, say)."""

import signal
from types import FrameType


def end_with_success() -> None:
    """For `make_app`. uvicorn shuts down at SIGTERM and at Ctrl-C alike, but then dies of SIGTERM: so SIGTERM is its Ctrl-C.

    Where uvicorn isn't what handles signals, nothing changes.
    """
    shut_down = signal.getsignal(signal.SIGTERM)
    if not callable(shut_down):
        return

    def once(_: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second Ctrl-C would not wait for what is in hand
        shut_down(signal.SIGINT, frame)

    signal.signal(signal.SIGTERM, once)

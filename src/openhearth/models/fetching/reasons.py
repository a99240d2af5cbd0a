"""Why a connection did not come about, in words: libraries tell it by the names of their classes. Connects to nothing."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator


def why(error: BaseException) -> str:
    """The reason below an HTTP library's error, to stand after a colon."""
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "its name is not found (is there a network?)"
    for cause in causes:
        match cause:
            case ssl.SSLError():
                return "no trusted connection"
            case TimeoutError():
                return "nothing answers"
            case OSError(errno=number) if number:
                return os.strerror(number).lower()
    return "the connection failed"


def untrusted(error: BaseException) -> bool:
    """Whether it is TLS that failed: then somebody is there."""
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from, each once."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and not any(each is other for other in seen):
            seen.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "os_error", None), *each.args]
    yield from seen

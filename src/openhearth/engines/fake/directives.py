"""What a prompt may tell the fake engine to do.

    [[say:TEXT]]        answer exactly TEXT, token by token
    [[tokens:N]]        answer N tokens, each a word
    [[call:NAME JSON]]  answer with a tool call (several directives: several calls)
    [[delay_ms:N]]      wait so long before each token
    [[prefill_ms:N]]    wait so long before the first
    [[crash]]  [[crash_after:N]]    end the process with SIGKILL, after N tokens
    [[hang]]   [[hang_after:N]]     stop answering, keep the connection
    [[error:STATUS]]    refuse with this status
    [[echo_request]]    answer the body that came, as JSON

The last one of a kind in the text counts.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass, field

_DIRECTIVE = re.compile(
    r"\[\[(say|tokens|delay_ms|prefill_ms|crash_after|hang_after|error|call):(.*?)\]\](?!\])|\[\[(crash|hang|echo_request)\]\]", re.DOTALL
)


@dataclass
class Directives:
    """What was found."""

    say: str | None = None
    tokens: int | None = None
    delay_s: float = 0.0
    prefill_s: float = 0.0
    crash_after: int | None = None
    hang_after: int | None = None
    error: int | None = None
    echo_request: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)


def read(text: str) -> Directives:
    """The directives of a text."""
    found = Directives()
    for name, value, bare in _DIRECTIVE.findall(text):
        _apply(found, name or bare, value)
    return found


def _apply(found: Directives, name: str, value: str) -> None:
    if name == "say":
        found.say = value
    elif name == "call":
        tool, _, arguments = value.partition(" ")
        found.calls.append((tool, arguments or "{}"))
    elif name in ("delay_ms", "prefill_ms"):
        setattr(found, name.replace("_ms", "_s"), float(value) / 1000)
    elif name in ("tokens", "crash_after", "hang_after", "error"):
        setattr(found, name, int(value))
    elif name == "echo_request":
        found.echo_request = True
    else:
        setattr(found, name + "_after", 0)


def crash() -> None:
    """End this process as a fault of native code would."""
    os.kill(os.getpid(), signal.SIGKILL)

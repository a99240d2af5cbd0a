"""Where an upstream server is, and the key for it. The key leaves this object only as a header, for this address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openhearth.errors import EngineUnavailable, InvalidRequest

PREFIX = "/v1/"
_KEY = re.compile(r"[\x21-\x7e]+")
_LEAST_KEY = 4
"""A shorter key is not searched for in texts: it would be found in words."""


@dataclass(frozen=True)
class Address:
    """`base_url` ends with the server's `/v1` (or what it has instead), without a slash behind it."""

    base_url: str
    shown: str
    """Host and port, for messages."""
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, base_url: str, key: str | None = None) -> Address:
        """Raises EngineUnavailable: not http(s), no host, a user or query in it, or a key that no header can carry."""
        shown = _shown(base_url)
        if shown is None:
            raise EngineUnavailable("An upstream's base_url must be like http://host:8000/v1: http or https, no user, no '?' and no '#'.")
        key = key.strip() if key else None
        if key and not _KEY.fullmatch(key):
            raise EngineUnavailable(f"The key for the upstream server {shown} holds characters that no key has.")
        return cls(base_url.rstrip("/"), shown, key or None)

    @property
    def headers(self) -> Mapping[str, str]:
        """Of every request to it."""
        return {"content-type": "application/json"} | ({"authorization": f"Bearer {self.key}"} if self.key else {})

    def path(self, path: str) -> str:
        """`/v1/x` -> `/x`, behind base_url. Raises InvalidRequest for an engine's own paths: an upstream is only known to have OpenAI's."""
        if not path.startswith(PREFIX):
            raise InvalidRequest("This model runs on an upstream server, which can't do this.", code="engine_refused")
        return path[len(PREFIX) - 1 :]

    def without_key(self, text: str) -> str:
        """What the server said, in case it repeats its key."""
        return text.replace(self.key, "(key)") if self.key and len(self.key) >= _LEAST_KEY else text


def _shown(base_url: str) -> str | None:
    """Host and port, None if the URL is unfit."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}" if port else host

"""How people reach this server: the setting, or where it listens. Never what a request's Host header says, which anybody can write."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from openhearth.errors import SetupError


@dataclass(slots=True)
class PublicAddress:
    """`url` has no slash at its end. The server sets it when it knows its port, unless the settings did."""

    url: str
    fixed: bool

    def listens_on(self, url: str) -> None:
        """Told by the server."""
        if not self.fixed:
            self.url = url

    @property
    def encrypted(self) -> bool:
        """Whether browsers come by https, so that cookies may be for that only."""
        return self.url.startswith("https://")


def public_address(public_url: str | None, host: str, port: int) -> PublicAddress:
    """Raises SetupError."""
    if public_url is None:
        return PublicAddress(f"http://{f'[{host}]' if ':' in host else host}:{port}", fixed=False)
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise SetupError("public_url looks like https://ai.example.com: scheme and host, no path.", exit_status=78)
    return PublicAddress(f"{parts.scheme}://{parts.netloc}".lower(), fixed=True)

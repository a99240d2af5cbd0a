"""Requests that another site made a browser send. Cookies go along with those; keys don't, so requests with keys need no such check."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import Scope

from openhearth.errors import PermissionDenied

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def require_same_origin(scope: Scope, public_url: str | None, *, told: bool) -> None:
    """Raises PermissionDenied if the browser says that the request comes from elsewhere. `told`: it must say something."""
    headers = dict(scope["headers"])
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    foreign = (site is not None and site != b"same-origin") or (origin is not None and not _is_ours(origin, headers, public_url))
    if foreign or (told and site is None and origin is None):
        raise PermissionDenied(
            "This request doesn't come from this server's own pages. Programs send a key in an Authorization header, not a cookie.",
            code="cross_site_request",
        )


def require_json(scope: Scope) -> None:
    """Raises PermissionDenied for a body that a form can send across sites."""
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise PermissionDenied("With a session, the request needs `Content-Type: application/json`.", code="not_json")


def check_session_request(scope: Scope, public_url: str | None) -> None:
    """What a request that changes something must show, when a cookie is all it has. Forms can't send DELETE, so it may have no type."""
    if scope["method"] in SAFE:
        return
    require_same_origin(scope, public_url, told=True)
    if scope["method"] != "DELETE" or b"content-type" in dict(scope["headers"]):
        require_json(scope)


def _is_ours(origin: bytes, headers: dict[bytes, bytes], public_url: str | None) -> bool:
    said = origin.decode("latin-1").lower()
    parts = urlsplit(said)
    if public_url and (parts.scheme, parts.netloc) == (urlsplit(public_url).scheme.lower(), urlsplit(public_url).netloc.lower()):
        return True
    return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc == headers.get(b"host", b"").decode("latin-1").lower()

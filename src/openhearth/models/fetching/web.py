"""HTTP as fetching needs it: https only, redirects looked at one by one, credentials for their own origin alone.

Does no retrying and writes no files: `download` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.credentials import Credentials, from_netrc, proxy_for
from openhearth.models.fetching.patience import Interrupted, NobodyThere
from openhearth.models.fetching.reasons import why
from openhearth.models.fetching.sources import permitted, shown

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientResponse, ClientSession

MOST_REDIRECTS = 8
CONNECT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Page:
    """A small document and where it finally came from."""

    url: str
    content_type: str
    body: bytes = field(repr=False)


class Web:
    """A client session. Use as an async context manager."""

    def __init__(self, stall_s: float, ca_file: str | None = None, proxy: str | None = None) -> None:
        """`proxy`: used instead of the machine's."""
        self._stall_s = stall_s
        self._ca_file = ca_file
        self._proxy = proxy
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, credentials: Credentials | None = None
    ) -> AsyncIterator[ClientResponse]:
        """The reply with status 200, 206, 404 or 416, its body unread and not decompressed.

        Raises Interrupted for what may pass (broken connections, 5xx, 429), DownloadFailed for what won't.
        """
        import aiohttp

        try:
            reply = await self._follow(url, dict(headers or {}), credentials)
            try:
                _check(reply)
                yield reply
            finally:
                reply.close()
        except aiohttp.ConnectionTimeoutError:
            raise NobodyThere(f"{shown(url)} can't be reached: nothing answers.") from None
        except TimeoutError:
            raise Interrupted(f"{shown(url)} sent nothing for {self._stall_s:g} seconds.") from None
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
            raise Interrupted(f"{shown(url)} broke off.") from None
        except aiohttp.InvalidURL:
            raise DownloadFailed(f"{shown(url)} is not a URL.") from None
        except aiohttp.ClientResponseError:
            raise Interrupted(f"{shown(url)} doesn't speak HTTP, or sends more bytes than it has said.") from None
        except aiohttp.ClientSSLError:
            raise DownloadFailed(f"{shown(url)}: no trusted connection.") from None
        except aiohttp.ClientConnectorError as error:
            raise NobodyThere(f"{shown(url)} can't be reached: {why(error)}.") from None
        except aiohttp.ClientError as error:
            raise Interrupted(f"{shown(url)} can't be reached: {why(error)}.") from None
        except ValueError:  # host names that no resolver takes
            raise DownloadFailed(f"{shown(url)} is not a URL.") from None

    async def page(self, url: str, accept: str, credentials: Credentials | None = None, *, most_bytes: int) -> Page | None:
        """A document of at most `most_bytes`; None: there is none (404)."""
        async with self.get(url, {"accept": accept}, credentials) as reply:
            if reply.status == 404:
                return None
            if reply.status != 200:
                raise DownloadFailed(f"{shown(url)} answered {reply.status}.")
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise DownloadFailed(f"{shown(url)} is longer than {most_bytes} bytes.")
            return Page(str(reply.url), reply.headers.get("content-type", ""), bytes(body))

    async def _follow(self, url: str, headers: dict[str, str], credentials: Credentials | None) -> ClientResponse:
        for _ in range(MOST_REDIRECTS + 1):
            reply = await self._send(url, headers, credentials)
            if reply.status not in _REDIRECTS:
                return reply
            location = reply.headers.get("location")
            reply.close()
            url = _next(url, location)
        raise DownloadFailed(f"{shown(url)}: more than {MOST_REDIRECTS} redirects.")

    async def _send(self, url: str, headers: dict[str, str], credentials: Credentials | None) -> ClientResponse:
        from yarl import URL

        if not permitted(url):
            raise DownloadFailed(f"{shown(url)}: only https is fetched.")
        known = credentials if credentials is not None and credentials.are_for(url) else from_netrc(url)
        sent = {"accept-encoding": "identity", **headers, **(known.headers() if known else {})}
        return await self._open_session().get(
            URL(url, encoded=True), headers=sent, allow_redirects=False, proxy=self._proxy or proxy_for(url)
        )

    def _open_session(self) -> ClientSession:
        import aiohttp

        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=self._stall_s)
            self._session = aiohttp.ClientSession(
                timeout=timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(ssl=_trust(self._ca_file)),
                headers={"user-agent": "openhearth"},
            )
        return self._session


def _trust(ca_file: str | None) -> ssl.SSLContext:
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise DownloadFailed(f"{ca_file} holds no certificates.") from None


def _next(url: str, location: str | None) -> str:
    if not location:
        raise DownloadFailed(f"{shown(url)} redirects to nowhere.")
    following = urljoin(url, location)
    if not permitted(following) or (urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https"):
        raise DownloadFailed(f"{shown(url)} redirects to {shown(following)}, which is not https: not followed.")
    return following


def _check(reply: ClientResponse) -> None:
    where = shown(str(reply.url))
    if reply.status in PASSING:
        raise Interrupted(f"{where} answered {reply.status}.", _retry_after(reply.headers.get("retry-after", "")))
    if reply.status in (401, 403):
        raise DownloadFailed(f"{where} answered {reply.status}: it wants credentials that it knows.")
    if reply.status not in (200, 206, 404, 416):
        raise DownloadFailed(f"{where} answered {reply.status}.")
    if reply.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise DownloadFailed(f"{where} sends its bytes compressed, which was not asked for.")


def _retry_after(header: str) -> float | None:
    return float(header) if header.isascii() and header.isdigit() and len(header) < 6 else None

"""The server that a command talks to: one named by the owner, the one on this data folder, or a private one for this command's life.

It speaks OpenAI's wire over HTTP, as every client does; nothing here knows how an answer is made.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openhearth.cli.exits import NO_SERVER
from openhearth.cli.terminal import clean
from openhearth.errors import AuthenticationFailed, EngineFailed, OpenHearthError, SetupError

if TYPE_CHECKING:
    import aiohttp

    from openhearth.settings import Settings

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 600.0
_LARGEST_EVENT = 64 * 2**20
_NO_KEY = (
    "The server wants a key, and this command has none: put one into OPENHEARTH_API_KEY. "
    "`openhearth keys create` on the server's machine makes one."
)


@dataclass(frozen=True)
class Address:
    """Where a server is. `base_url` ends with the wire's own prefix (`/v1`)."""

    base_url: str
    key: str | None = None
    socket: Path | None = None
    """Set: the URL's host is only a name, the connection goes here."""


class Server:
    """An open connection. Errors: OpenHearthError with the server's own words; SetupError (exit 3) if nobody answers."""

    def __init__(self, address: Address, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session

    async def get(self, path: str) -> Any:
        """A reply's JSON. `path` is under `/v1`, or from the host's root if it begins with `//`."""
        return await self._whole("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """A reply's JSON."""
        return await self._whole("POST", path, body)

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The events of a streamed reply, up to `[DONE]`. Raises also on an error event, and if the stream breaks off."""
        async with self._request("POST", path, {**body, "stream": True}) as response:
            async with aclosing(_events(response)) as events:
                async for data in events:
                    if data == b"[DONE]":
                        return
                    event = json.loads(data)
                    if event.get("error"):
                        raise OpenHearthError(_message(event, "The server ended its answer with an error."))
                    yield event
            raise EngineFailed("The server broke off its answer.")

    async def _whole(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        async with self._request(method, path, body) as response:
            content = await response.read()
        try:
            return json.loads(content)
        except ValueError:
            raise OpenHearthError(f"{self.address.base_url} did not answer in JSON; is it an OpenAI-compatible server?") from None

    @asynccontextmanager
    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        base = self.address.base_url
        url = base.removesuffix("/v1") + path[1:] if path.startswith("//") else base + path
        headers = {"authorization": f"Bearer {self.address.key}"} if self.address.key else {}
        try:
            # A redirect could carry the key to another host.
            async with self._session.request(method, url, json=body, headers=headers, allow_redirects=False) as response:
                if response.status >= 300:
                    raise _refusal(response.status, await response.read(), self.address.key)
                yield response
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.os_error.errno) if error.os_error.errno else type(error).__name__
            raise SetupError(f"No server answers at {base}: {reason}.", exit_status=NO_SERVER) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(f"The connection to {base} failed: {type(error).__name__}.") from None


def _refusal(status: int, content: bytes, key: str | None) -> OpenHearthError:
    try:
        message = _message(json.loads(content), "")
    except ValueError:
        message = ""
    if status == 401:
        return AuthenticationFailed(
            _NO_KEY if key is None else f"{message or 'The server refuses the key.'} It is taken from OPENHEARTH_API_KEY."
        )
    return OpenHearthError(message or f"The server answered with status {status}.")


def _message(reply: Any, otherwise: str) -> str:
    error = reply.get("error") if isinstance(reply, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return text if isinstance(text, str) and text else otherwise


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """The `data:` of server-sent events; one line each, as OpenAI's wire has it."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(rest) > _LARGEST_EVENT:
            raise EngineFailed("The server sent an event without end.")


@asynccontextmanager
async def connected(settings: Settings, *, private: bool) -> AsyncIterator[Server]:
    """The server of these settings. With `private` one is started in this process where there is none; else SetupError (exit 3)."""
    if address := known_address(settings):
        async with _session(address) as server:
            yield server
        return
    if not private:
        raise SetupError(f"No server runs on {settings.data_dir}. `openhearth serve` starts one.", exit_status=NO_SERVER)
    from openhearth.app import open_house
    from openhearth.private_server import temporary

    async with (
        open_house(settings) as house,
        temporary(house) as (socket, key),
        _session(Address("http://openhearth/v1", key, socket)) as server,
    ):
        yield server


def known_address(settings: Settings) -> Address | None:
    """The server that was named (`--base-url`, `OPENHEARTH_BASE_URL`), or the one on this data folder, if one runs."""
    if settings.base_url:
        return Address(_normal(settings.base_url), settings.api_key)
    from openhearth.serving import running

    found = running(settings)
    return Address(_normal(found.base_url), found.key) if found else None


def _normal(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(f"'{url}' is not a server's address; it looks like http://127.0.0.1:8000/v1.", exit_status=78)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


@asynccontextmanager
async def _session(address: Address) -> AsyncIterator[Server]:
    import aiohttp

    connector = aiohttp.UnixConnector(str(address.socket)) if address.socket else aiohttp.TCPConnector()
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Server(address, session)


async def listed(server: Server) -> list[dict[str, Any]]:
    """The server's models: `id`, `publisher`, and from a house like ours `task`, too."""
    try:
        return [{**model, "publisher": model["owned_by"]} for model in (await server.get("//openhearth/models"))["data"]]
    except OpenHearthError:  # another maker's server
        told = (await server.get("/models")).get("data", ())
        return [{"id": str(model["id"]), "publisher": str(model.get("owned_by", "another server"))} for model in told]


async def tell(server: Server, body: dict[str, Any], say: Callable[[str], None]) -> str | None:
    """Stream a chat completion's text to `say`, without control characters. Returns why it ended (`stop`, `length`...)."""
    reason: str | None = None
    async with aclosing(server.stream("/chat/completions", body)) as events:
        async for event in events:
            for choice in event.get("choices", ()):
                if piece := clean((choice.get("delta") or {}).get("content") or ""):
                    say(piece)
                reason = choice.get("finish_reason") or reason
    return reason


async def chosen_model(server: Server, settings: Settings, wanted: str | None) -> str:
    """The model that was asked for, or the settings' default; on a named server that lacks it, the first that it lists."""
    if wanted:
        return wanted
    if settings.base_url is None:
        return settings.default_model
    ids = [str(model["id"]) for model in (await server.get("/models")).get("data", ())]
    return settings.default_model if settings.default_model in ids or not ids else ids[0]

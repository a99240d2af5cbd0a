"""Where model files come from, on loopback: file servers that can misbehave, a hub with its CDN, a simple index, wheels."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class File:
    """A resource and how its server treats those who ask for it."""

    body: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    suffixes: bool = True
    """Whether it knows `bytes=-100`, too."""
    breaks: list[int] = field(default_factory=list)
    """The next replies break off after so many bytes."""
    stalls: list[int] = field(default_factory=list)
    """The next replies say nothing more after so many bytes."""
    statuses: list[int] = field(default_factory=list)
    """The next replies are these errors."""
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str | None = None
    chunked: bool = False
    delay_s: float = 0.0
    """Between pieces of 64 KiB."""
    wants: str | None = None
    """The Authorization header without which it answers 401."""


@dataclass(frozen=True)
class Asked:
    """A request that has arrived."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class FileServer:
    """Files by path, and every request that came for them."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.asked: list[Asked] = []
        self.sent = 0
        """Body bytes, of all replies."""
        self.url = ""

    def put(self, path: str, body: bytes, **how: Any) -> File:
        self.files[path] = File(body, **how)
        return self.files[path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.method, request.path, request.headers.copy()))
        file = self.files.get(request.path)
        if file is None:
            return web.Response(status=404)
        if file.wants is not None and request.headers.get("Authorization") != file.wants:
            return web.Response(status=401)
        if file.redirect is not None:
            return web.Response(status=302, headers={"Location": file.redirect, **file.headers})
        if file.statuses:
            return web.Response(status=file.statuses.pop(0), headers=file.headers)
        return await self._send(request, file)

    async def _send(self, request: web.Request, file: File) -> web.StreamResponse:
        etag = {"ETag": file.etag} if file.etag else {}
        asked_range = _range(request, file)
        start, end = asked_range or (0, len(file.body))
        if asked_range and start >= len(file.body):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(file.body)}"})
        reply = web.StreamResponse(headers={**etag, **file.headers})
        if asked_range:
            reply.set_status(206)
            reply.headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(file.body)}"
        if file.chunked:
            reply.enable_chunked_encoding()
        else:
            reply.content_length = end - start
        await reply.prepare(request)
        if request.method != "HEAD":
            await self._pieces(request, reply, file, file.body[start:end])
        return reply

    async def _pieces(self, request: web.Request, reply: web.StreamResponse, file: File, body: bytes) -> None:
        cut = file.breaks.pop(0) if file.breaks else None
        stall = file.stalls.pop(0) if file.stalls else None
        most = min(len(body), *(each for each in (cut, stall) if each is not None), len(body))
        for at in range(0, most, 65536):
            piece = body[at : min(at + 65536, most)]
            await reply.write(piece)
            self.sent += len(piece)
            if file.delay_s:
                await asyncio.sleep(file.delay_s)
        if stall is not None:
            await asyncio.sleep(30)
        if cut is not None and request.transport is not None:
            request.transport.close()


def _range(request: web.Request, file: File) -> tuple[int, int] | None:
    size = len(file.body)
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if not found or not file.ranges or request.headers.get("If-Range", file.etag) != file.etag:
        return None
    if not found[1] and not file.suffixes:
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    return int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)


@asynccontextmanager
async def listening(handler: Any, tls: SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port of 127.0.0.1; its URL without a slash at the end."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def file_server(tls: SSLContext | None = None) -> AsyncIterator[FileServer]:
    server = FileServer()
    async with listening(server.handle, tls) as server.url:
        yield server


@asynccontextmanager
async def raw_server(reply: bytes, hold_s: float = 0.0) -> AsyncIterator[str]:
    """Answers everything with exactly these bytes, then closes: for replies that no honest library would write."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        await asyncio.sleep(hold_s)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Hub:
    """The routes that huggingface_hub asks; large files lie on a CDN at another port, behind a redirect."""

    def __init__(self, cdn: FileServer) -> None:
        self.url = ""
        self.cdn = cdn
        self.asked: list[Asked] = []
        self.repositories: dict[str, dict[str, tuple[bytes, bool]]] = {}
        """Repository -> path -> (content, whether it is a large file)."""
        self.private: dict[str, str] = {}
        """Repository -> the token that may see it."""
        self.gated: set[str] = set()
        self.moved: str | None = None
        """Another host that everything is redirected to."""
        self.said_sizes: dict[str, int] = {}
        """Path -> the size that the hub claims instead of the true one."""

    def put(self, repository: str, path: str, body: bytes, *, large: bool = True) -> None:
        self.repositories.setdefault(repository, {})[path] = (body, large)
        self.cdn.put(f"/blobs/{sha256(body)}", body)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.method, request.path, request.headers.copy()))
        if self.moved is not None:
            return web.Response(status=307, headers={"Location": self.moved + request.path})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", request.path):
            return self._refused(request, found[1], found[2]) or self._listed(found[1])
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", request.path):
            return self._refused(request, found[1], found[2]) or self._resolved(request, found[1], found[3])
        return web.Response(status=404)

    def _refused(self, request: web.Request, repository: str, revision: str | None) -> web.Response | None:
        hidden = repository in self.private and request.headers.get("Authorization") != f"Bearer {self.private[repository]}"
        if repository not in self.repositories or hidden:
            return web.Response(status=401, headers={"X-Error-Code": "RepoNotFound"})
        if repository in self.gated:
            return web.Response(status=403, headers={"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
        if revision not in (None, "main", COMMIT):
            return web.Response(status=404, headers={"X-Error-Code": "RevisionNotFound"})
        return None

    def _listed(self, repository: str) -> web.Response:
        siblings = []
        for path, (body, large) in self.repositories[repository].items():
            size = self.said_sizes.get(path, len(body))
            lfs = {"sha256": sha256(body), "size": size, "pointerSize": 134}
            siblings.append({"rfilename": path, "size": size, "blobId": "0" * 40, **({"lfs": lfs} if large else {})})
        return web.json_response(
            {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}
        )

    def _resolved(self, request: web.Request, repository: str, path: str) -> web.Response:
        if path not in self.repositories[repository]:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        body, large = self.repositories[repository][path]
        said = {"X-Repo-Commit": COMMIT}
        if not large:
            return web.Response(body=body, headers={**said, "ETag": f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'})
        said |= {"X-Linked-Etag": f'"{sha256(body)}"', "X-Linked-Size": str(self.said_sizes.get(path, len(body)))}
        return web.Response(status=302, headers={**said, "Location": f"{self.cdn.url}/blobs/{sha256(body)}?signature=a%2Fb%3D"})


@asynccontextmanager
async def hub() -> AsyncIterator[Hub]:
    async with AsyncExitStack() as stack:
        house = Hub(await stack.enter_async_context(file_server()))
        house.url = await stack.enter_async_context(listening(house.handle))
        yield house


def wheel(members: Mapping[str, bytes], *, packed: bool = False) -> bytes:
    """A zip with these members, stored or deflated."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return out.getvalue()


def index_page(server: FileServer, project: str, files: Mapping[str, Mapping[str, Any]], *, as_json: bool = True) -> None:
    """A project's page at `/simple/<project>/`. `files`: name -> `url`, and perhaps `sha256`, `size`, `yanked`."""
    path = f"/simple/{project}/"
    if as_json:
        listed = [
            {
                "filename": name,
                "url": file["url"],
                "hashes": {"sha256": file["sha256"]} if "sha256" in file else {},
                "yanked": file.get("yanked", False),
                **({"size": file["size"]} if "size" in file else {}),
            }
            for name, file in files.items()
        ]
        page = json.dumps({"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": listed}).encode()
        server.put(path, page, headers={"Content-Type": "application/vnd.pypi.simple.v1+json"})
        return
    links = []
    for name, file in files.items():
        fragment = f"#sha256={file['sha256']}" if "sha256" in file else ""
        yanked = f' data-yanked="{file["yanked"]}"' if "yanked" in file else ""
        links.append(f'<a href="{file["url"]}{fragment}"{yanked}>{name}</a>')
    server.put(path, f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), headers={"Content-Type": "text/html"})

"""This installation's own things: settings, data folder, database, the server that runs or the port for one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhearth.cli.diagnosis import Finding
from openhearth.cli.terminal import clean, sized
from openhearth.errors import OpenHearthError, SetupError

if TYPE_CHECKING:
    from openhearth.settings import Settings

OTHERS = 0o077


def data_folder(data_dir: Path) -> Finding:
    """Whether it can be written; what others may read there."""
    if not data_dir.exists():
        return Finding("data folder", "ok", f"{data_dir} does not exist yet; it is made at the first start")
    try:
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(b"x")
    except OSError as error:
        return Finding("data folder", "fail", f"{data_dir}: {error.strerror}", "Make it writable, or choose another with --data-dir.")
    if data_dir.stat().st_mode & OTHERS:
        return Finding("data folder", "warn", f"{data_dir} can be read by other users", f"chmod 700 {data_dir}")
    return Finding("data folder", "ok", str(data_dir))


async def database(settings: Settings) -> Finding:
    """Whether it opens, and its schema. Changes nothing: a database that doesn't exist is not made."""
    from openhearth.store.database import HEAD, Database

    try:
        store = Database(settings.resolved_database_url)
    except SetupError as error:
        return Finding("database", "fail", error.message, "Correct database_url in the settings.")
    try:
        if store.address.path is not None and not store.address.path.exists():
            return Finding("database", "ok", "none yet; it is made at the first start")
        revision = await store.revision()
    except Exception as error:  # drivers have exceptions of their own for a host, a password or a certificate that is wrong
        cause = type(getattr(error, "orig", None) or error).__name__
        return Finding(
            "database", "fail", f"It does not open ({cause})", "Check database_url and the file's permissions; a backup may be needed."
        )
    finally:
        await store.close()
    if revision is None or revision < HEAD:
        return Finding("database", "ok", f"{store.address.shown}, schema {revision or 'empty'}; the next start brings it to {HEAD}")
    if revision > HEAD:
        return Finding("database", "fail", f"schema {revision}, newer than this program knows ({HEAD})", "Upgrade openhearth.")
    return Finding("database", "ok", f"{store.address.shown}, schema {revision}")


async def server(settings: Settings) -> list[Finding]:
    """The running server and its engines; if none runs, whether its port is free."""
    from openhearth.cli.server import connected, known_address

    try:
        if known_address(settings) is None:
            return [_port(settings)]
        async with connected(settings, private=False) as running:
            await running.get("//readyz")
            engines = (await running.get("//openhearth/engines"))["data"]
            return [Finding("server", "ok", f"runs at {running.address.base_url}"), *(_engine(engine) for engine in engines)]
    except (OpenHearthError, SetupError) as error:
        return [Finding("server", "fail", clean(error.message), "Look at the server's own output; stop it and start it again.")]


def _port(settings: Settings) -> Finding:
    from openhearth.serving import claim_port

    try:
        claim_port(settings.host, settings.port)
    except SetupError as error:
        return Finding("server", "fail", error.message, "Choose another with OPENHEARTH_PORT or `openhearth serve --port`.")
    return Finding("server", "ok", f"none runs; {settings.host}:{settings.port} is free for one")


def _engine(engine: dict[str, Any]) -> Finding:
    state = str(engine.get("state", "unknown"))
    found = f"{clean(state)}, {sized(engine.get('memory_bytes') or 0)}, {engine.get('restarts', 0)} restarts"
    name = f"engine {clean(str(engine.get('id', '')))}"
    if state in ("failed", "crashed", "broken"):
        return Finding(name, "warn", found, "It is started again at its next request; the server's output says why it ended.")
    return Finding(name, "ok", found)

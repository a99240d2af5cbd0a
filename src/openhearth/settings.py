"""Settings: flags, then the environment, then openhearth.toml, then defaults. The only reader of the environment.

The file is `$OPENHEARTH_CONFIG`, or `openhearth.toml` in the data folder. Keys are the field names below; `[engines]`,
`[aliases]`, `[[upstreams]]` and `[[models]]` are tables. An unknown key is an error, so that a typo is never silently nothing.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from platformdirs import user_data_path

from openhearth.errors import SetupError

PREFIX = "OPENHEARTH_"


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How engines run. None means: chosen from the machine."""

    memory_budget_mb: int | None = None
    """All engines together, MiB. Default: 80% of what the machine has available at start."""
    keep_alive_s: float = 1800.0
    """An engine idle for longer is unloaded. Negative: never."""
    slots: int | None = None
    """Sequences one model decodes at the same time."""
    threads: int | None = None
    """Decoding threads of one model. Default: the machine's cores less one (one is left for the API)."""
    context: int | None = None
    """Tokens of context per slot. Default: the model's own, up to 8192."""
    gpu_layers: int | None = None
    """Layers placed on a GPU; default: as many as fit, where the engine's build has one."""
    queue: int = 64
    """Requests that may wait for one model; past it 429."""
    start_timeout_s: float = 120.0
    """How long a request waits for its engine to start."""
    stall_timeout_s: float = 120.0
    """An engine that sends nothing for so long, in a request, counts as hung."""


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server elsewhere that speaks OpenAI's wire: vLLM, SGLang, Ollama, llama-server, OpenAI itself."""

    name: str
    """Its models are called `name/model` here."""
    base_url: str
    """With its `/v1`, e.g. `http://10.0.0.5:8000/v1`."""
    api_key_env: str | None = None
    """The environment variable that holds its key (keys don't belong in a file)."""
    models: tuple[str, ...] = ()
    """The models to offer. Empty: what its `/models` lists."""
    timeout_s: float = 600.0
    connect_timeout_s: float = 5.0
    retries: int = 2
    slots: int = 64
    """Requests sent to it at the same time."""


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """The SMTP server that mail leaves by."""

    host: str
    sender: str
    """The sender's address; `from` in the file."""
    port: int | None = None
    """Default: 587 with starttls, 465 with tls, 25 with none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password_env: str | None = None
    """The environment variable that holds the password."""
    ca_file: Path | None = None
    """Certificates to trust in place of the machine's, PEM."""
    timeout_s: float = 30.0


class OidcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID Connect provider that people can log in by."""

    issuer: str
    """As it names itself, e.g. `https://login.example.com`."""
    client_id: str
    client_secret_env: str | None = None
    """The environment variable that holds the client's secret. None: a public client, PKCE alone."""
    name: str = "OpenID Connect"
    """What the login page calls it."""
    domains: tuple[str, ...] = ()
    """Whose verified addresses may come in without an invite."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the whole program is told from outside."""

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = msgspec.field(default_factory=lambda: user_data_path("openhearth", appauthor=False))
    database_url: str | None = None
    """SQLAlchemy URL; default: SQLite in the data folder."""
    api_key: str | None = None
    """The first key, for unattended starts (environment only)."""
    admin_key: str | None = None
    """The first admin key, for unattended starts (environment only)."""
    owner_email: str | None = None
    """The first owner's address; the owner can change it."""
    owner_password: str | None = None
    """The first owner's password, for unattended starts (environment only). It counts until one is set."""
    public_url: str | None = None
    """How people reach this server, e.g. `https://ai.example.com`: links and cookies go by it. Default: the address it listens on."""
    registration: Literal["closed", "open"] | tuple[str, ...] = "closed"
    """Who may register without an invite: nobody, anybody, or addresses of these domains."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` is believed."""
    default_model: str = "smollm2:135m"
    """What aliases for chat and text models mean unless the table says otherwise."""
    embedding_model: str = "minilm:l6"
    """What aliases for embedding models mean."""
    preload: tuple[str, ...] | None = None
    """Models pulled (if need be) and started with the server. Default: pulls the two above, starts the first."""
    offline: bool = False
    """Never download anything."""
    cors_origins: tuple[str, ...] = ()
    max_body_mb: int = 32
    body_timeout_s: float = 30.0
    """A client must have sent its whole body in this time."""
    log_level: str = "info"
    base_url: str | None = None
    """The server that `chat`, `run` and `ps` talk to; default: the one on this data folder."""
    engines: EngineSettings = EngineSettings()
    mail: MailSettings | None = None
    """None: links are printed on the server's console."""
    oidc: OidcSettings | None = None
    aliases: dict[str, str] = {}
    """Name that clients use -> local model. Overrides the shipped table."""
    upstreams: tuple[Upstream, ...] = ()
    models: tuple[dict[str, Any], ...] = ()
    """The owner's own catalogue entries (see `openhearth.models.catalogue`)."""

    @property
    def models_dir(self) -> Path:
        """Where pulled models live."""
        return self.data_dir / "models"

    @property
    def sockets_dir(self) -> Path:
        """Where engines open their unix sockets (a short path: the kernel allows 107 bytes)."""
        return self.data_dir / "run"

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'openhearth.db'}"


_FROM_ENVIRONMENT = (
    "host", "port", "data_dir", "database_url", "api_key", "admin_key", "owner_email", "owner_password", "public_url", "default_model",
    "embedding_model", "offline", "max_body_mb", "log_level", "base_url",
)  # fmt: skip


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, *, config: Path | None = None) -> Settings:
    """Read the settings once. `flags` are the command line's; None values don't count. `config` goes before `$OPENHEARTH_CONFIG`.

    Raises SetupError naming the file or variable that is wrong.
    """
    environ = os.environ if environ is None else environ
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    from_environment = {n: environ[PREFIX + n.upper()] for n in _FROM_ENVIRONMENT if environ.get(PREFIX + n.upper())}
    outer = {**from_environment, **given}
    values = {**_read_file(_config_file(outer, environ, config)), **outer}
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SetupError(f"Settings: {error}", exit_status=78) from None
    return msgspec.structs.replace(settings, data_dir=settings.data_dir.expanduser().resolve())


def _path(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, (str, Path)):
        return Path(value)
    raise ValueError(f"Expected {wanted.__name__}")


def debugging(environ: Mapping[str, str] | None = None) -> bool:
    """Whether `OPENHEARTH_DEBUG` asks for tracebacks. Apart from `load`, because it must be known when that fails."""
    return (os.environ if environ is None else environ).get(PREFIX + "DEBUG", "").lower() not in ("", "0", "no", "off", "false")


def colours(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a terminal may be given colours (`NO_COLOR`, `TERM=dumb`)."""
    environ = os.environ if environ is None else environ
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _config_file(outer: Mapping[str, Any], environ: Mapping[str, str], flag: Path | None) -> Path | None:
    named = flag or environ.get(PREFIX + "CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise SetupError(f"{'--config' if flag else PREFIX + 'CONFIG'} names {path}, which is not a file.", exit_status=78)
        return path
    path = Path(outer.get("data_dir") or Settings().data_dir).expanduser() / "openhearth.toml"
    return path if path.is_file() else None


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SetupError(f"{path}: {error}", exit_status=78) from None
    for name in ("api_key", "admin_key", "owner_password"):
        if name in values:
            raise SetupError(f"{path}: a secret doesn't belong in a file; set {PREFIX}{name.upper()} instead.", exit_status=78)
    return values


def upstream_key(upstream: Upstream, environ: Mapping[str, str] | None = None) -> str | None:
    """The upstream's key from its environment variable; SetupError if it is named but not set."""
    return secret(upstream.api_key_env, f"Upstream {upstream.name}", environ)


def secret(variable: str | None, wanted_by: str, environ: Mapping[str, str] | None = None) -> str | None:
    """What the environment variable holds. None: no variable is named. SetupError if it is named but not set."""
    if variable is None:
        return None
    value = (os.environ if environ is None else environ).get(variable)
    if not value:
        raise SetupError(f"{wanted_by}: {variable} is not set.", exit_status=78)
    return value

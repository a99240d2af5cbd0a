"""Settings: flags, then the environment, then openhearth.toml, then defaults. The only reader of the environment.

The file is `$OPENHEARTH_CONFIG`, or `openhearth.toml` in the data folder. Keys are the field names below; those that hold several
settings are tables. An unknown key is an error, so that a typo is never silently nothing.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from platformdirs import user_data_path

from openhearth.errors import SetupError
from openhearth.settings_mistakes import Origins, unknown_variable

PREFIX = "OPENHEARTH_"
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
_WEB_ADDRESS = "http or https, no user, no '?' and no '#'"
MOST = 10**12
"""The largest rate limit; such numbers are exact in every part of the reckoning."""


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How engines run. None means: chosen from the machine."""

    memory_budget_mb: Annotated[int, Meta(ge=1)] | None = None
    """All engines together, MiB. Default: 80% of what the machine has available at start."""
    keep_alive_s: float = 1800.0
    """An engine idle for longer is unloaded. Negative: never."""
    slots: Annotated[int, Meta(ge=1, le=256)] | None = None
    """Sequences one model decodes at the same time."""
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    """Decoding threads of one model. Default: the machine's cores less one (one is left for the API)."""
    context: Annotated[int, Meta(ge=256, le=2**24)] | None = None
    """Tokens of context per slot. Default: the model's own, up to 8192."""
    gpu_layers: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    """Layers placed on a GPU; default: as many as fit, where the engine's build has one."""
    queue: Annotated[int, Meta(ge=0, le=100_000)] = 64
    """Requests that may wait for one model; past it 429."""
    start_timeout_s: Seconds = 120.0
    """How long a request waits for its engine to start."""
    stall_timeout_s: Seconds = 120.0
    """An engine that sends nothing for so long, in a request, counts as hung."""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rate limits of each project and model, where its owner has set none."""

    requests_per_minute: Annotated[int, Meta(ge=0, le=MOST)] = 10_000
    tokens_per_minute: Annotated[int, Meta(ge=0, le=MOST)] = 10_000_000
    requests_per_day: Annotated[int, Meta(ge=0, le=MOST)] | None = None
    """None: no limit."""


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How events are told to webhook endpoints."""

    allow: tuple[str, ...] = ()
    """Addresses and networks that are not public and may be told all the same, e.g. `10.0.0.0/8`."""
    timeout_s: Annotated[float, Meta(gt=0, le=20)] = 10.0
    """A try without an answer ends then."""
    first_retry_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    """After the first try that failed; each later pause is four times as long, at most four hours."""
    give_up_s: Annotated[float, Meta(gt=0, le=30 * 86400)] = 72 * 3600.0
    """An event that could not be delivered for so long is given up."""


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server elsewhere that speaks OpenAI's wire: vLLM, SGLang, Ollama, llama-server, OpenAI itself."""

    name: Annotated[str, Meta(pattern=r"^[^/\s\x00-\x1f]{1,64}$")]
    """Its models are called `name/model` here."""
    base_url: str
    """With its `/v1`, e.g. `http://10.0.0.5:8000/v1`."""
    api_key_env: str | None = None
    """The environment variable that holds its key (keys don't belong in a file)."""
    models: tuple[Name, ...] = ()
    """The models to offer. Empty: what its `/models` lists."""
    timeout_s: Seconds = 600.0
    connect_timeout_s: Seconds = 5.0
    retries: Annotated[int, Meta(ge=0, le=20)] = 2
    slots: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """Requests sent to it at the same time."""


Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars for a million tokens. On your own hardware nothing costs anything unless you say so."""

    input: Dollars = 0.0
    cached_input: Dollars | None = None
    """Input that the prompt cache held. None: as other input."""
    output: Dollars = 0.0


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

    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
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
    default_model: Name = "smollm2:135m"
    """What aliases for chat and text models mean unless the table says otherwise."""
    embedding_model: Name = "minilm:l6"
    """What aliases for embedding models mean."""
    preload: tuple[Name, ...] | None = None
    """Models pulled (if need be) and started with the server. Default: pulls the two above, starts the first."""
    offline: bool = False
    """Never download anything."""
    cors_origins: tuple[str, ...] = ()
    max_body_mb: Annotated[int, Meta(ge=1, le=1024)] = 32
    body_timeout_s: Seconds = 30.0
    """A client must have sent its whole body in this time."""
    idle_timeout_s: Annotated[float, Meta(ge=1, le=86_400)] = 75.0
    """A connection on which no request (its headers, that is) has come whole for so long is closed."""
    max_connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    """Open at the same time; more wait until one is closed."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    base_url: str | None = None
    """The server that `chat`, `run` and `ps` talk to; default: the one on this data folder."""
    engines: EngineSettings = EngineSettings()
    mail: MailSettings | None = None
    """None: links are printed on the server's console."""
    oidc: OidcSettings | None = None
    webhooks: WebhookSettings = WebhookSettings()
    limits: LimitSettings = LimitSettings()
    aliases: dict[Name, Name] = {}
    """Name that clients use -> local model. Overrides the shipped table."""
    upstreams: tuple[Upstream, ...] = ()
    prices: dict[str, Prices] = {}
    """Model -> what it costs; goes over the catalogue's price, and is the only one that upstream servers' models have."""
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
_OTHER_VARIABLES = (PREFIX + "CONFIG", PREFIX + "DEBUG", PREFIX + "OPENAI_SPEC", PREFIX + "FUZZ_EXAMPLES")
"""Read elsewhere, the last two by the tests."""


_NAMES = {
    "": Settings.__struct_fields__,
    "engines": EngineSettings.__struct_fields__,
    "limits": LimitSettings.__struct_fields__,
    "mail": MailSettings.__struct_encode_fields__,
    "oidc": OidcSettings.__struct_fields__,
    "webhooks": WebhookSettings.__struct_fields__,
    "upstreams": Upstream.__struct_fields__,
}  # fmt: skip


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, *, config: Path | None = None) -> Settings:
    """Read the settings once. `flags` are the command line's; None values don't count. `config` goes before `$OPENHEARTH_CONFIG`.

    Raises SetupError naming the file or variable that is wrong.
    """
    environ = os.environ if environ is None else environ
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    from_environment = {n: environ[PREFIX + n.upper()] for n in _FROM_ENVIRONMENT if environ.get(PREFIX + n.upper())}
    outer = {**from_environment, **given}
    file = _config_file(outer, environ, config)
    values = {**_read_file(file), **outer}
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SetupError(Origins(given, from_environment, PREFIX, file).explained(str(error), _NAMES), exit_status=78) from None
    for mistake in _mistakes(settings):
        raise SetupError(f"Settings: {mistake}.", exit_status=78)
    others = (*_OTHER_VARIABLES, *_secret_variables(settings))
    if unknown := unknown_variable(environ, PREFIX, _FROM_ENVIRONMENT, Settings.__struct_fields__, others):
        raise SetupError(unknown, exit_status=78)
    return msgspec.structs.replace(settings, data_dir=settings.data_dir.expanduser().resolve())


def _secret_variables(settings: Settings) -> Iterator[str]:
    """Those that the settings name themselves."""
    yield from (upstream.api_key_env for upstream in settings.upstreams if upstream.api_key_env)
    if settings.mail and settings.mail.password_env:
        yield settings.mail.password_env
    if settings.oidc and settings.oidc.client_secret_env:
        yield settings.oidc.client_secret_env


def _mistakes(settings: Settings) -> Iterator[str]:
    """What types and bounds can't say."""
    if math.isnan(settings.engines.keep_alive_s):
        yield "'engines.keep_alive_s' must be a number of seconds; negative: never"
    if settings.base_url is not None and not is_web_address(settings.base_url):
        yield "'base_url' must be like http://127.0.0.1:8000: " + _WEB_ADDRESS
    for origin in settings.cors_origins:
        if origin != "*" and not (is_web_address(origin) and origin.count("/") == 2):
            yield f"'cors_origins' must hold origins like https://app.example, without a path, or '*'; not {origin[:100]!r}"
    for upstream in settings.upstreams:
        if not is_web_address(upstream.base_url):
            yield f"'base_url' of the upstream '{upstream.name}' must be like http://host:8000/v1: {_WEB_ADDRESS}"
    names = [upstream.name for upstream in settings.upstreams]
    if twice := next((name for name in names if names.count(name) > 1), None):
        yield f"two 'upstreams' are called '{twice}'; each needs a name of its own"


def is_web_address(text: str) -> bool:
    """Whether this is an http(s) URL of a host, without user, query and fragment."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    fit = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and "@" not in parts.netloc
    return fit and not any(character in "?#\\" or character.isspace() or not character.isprintable() for character in text)


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

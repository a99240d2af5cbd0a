"""`/openhearth/auth/...`: registration, login, sessions. Our own shapes; OpenAI's API has none."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Email = Annotated[str, Meta(max_length=320)]
Password = Annotated[str, Meta(max_length=1024)]
Name = Annotated[str, Meta(max_length=256)]
Token = Annotated[str, Meta(max_length=128)]


class RegisterRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for the mail that confirms an address."""

    email: Email


class ConfirmRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token of a mailed link, and the password that is to be."""

    token: Token
    password: Password
    name: Name = ""


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invite's token. Who has an account already needs no password here."""

    token: Token
    password: Password | None = None
    name: Name = ""


class SetupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token of the owner's setup link."""

    token: Token
    email: Email
    password: Password
    name: Name = ""


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email
    password: Password


class ResetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for the mail with a link for a new password."""

    email: Email


class ResetConfirmRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Token
    password: Password


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Password
    new_password: Password


class Acknowledged(msgspec.Struct, frozen=True):
    """Said whatever came of it."""

    message: str
    object: Literal["openhearth.acknowledged"] = "openhearth.acknowledged"


class LoginOptions(msgspec.Struct, frozen=True):
    """What a login page offers."""

    registration: Literal["closed", "open", "domains"]
    openid_connect: str | None
    """The provider's name."""
    object: Literal["openhearth.login_options"] = "openhearth.login_options"


class Person(msgspec.Struct, frozen=True):
    id: str
    email: str
    name: str
    role: str
    object: Literal["openhearth.person"] = "openhearth.person"


class MyProject(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    permissions: list[str]


class Me(msgspec.Struct, frozen=True):
    """Who asks, and what they may do. `permissions` hold everywhere, a project's own in it."""

    user: Person
    organization_id: str
    permissions: list[str]
    projects: list[MyProject]
    object: Literal["openhearth.me"] = "openhearth.me"


class Session(msgspec.Struct, frozen=True):
    id: str
    created_at: int
    last_used_at: int
    expires_at: int
    ip_address: str | None
    user_agent: str | None
    current: bool
    object: Literal["openhearth.session"] = "openhearth.session"


class SessionList(msgspec.Struct, frozen=True):
    data: list[Session]
    object: Literal["list"] = "list"


class Ended(msgspec.Struct, frozen=True):
    """Sessions are over."""

    object: Literal["openhearth.session.ended"] = "openhearth.session.ended"

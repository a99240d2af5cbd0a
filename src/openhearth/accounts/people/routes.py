"""`/openhearth/auth/...` as JSON, for programs and the console. What leads to a login is public; the rest needs a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from openhearth.accounts.people.cookies import clear_session, set_session, visitor
from openhearth.accounts.people.same_origin import require_json, require_same_origin
from openhearth.accounts.people.sessions import LoggedIn
from openhearth.web.endpoint import Call, Endpoint, Handler, Reply, json_reply
from openhearth.wire.auth import (
    AcceptRequest,
    Acknowledged,
    ConfirmRequest,
    Ended,
    LoginOptions,
    LoginRequest,
    Me,
    PasswordChange,
    Person,
    RegisterRequest,
    ResetConfirmRequest,
    ResetRequest,
    SessionList,
    SetupRequest,
)

if TYPE_CHECKING:
    from openhearth.accounts.people.people import People

T = TypeVar("T")
TAG = "Login"
ROOT = "/openhearth/auth"
ANYBODY = "api.organization.read"
"""Every user has it."""
REGISTERED = Acknowledged("If this address can be registered, a mail with a link is on its way to it.")
RESET = Acknowledged("If there is an account with this address, a mail with a link is on its way to it.")


def endpoints(people: People) -> list[Endpoint]:
    """This module's rows of the route table."""
    return [*_joining(people), *_login(people), *_own(people)]


def _joining(people: People) -> list[Endpoint]:
    async def register(call: Call) -> Reply:
        await people.joining.register(_body(people, call, RegisterRequest).email, visitor(call))
        return json_reply(REGISTERED, 202)

    async def verify(call: Call) -> Reply:
        asked = _body(people, call, ConfirmRequest)
        return _logged_in(people, await people.joining.verify(asked.token, asked.password, asked.name, visitor(call)))

    async def accept(call: Call) -> Reply:
        asked = _body(people, call, AcceptRequest)
        return _logged_in(people, await people.joining.accept(asked.token, asked.password, asked.name, visitor(call)))

    async def set_up(call: Call) -> Reply:
        asked = _body(people, call, SetupRequest)
        return _logged_in(people, await people.joining.set_up(asked.token, asked.email, asked.password, asked.name, visitor(call)))

    return [
        _public("/register", register, "Ask for an account: a link is mailed.", RegisterRequest, Acknowledged),
        _public("/verify", verify, "Confirm a registration, and choose a password.", ConfirmRequest, Person),
        _public("/invites/accept", accept, "Accept an invite.", AcceptRequest, Person),
        _public("/setup", set_up, "Set the first owner's address and password.", SetupRequest, Person),
    ]


def _login(people: People) -> list[Endpoint]:
    async def options(_call: Call) -> Reply:
        return json_reply(LoginOptions(people.registration_kind, people.provider_name))

    async def log_in(call: Call) -> Reply:
        asked = _body(people, call, LoginRequest)
        return _logged_in(people, await people.login.log_in(asked.email, asked.password, visitor(call)))

    async def request_reset(call: Call) -> Reply:
        await people.login.request_reset(_body(people, call, ResetRequest).email, visitor(call))
        return json_reply(RESET, 202)

    async def reset(call: Call) -> Reply:
        asked = _body(people, call, ResetConfirmRequest)
        await people.login.reset(asked.token, asked.password, visitor(call))
        return json_reply(Acknowledged("The password is changed. Log in with it."))

    return [
        Endpoint("GET", ROOT + "/options", options, "What a login page offers.", response=LoginOptions, tag=TAG, public=True),
        _public("/login", log_in, "Log in; the reply sets the session's cookie.", LoginRequest, Person),
        _public("/password/reset", request_reset, "Ask for a link for a new password.", ResetRequest, Acknowledged),
        _public("/password/confirm", reset, "Choose a new password.", ResetConfirmRequest, Acknowledged),
    ]


def _own(people: People) -> list[Endpoint]:
    async def me(call: Call) -> Reply:
        return json_reply(await people.me(call.principal))

    async def change_password(call: Call) -> Reply:
        asked = call.json(PasswordChange)
        made = await people.login.change(call.principal, asked.current_password, asked.new_password, visitor(call))
        return _logged_in(people, made)

    async def sessions(call: Call) -> Reply:
        return json_reply(await people.own_sessions(call.principal))

    async def end(call: Call) -> Reply:
        await people.end_own_session(call.principal, call.path("session_id"))
        return json_reply(Ended())

    async def end_all(call: Call) -> Reply:
        await people.end_own_sessions(call.principal)
        return _out(people)

    async def log_out(call: Call) -> Reply:
        await people.log_out(call.principal)
        return _out(people)

    one = ROOT + "/sessions/{session_id}"
    return [
        Endpoint("GET", ROOT + "/me", me, "Who asks, and what they may do.", response=Me, tag=TAG, permission=ANYBODY),
        Endpoint(
            "POST", ROOT + "/password", change_password, "Change one's password.", request=PasswordChange, response=Person, tag=TAG,
            permission=ANYBODY, login=True,
        ),
        Endpoint("POST", ROOT + "/logout", log_out, "End this session.", response=Ended, tag=TAG, permission=ANYBODY, login=True),
        Endpoint("GET", ROOT + "/sessions", sessions, "One's own sessions.", response=SessionList, tag=TAG, permission=ANYBODY, login=True),
        Endpoint(
            "DELETE", ROOT + "/sessions", end_all, "End all of one's own sessions.", response=Ended, tag=TAG, permission=ANYBODY,
            login=True,
        ),
        Endpoint("DELETE", one, end, "End one of one's own sessions.", response=Ended, tag=TAG, permission=ANYBODY, login=True),
    ]  # fmt: skip


def _public(path: str, handler: Handler, summary: str, request: type, response: type) -> Endpoint:
    return Endpoint("POST", ROOT + path, handler, summary, request=request, response=response, tag=TAG, public=True)


def _body(people: People, call: Call, schema: type[T]) -> T:
    """Other sites must not log a browser in, either."""
    require_same_origin(call.scope, people.address.url, told=False)
    require_json(call.scope)
    return call.json(schema)


def _logged_in(people: People, made: LoggedIn) -> Reply:
    reply = json_reply(Person(made.user.id, made.user.email, made.user.name, made.user.role))
    return Reply(reply.body, headers=set_session(made.token, people.address))


def _out(people: People) -> Reply:
    return Reply(json_reply(Ended()).body, headers=clear_session(people.address))

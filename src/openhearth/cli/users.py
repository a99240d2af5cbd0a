"""`openhearth users`: people, in the database itself, whether a server runs or not."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openhearth.cli import options
from openhearth.cli.terminal import clean, day, note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.accounts.people.people import People
    from openhearth.accounts.tables import UserRow
    from openhearth.settings import Settings

T = TypeVar("T")
ROLES = click.Choice(["owner", "reader"])
PAGE = 100


def register(app: click.Group) -> None:
    """Add the command and its subcommands."""
    app.add_command(users)


@click.group(
    no_args_is_help=True,
    epilog=options.examples("openhearth users invite ada@example.com", "openhearth users list", "openhearth users links"),
)
def users() -> None:
    """Invite, list, change and remove people. A running server takes up changes within a second."""


@users.command("list", epilog=options.examples("openhearth users list", "openhearth users list --json"))
@options.as_json
@options.where_settings_are
@click.pass_context
def list_users(ctx: click.Context, as_json: bool) -> None:
    """List the people, in order of coming."""
    rows = _with_people(options.load_settings(ctx), _all_users)
    if as_json:
        show_json([_described(row) for row in rows])
    else:
        show(table(["ID", "E-MAIL", "NAME", "ROLE", "LOGIN", "ADDED"], [_line(row) for row in rows]))


@users.command("show", epilog=options.examples("openhearth users show ada@example.com"))
@click.argument("user")
@options.as_json
@options.where_settings_are
@click.pass_context
def show_user(ctx: click.Context, user: str, as_json: bool) -> None:
    """Show one person, by id or e-mail address, with projects and sessions."""

    async def look(people: People) -> dict[str, Any]:
        row = await people.users.by_name(user)
        projects = await people.users.projects(row.id)
        sessions = await people.sessions.list(row.id)
        told = [{"id": s.id, "created_at": s.created_at, "last_used_at": s.last_used_at, "address": s.address} for s in sessions]
        return {**_described(row), "projects": [{"id": i, "name": n, "role": r} for i, n, r in projects], "sessions": told}

    found = _with_people(options.load_settings(ctx), look)
    if as_json:
        show_json(found)
        return
    lines = [[name, str(found[name])] for name in ("email", "name", "role", "login")]
    lines += [["project", f"{p['name']} ({p['id']}), {p['role']}"] for p in found["projects"]]
    lines += [["session", f"{s['id']} since {day(s['created_at'])}, from {s['address'] or 'this machine'}"] for s in found["sessions"]]
    show(table(["id", found["id"]], lines))


@users.command(
    epilog=options.examples("openhearth users invite ada@example.com", "openhearth users invite ada@example.com --project proj_x=owner")
)
@click.argument("email")
@click.option("--role", type=ROLES, default="reader", show_default=True, help="In the organization.")
@click.option("--project", "projects", metavar="ID[=ROLE]", multiple=True, help="As member or owner; default: the default project.")
@options.as_json
@options.where_settings_are
@click.pass_context
def invite(ctx: click.Context, email: str, role: str, projects: tuple[str, ...], as_json: bool) -> None:
    """Invite somebody: by mail if SMTP is set, and the link is printed, too."""
    settings = options.load_settings(ctx)

    async def send(people: People) -> tuple[Any, str]:
        made, link = await people.invites.create(None, email, role, _projects(projects))
        return made, people.address.url + link

    made, link = _with_people(settings, send)
    if as_json:
        show_json({"id": made.id, "email": made.email, "role": made.role, "expires_at": made.expires_at, "link": link})
        return
    note(f"Invited {made.email} as {made.role}; the link works once, until {day(made.expires_at)}.")
    show(link)


@users.command(
    epilog=options.examples("openhearth users create ada@example.com", "openhearth users create ops@example.com --password-stdin <secret")
)
@click.argument("email")
@click.option("--name", default="", help="What to call them.")
@click.option("--role", type=ROLES, default="reader", show_default=True, help="In the organization.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else you are asked.")
@options.as_json
@options.where_settings_are
@click.pass_context
def create(ctx: click.Context, email: str, name: str, role: str, password_stdin: bool, as_json: bool) -> None:
    """Make an account at once, without invite or mail. They are a member of the default project."""
    settings, password = options.load_settings(ctx), _password(password_stdin)
    row = _with_people(settings, lambda people: people.users.create(None, email, name=name, role=role, password=password))
    if as_json:
        show_json(_described(row))
    else:
        note(f"{row.email} ({row.id}) is {'an owner' if row.role == 'owner' else 'a reader'}.")


@users.command("set-role", epilog=options.examples("openhearth users set-role ada@example.com owner"))
@click.argument("user")
@click.argument("role", type=ROLES)
@options.as_json
@options.where_settings_are
@click.pass_context
def set_role(ctx: click.Context, user: str, role: str, as_json: bool) -> None:
    """Make somebody an owner or a reader of the organization."""

    async def change(people: People) -> UserRow:
        from openhearth.wire.organization.users import UserChanges

        return await people.users.change(None, (await people.users.by_name(user)).id, UserChanges(role=role))

    row = _with_people(options.load_settings(ctx), change)
    if as_json:
        show_json(_described(row))
    else:
        note(f"{row.email} is {'an owner' if row.role == 'owner' else 'a reader'} now.")


@users.command("set-password", epilog=options.examples("openhearth users set-password ada@example.com"))
@click.argument("user")
@click.option("--password-stdin", is_flag=True, help="Read it from standard input; else you are asked.")
@options.as_json
@options.where_settings_are
@click.pass_context
def set_password(ctx: click.Context, user: str, password_stdin: bool, as_json: bool) -> None:
    """Set somebody's password. They are logged out everywhere."""
    settings, password = options.load_settings(ctx), _password(password_stdin)

    async def change(people: People) -> UserRow:
        row = await people.users.by_name(user)
        await people.users.set_password(None, row.id, password)
        return await people.users.get(row.id)

    row = _with_people(settings, change)
    if as_json:
        show_json(_described(row))
    else:
        note(f"{row.email} has a new password.")


@users.command(epilog=options.examples("openhearth users remove ada@example.com"))
@click.argument("user")
@click.option("--yes", is_flag=True, help="Don't ask.")
@options.as_json
@options.where_settings_are
@click.pass_context
def remove(ctx: click.Context, user: str, yes: bool, as_json: bool) -> None:
    """Remove somebody, with sessions and keys. What is in projects stays there."""
    settings = options.load_settings(ctx)
    row = _with_people(settings, lambda people: people.users.by_name(user))
    if not yes:
        click.confirm(f"Remove {clean(row.email)}, and end their sessions and keys?", abort=True, err=True)
    _with_people(settings, lambda people: people.users.remove(None, row.id))
    if as_json:
        show_json({"id": row.id, "email": row.email, "deleted": True})
    else:
        note(f"{row.email} is removed.")


@users.command(epilog=options.examples("openhearth users links", "openhearth users links --json"))
@options.as_json
@options.where_settings_are
@click.pass_context
def links(ctx: click.Context, as_json: bool) -> None:
    """Show links that wait in mails which weren't sent: without SMTP settings this is where they are."""
    found = _with_people(options.load_settings(ctx), lambda people: people.open_links())
    if as_json:
        show_json([{"email": email, "purpose": purpose, "expires_at": until, "link": link} for email, purpose, until, link in found])
    elif not found:
        note("No open links.")
    else:
        show(table(["E-MAIL", "FOR", "UNTIL", "LINK"], [[email, purpose, day(until), link] for email, purpose, until, link in found]))


def _with_people(settings: Settings, act: Callable[[People], Awaitable[T]]) -> T:
    import asyncio

    import msgspec

    from openhearth.accounts.access import AccessTable
    from openhearth.accounts.organization.founding import found
    from openhearth.accounts.people.people import People
    from openhearth.serving import running
    from openhearth.store.database import Database

    server = running(settings)
    # The server sends the mail and knows the provider; their secrets needn't be in this shell.
    settings = msgspec.structs.replace(settings, mail=None, oidc=None)

    async def open_and_act() -> T:
        database = Database(settings.resolved_database_url)
        try:
            await database.prepare()
            await found(database, settings.owner_email)
            people = People(settings, database, AccessTable(database))
            if server is not None:
                people.address.listens_on(server.base_url)
            return await act(people)
        finally:
            await database.close()

    return asyncio.run(open_and_act())


async def _all_users(people: People) -> list[UserRow]:
    from openhearth.wire.organization.users import UsersQuery

    rows: list[UserRow] = []
    while True:
        found = await people.users.find(UsersQuery(after=rows[-1].id if rows else None, limit=PAGE))
        rows += found[:PAGE]
        if len(found) <= PAGE:
            return rows


def _password(from_stdin: bool) -> str:
    """Never an argument: others on this machine can read those."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _projects(given: tuple[str, ...]) -> Any:
    if not given:
        return None
    from openhearth.wire.organization.invites import InviteProject

    pairs = [(project_id, role or "member") for project_id, _equals, role in (one.partition("=") for one in given)]
    if any(role not in ("member", "owner") for _id, role in pairs):
        raise click.BadParameter("a role in a project is member or owner.", param_hint="--project")
    return [InviteProject(project_id, "owner" if role == "owner" else "member") for project_id, role in pairs]


def _described(row: UserRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "added_at": row.added_at,
        "login": _ways(row),
        "banned_at": row.banned_at,
    }


def _ways(row: UserRow) -> str:
    ways = [name for name, there in (("password", row.password_hash), ("openid", row.subject)) if there and row.verified_at]
    return "locked" if row.banned_at else "+".join(ways) or "none yet"


def _line(row: UserRow) -> list[str]:
    return [row.id, row.email, row.name, row.role, _ways(row), day(row.added_at)]

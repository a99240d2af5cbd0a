"""`openhearth projects`: made, listed, archived, and who is in them; in the database itself, whether a server runs or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openhearth.cli import options
from openhearth.cli.database import on_database, one_line
from openhearth.cli.terminal import clean, day, note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.store.database import Database
    from openhearth.wire.organization.project_users import ProjectUser
    from openhearth.wire.organization.projects import Project

T = TypeVar("T")
PAGE = 100


def register(app: click.Group) -> None:
    """Add the command and its subcommands."""
    app.add_command(projects)


@click.group(
    no_args_is_help=True,
    epilog=options.examples(
        "openhearth projects create website", "openhearth projects add-member website anna@example.org", "openhearth projects list"
    ),
)
def projects() -> None:
    """Create, list and archive projects, and say who is in them. PROJECT is an id or a name."""


@projects.command(epilog=options.examples("openhearth projects create website", "ID=$(openhearth projects create website)"))
@click.argument("name", callback=one_line)
@options.as_json
@options.where_settings_are
@click.pass_context
def create(ctx: click.Context, name: str, as_json: bool) -> None:
    """Make a project; its id is printed alone on stdout."""

    async def act(database: Database) -> Project:
        from openhearth.accounts.projects.service import Projects
        from openhearth.wire.organization.projects import ProjectCreate

        return await Projects(database).create(None, ProjectCreate(name))

    made = on_database(options.load_settings(ctx), act)
    if as_json:
        show_json(_plain(made))
        return
    note(f"Project '{clean(made.name)}'. `openhearth keys create NAME --project {made.id}` makes a key for it.")
    show(made.id)


@projects.command("list", epilog=options.examples("openhearth projects list", "openhearth projects list --all --json"))
@click.option("--all", "archived", is_flag=True, help="Also the archived ones.")
@options.as_json
@options.where_settings_are
@click.pass_context
def list_projects(ctx: click.Context, archived: bool, as_json: bool) -> None:
    """List projects, oldest first."""

    async def act(database: Database) -> list[Project]:
        from openhearth.accounts.projects.service import Projects
        from openhearth.wire.organization.projects import ProjectsQuery

        return await _all(lambda after: Projects(database).find(None, ProjectsQuery(after, PAGE, archived)))

    found = on_database(options.load_settings(ctx), act)
    if as_json:
        show_json([_plain(project) for project in found])
    else:
        lines = [[p.id, p.name, p.status, day(p.created_at)] for p in found]
        show(table(["ID", "NAME", "STATUS", "CREATED"], lines))


@projects.command("show", epilog=options.examples("openhearth projects show website", "openhearth projects show proj_default --json"))
@click.argument("project")
@options.as_json
@options.where_settings_are
@click.pass_context
def show_project(ctx: click.Context, project: str, as_json: bool) -> None:
    """Show a project and what is settled for it."""

    async def act(database: Database, project_id: str) -> dict[str, Any]:
        from openhearth.accounts.projects.service import Projects
        from openhearth.accounts.projects.settled import ProjectSettings
        from openhearth.accounts.retention.service import Retention

        shown = _plain(await Projects(database).get(project_id))
        if shown["archived_at"] is None:
            shown["model_permissions"] = _plain(await ProjectSettings(database).models(project_id))
            shown["data_retention"] = (await Retention(database).of_project(project_id)).type
        return shown

    shown = _in_project(ctx, project, act)
    if as_json:
        show_json(shown)
        return
    models = shown.get("model_permissions", {})
    lines = [["id", shown["id"]], ["name", shown["name"]], ["status", shown["status"]], ["created", day(shown["created_at"])]]
    if models:
        words = {"allow_list": "only: ", "deny_list": "all but: "}[models["mode"]] + ", ".join(models["model_ids"])
        lines += [["models", words if models["model_ids"] or models["mode"] == "allow_list" else "all"]]
        lines += [["data retention", shown["data_retention"]]]
    show(table(["", ""], lines).strip("\n"))


@projects.command(epilog=options.examples("openhearth projects archive website"))
@click.argument("project")
@options.where_settings_are
@click.pass_context
def archive(ctx: click.Context, project: str) -> None:
    """End a project and its keys for good. What was used in it stays told."""

    async def act(database: Database, project_id: str) -> Project:
        from openhearth.accounts.projects.service import Projects

        return await Projects(database).archive(None, project_id)

    done = _in_project(ctx, project, act)
    note(f"Archived '{clean(done.name)}' ({done.id}). Its keys are refused from now on.")


@projects.command(epilog=options.examples("openhearth projects members website", "openhearth projects members proj_default --json"))
@click.argument("project")
@options.as_json
@options.where_settings_are
@click.pass_context
def members(ctx: click.Context, project: str, as_json: bool) -> None:
    """List who is in a project."""

    async def act(database: Database, project_id: str) -> list[ProjectUser]:
        from openhearth.accounts.project_users.service import ProjectUsers
        from openhearth.wire.organization.lists import CursorQuery

        return await _all(lambda after: ProjectUsers(database).find(project_id, CursorQuery(after, PAGE)))

    found = _in_project(ctx, project, act)
    if as_json:
        show_json([_plain(user) for user in found])
    else:
        show(table(["ID", "EMAIL", "NAME", "ROLE", "ADDED"], [[u.id, u.email, u.name, u.role, day(u.added_at)] for u in found]))


@projects.command("add-member", epilog=options.examples("openhearth projects add-member website anna@example.org --role owner"))
@click.argument("project")
@click.argument("user")
@click.option("--role", type=click.Choice(["member", "owner"]), default="member", help="What they are there; default: member.")
@options.where_settings_are
@click.pass_context
def add_member(ctx: click.Context, project: str, user: str, role: Any) -> None:
    """Add one of the organization's users to a project. USER is an e-mail address or an id."""

    async def act(database: Database, project_id: str) -> ProjectUser:
        from openhearth.accounts.project_users.service import ProjectUsers
        from openhearth.wire.organization.project_users import ProjectUserCreate

        who = ProjectUserCreate(role, email=user) if "@" in user else ProjectUserCreate(role, user_id=user)
        return await ProjectUsers(database).add(None, project_id, who)

    added = _in_project(ctx, project, act)
    note(f"{clean(added.email)} is {added.role} now.")


@projects.command("remove-member", epilog=options.examples("openhearth projects remove-member website anna@example.org"))
@click.argument("project")
@click.argument("user")
@options.where_settings_are
@click.pass_context
def remove_member(ctx: click.Context, project: str, user: str) -> None:
    """Remove a user from a project; the user's keys there are refused from now on. USER is an e-mail address or an id."""

    async def act(database: Database, project_id: str) -> None:
        from openhearth.accounts.project_users.service import ProjectUsers

        users = ProjectUsers(database)
        await users.remove(None, project_id, await users.id_of(project_id, user))

    _in_project(ctx, project, act)
    note(f"Removed {clean(user)}.")


def _in_project(ctx: click.Context, project: str, act: Callable[[Database, str], Awaitable[T]]) -> T:
    async def find_and_act(database: Database) -> T:
        from openhearth.accounts.projects.naming import project_called

        return await act(database, await project_called(database, project))

    return on_database(options.load_settings(ctx), find_and_act)


async def _all(find: Callable[[str | None], Awaitable[list[T]]]) -> list[T]:
    """All pages; each may hold one more than asked for, which only tells that there are more."""
    found: list[T] = []
    while True:
        page = await find(getattr(found[-1], "id", None) if found else None)
        found += page[:PAGE]
        if len(page) <= PAGE:
            return found


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain

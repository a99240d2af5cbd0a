"""A whole installation: the owner's setup link, invites by the official client, mail to a real SMTP server, cookies over TCP."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from openai import ConflictError, NotFoundError, OpenAI

from tests.support.mailbox import mailbox
from tests.support.serving import FAKE, RunningServer, started
from tests.test_serving import greeting

ADMIN = "sk-admin-test-0123456789abcdef"
PASSWORD = "a mighty fine river"


def post(server: RunningServer, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any], str]:
    request = urllib.request.Request(
        server.root + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.load(reply), reply.headers.get("Set-Cookie", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), ""


def test_from_the_first_start_to_a_users_removal(tmp_path: Path) -> None:
    with mailbox(tmp_path) as box:
        config = 'registration = "open"\n' + FAKE
        config += f'[mail]\nhost = "127.0.0.1"\nport = {box.port}\nsecurity = "none"\nfrom = "hearth@example.com"\n'
        with started(tmp_path / "house", config, environ={"OPENHEARTH_ADMIN_KEY": ADMIN}) as server:
            path = re.search(r"Owner: http://127.0.0.1:\d+(/\S+)", greeting(server))
            assert path
            with urllib.request.urlopen(server.root + path.group(1), timeout=20) as page:
                assert b"Set up this server" in page.read()
            setup = {"token": path.group(1).rpartition("=")[2], "email": "owner@example.com", "password": PASSWORD}
            status, owner, cookie = post(server, "/openhearth/auth/setup", setup)
            assert (status, owner["role"]) == (200, "owner")
            assert "openhearth_session=" in cookie

            client = OpenAI(base_url=server.base_url, api_key=server.key, admin_api_key=ADMIN)
            organization = client.admin.organization
            invite = organization.invites.create(email="ada@example.com", role="reader")
            assert invite.status == "pending"
            until = time.monotonic() + 15
            while not box.messages and time.monotonic() < until:
                time.sleep(0.05)
            [message] = box.messages
            assert message["To"] == "ada@example.com"
            link = re.search(r"http\S+", message.get_content())
            assert link
            assert link.group().startswith(server.root)
            accept = {"token": link.group().rpartition("=")[2], "password": PASSWORD, "name": "Ada"}
            assert post(server, "/openhearth/auth/invites/accept", accept)[0] == 200
            assert organization.invites.retrieve(invite.id).status == "accepted"
            assert [one.id for one in organization.invites.list()] == [invite.id]
            with pytest.raises(ConflictError):
                organization.invites.delete(invite.id)

            [ada] = organization.users.list(emails=["ada@example.com"])
            assert (ada.name, ada.role) == ("Ada", "reader")
            assert organization.users.update(ada.id, role="owner").role == "owner"
            assert {user.email for user in organization.users.list(limit=1)} == {"owner@example.com", "ada@example.com"}
            assert organization.users.delete(ada.id).deleted
            with pytest.raises(NotFoundError):
                organization.users.retrieve(ada.id)
            login = {"email": "ada@example.com", "password": PASSWORD}
            assert post(server, "/openhearth/auth/login", login)[0] == 401
            assert "example.com" not in server.output.read_text()
        with started(tmp_path / "house", config) as again:
            assert "Owner:" not in greeting(again)


def test_without_mail_links_come_to_the_console(tmp_path: Path) -> None:
    unattended = {"OPENHEARTH_OWNER_EMAIL": "Ada@example.com", "OPENHEARTH_OWNER_PASSWORD": PASSWORD}
    with started(tmp_path / "house", environ=unattended) as server:
        assert "Owner:" not in greeting(server)
        status, ada, cookie = post(server, "/openhearth/auth/login", {"email": "ada@example.com", "password": PASSWORD})
        assert (status, ada["role"]) == (200, "owner")
        token = cookie.partition(";")[0]
        invite = {"email": "bob@example.com", "role": "reader"}
        assert post(server, "/v1/organization/invites", invite, Cookie=token)[0] == 403
        assert post(server, "/v1/organization/invites", invite, Cookie=token, Origin=server.root)[0] == 200
        until = time.monotonic() + 15
        while "Mail for bob@example.com" not in server.output.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        assert re.search(r"  http://127.0.0.1:\d+/openhearth/auth/pages/accept\?token=", server.output.read_text())

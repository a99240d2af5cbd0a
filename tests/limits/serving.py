"""Servers for tests of limits: several fake models, and an admin key."""

from __future__ import annotations

from typing import Any

import openai

from tests.support.serving import RunningServer

ADMIN = "sk-admin-0123456789abcdef0123456789"
ENVIRON = {"OPENHEARTH_ADMIN_KEY": ADMIN}
MODELS = ("fake:chat", "fake:day", "fake:minute", "fake:stream", "house/with/slashes:1")
CONFIG = 'default_model = "fake:chat"\nembedding_model = "fake:chat"\n[engines]\nslots = 64\nqueue = 1000\n' + "".join(
    f'[[models]]\nname = "{name}"\nengine = "fake"\ntask = "chat"\n' for name in MODELS
)


def user(server: RunningServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.key, **{"max_retries": 0, **options})


def admin(server: RunningServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", admin_api_key=ADMIN, max_retries=0)


def set_limit(server: RunningServer, model: str, **limits: int) -> None:
    with admin(server) as client:
        client.admin.organization.projects.rate_limits.update_rate_limit(f"rl-{model}", project_id="proj_default", **limits)


def hello(text: str = "[[say:Hi]]", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}

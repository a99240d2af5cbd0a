"""Programs that speak to OpenAI: curl, and `llm` in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serving import RunningServer


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_whole_and_streamed(server: RunningServer) -> None:
    def curl(body: dict[str, object]) -> str:
        command = ["curl", "--silent", "--fail-with-body", "--no-buffer", f"{server.base_url}/chat/completions"]
        headers = ["-H", f"Authorization: Bearer {server.key}", "-H", "Content-Type: application/json"]
        return subprocess.run([*command, *headers, "-d", json.dumps(body)], capture_output=True, text=True, check=True, timeout=60).stdout

    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "[[say:Hello]]"}]}
    assert json.loads(curl(body))["choices"][0]["message"]["content"] == "Hello"
    events = curl({**body, "stream": True}).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: ") for event in events[:-1])


def test_llm(server: RunningServer, tmp_path: Path) -> None:
    """`llm` knows other servers by a file; the key goes in by its own variable."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: hearth\n  model_name: gpt-4o-mini\n  api_base: {server.base_url}\n  api_key_name: hearth\n  supports_schema: true\n"
    )
    (tmp_path / "keys.json").write_text(json.dumps({"hearth": server.key}))

    def llm(*arguments: str) -> str:
        environ = {**server.environ, "LLM_USER_PATH": str(tmp_path)}
        command = [sys.executable, "-m", "llm", "-m", "hearth", *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert llm("[[say:Hello there]]") == "Hello there"
    assert llm("--no-stream", "[[say:Hello there]]") == "Hello there"
    assert isinstance(json.loads(llm("--schema", "name, age int", "a dog"))["age"], int)

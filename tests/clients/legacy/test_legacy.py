"""openai 0.28.1, the last of the old client, as itself in an environment of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.foreign import environment, run
from tests.support.serving import RunningServer, greeting, started

pytestmark = pytest.mark.real
PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("openai-legacy", ["openai==0.28.1", "numpy>=2"])


@pytest.fixture(scope="module")
def told(python: Path, server: RunningServer) -> dict[str, Any]:
    """What `every_resource.py` printed."""
    told: dict[str, Any] = json.loads(run(python, str(PROGRAMS / "every_resource.py"), environ=server.environ))
    return told


def test_the_articles_program_gets_an_answer_from_the_real_model(python: Path, real_server: RunningServer) -> None:
    assert run(python, str(PROGRAMS / "article.py"), environ=real_server.environ).strip()


def test_completions(told: dict[str, Any]) -> None:
    answers = told["sync"]
    assert answers["completion"] == answers["completion_stream"] == "one two three"
    assert answers["by_model"] == ["one two three"] * 4
    assert answers["model"] == "fake:chat"
    assert answers["tokens"] == ["one", " two", " three"]
    assert answers["offsets"] == [21, 24, 28]


def test_chat(told: dict[str, Any]) -> None:
    answers = told["sync"]
    assert {answers["chat"], answers["chat_engine"], answers["chat_stream"]} == {"Good morning to you"}


def test_embeddings(told: dict[str, Any]) -> None:
    assert told["sync"]["embedding"] == [16, 16]
    assert told["sync"]["engine_embedding"] == 16


def test_edits(told: dict[str, Any]) -> None:
    assert told["sync"]["edit"] == ["week", "week"]
    assert told["sync"]["edit_object"] == "edit"


def test_models_and_engines(told: dict[str, Any]) -> None:
    answers = told["sync"]
    assert {"fake:chat", "fake:embed"} <= set(answers["models"])
    assert answers["retrieved"] == answers["alias"] == answers["engine"] == "fake:chat"
    assert ["fake:chat", True] in answers["engines"]


def test_the_asynchronous_twins(told: dict[str, Any]) -> None:
    answers = told["async"]
    assert answers["completion"] == answers["completion_stream"] == "one two three"
    assert answers["chat"] == answers["chat_stream"] == "Good morning to you"
    assert answers["embedding"] == 16
    assert answers["edit"] == "week"
    assert answers["models"] == told["sync"]["models"]
    assert answers["engines"] == [name for name, _ in told["sync"]["engines"]]


def test_errors_are_the_clients_own_classes(told: dict[str, Any]) -> None:
    # This client keeps `code` and `param` of refused requests only.
    assert told["errors"] == {
        "key": ["AuthenticationError", 401, None, None],
        "model": ["InvalidRequestError", 404, "model_not_found", "model"],
        "parameter": ["InvalidRequestError", 400, "invalid_value", "max_tokens"],
        "unknown": ["InvalidRequestError", 400, "unknown_parameter", "no_such_parameter"],
        "delete": ["InvalidRequestError", 404, "model_not_found", "model"],
        "engine": ["InvalidRequestError", 404, "model_not_found", "model"],
        "crash": ["APIError", 500, None, None],
    }


def test_the_program_that_serve_prints(python: Path, tmp_path: Path) -> None:
    with started(tmp_path, environ={"OPENHEARTH_API_KEY": ""}) as first:
        printed = greeting(first)
        program = tmp_path / "program.py"
        program.write_text(printed[printed.index("# openai 0.") : printed.index("Ctrl-C")], encoding="utf-8")
        assert run(python, str(program), environ=first.environ).strip()


FIRST = """
import openai
engine = openai.Engine(id="davinci-codex")
print(openai.Completion.create(engine="davinci-codex", prompt="[[say:one two three]]", max_tokens=20).choices[0].text)
stream = openai.Completion.create(engine="davinci-codex", prompt="[[say:one two three]]", max_tokens=20, stream=True)
print("".join(part.choices[0].text for part in stream))
print(len(openai.Engine(id="davinci-similarity").embeddings(input="a").data[0].embedding))
print(openai.Engine.list().object)
try:
    engine.search(documents=["a"], query="b")
except openai.InvalidRequestError as error:
    print("withdrew" in str(error))
"""


def test_a_client_that_adds_the_version_itself(server: RunningServer, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(FIRST, encoding="utf-8")
    python = environment("openai-first", ["openai==0.11.0"])
    for base in (server.base_url, server.root):
        told = run(python, str(program), environ={**server.environ, "OPENAI_API_BASE": base}).splitlines()
        assert told == ["one two three", "one two three", "16", "list", "True"]

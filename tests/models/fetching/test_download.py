"""Downloads: resumed, retried, checked, and never believed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import Artifact, fetch
from openhearth.models.fetching.patience import Attempts, Interrupted, NobodyThere, Patience, Unreachable
from tests.models.fetching.watching import Watch
from tests.models.fetching.web_files import BODY, PART, artifact, leftovers
from tests.support.registry import FileServer, sha256


async def test_a_file_arrives_whole_and_is_watched(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    found = await fetch(artifact(server), tmp_path / "new" / "folder", watch)
    assert found.path.read_bytes() == BODY
    assert (found.sha256, found.size) == (sha256(BODY), len(BODY))
    assert leftovers(found.path.parent) == set()
    assert watch.told[0] == ("begin", "model.gguf", len(BODY))
    assert watch.told[-1] == ("end", "model.gguf", None)
    assert watch.advances == sorted(watch.advances)
    assert watch.advances[-1] == len(BODY)
    assert len(watch.advances) >= 3


async def test_a_file_that_is_there_is_not_fetched_again(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    await fetch(artifact(server), tmp_path, watch)
    await fetch(artifact(server), tmp_path, watch, offline=True)
    assert len(server.asked) == 1


async def test_another_file_of_that_name_is_replaced(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    (tmp_path / "model.gguf").write_bytes(BODY[:-1] + b"!" if not BODY.endswith(b"!") else BODY[:-1] + b"?")
    assert (await fetch(artifact(server), tmp_path, watch)).path.read_bytes() == BODY


async def test_offline_forbids(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    with pytest.raises(DownloadFailed, match="--offline"):
        await fetch(artifact(server), tmp_path, watch, offline=True)
    assert server.asked == []
    assert watch.told[-1][0] == "end"


async def test_a_broken_connection_is_resumed_from(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, breaks=[1 << 20, 1 << 20])
    found = await fetch(artifact(server), tmp_path, watch, patience=patience)
    assert found.path.read_bytes() == BODY
    assert [asked.range for asked in server.asked] == [None, f"bytes={1 << 20}-", f"bytes={2 << 20}-"]
    assert [asked.headers.get("If-Range") for asked in server.asked] == [None, '"one"', '"one"']
    assert server.sent == len(BODY)


async def test_a_stalled_connection_is_resumed_from(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, stalls=[1 << 20])
    await fetch(artifact(server), tmp_path, watch, patience=patience)
    assert server.sent == len(BODY)


async def test_a_server_that_ignores_ranges_is_started_over_with(
    server: FileServer, tmp_path: Path, watch: Watch, patience: Patience
) -> None:
    server.put("/model.gguf", BODY, ranges=False, breaks=[1 << 20])
    found = await fetch(artifact(server), tmp_path, watch, patience=patience)
    assert found.path.read_bytes() == BODY
    assert server.sent == len(BODY) + (1 << 20)


@pytest.mark.parametrize("known", [True, False], ids=["checksum", "no checksum"])
async def test_a_file_that_changes_meanwhile_is_started_over(
    server: FileServer, tmp_path: Path, watch: Watch, patience: Patience, known: bool
) -> None:
    """The first half of the old one must never be joined to the second half of the new one."""
    new = BODY[::-1]
    server.put("/model.gguf", BODY, breaks=[1 << 20, 0, 0, 0, 0])
    wanted = artifact(server, body=new) if known else artifact(server, sha256=None, size=None)
    with pytest.raises(DownloadFailed, match="Given up after 4 attempts"):
        await fetch(wanted, tmp_path, watch, patience=patience)
    assert (tmp_path / PART).stat().st_size == 1 << 20
    server.put("/model.gguf", new, etag='"two"')
    assert (await fetch(wanted, tmp_path, watch, patience=patience)).path.read_bytes() == new


async def test_a_changed_file_is_noticed_though_if_range_is_ignored(
    server: FileServer, tmp_path: Path, watch: Watch, patience: Patience
) -> None:
    server.put("/model.gguf", BODY, breaks=[1 << 20, 0, 0, 0, 0])
    wanted = artifact(server, sha256=None, size=None)
    with pytest.raises(DownloadFailed, match="Given up"):
        await fetch(wanted, tmp_path, watch, patience=patience)
    # It compares If-Range with the old ETag, and sends a 206 with the new one.
    server.put("/model.gguf", BODY[::-1], headers={"ETag": '"two"'})
    assert (await fetch(wanted, tmp_path, watch, patience=patience)).path.read_bytes() == BODY[::-1]


async def test_a_file_that_has_shrunk_is_started_over(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, breaks=[1 << 20, 0, 0, 0, 0])
    wanted = artifact(server, sha256=None, size=None)
    with pytest.raises(DownloadFailed, match="Given up"):
        await fetch(wanted, tmp_path, watch, patience=patience)
    server.put("/model.gguf", BODY[:1000])
    assert (await fetch(wanted, tmp_path, watch, patience=patience)).path.read_bytes() == BODY[:1000]
    assert server.asked[-2].range == f"bytes={1 << 20}-"


async def test_without_etag_and_checksum_nothing_is_resumed(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, etag=None, breaks=[1 << 20])
    await fetch(artifact(server, sha256=None, size=None), tmp_path, watch, patience=patience)
    assert [asked.range for asked in server.asked] == [None, None]


async def test_a_weak_etag_is_no_etag(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, etag='W/"one"', breaks=[1 << 20])
    await fetch(artifact(server, sha256=None, size=None), tmp_path, watch, patience=patience)
    assert [asked.range for asked in server.asked] == [None, None]


async def test_the_wrong_content_is_removed(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY[::-1])
    with pytest.raises(DownloadFailed) as failed:
        await fetch(artifact(server), tmp_path, watch)
    assert sha256(BODY) in failed.value.message
    assert sha256(BODY[::-1]) in failed.value.message
    assert failed.value.status == 503
    assert failed.value.code == "download_failed"
    assert not (tmp_path / "model.gguf").exists()
    assert leftovers(tmp_path) == set()


async def test_wrong_content_leaves_an_older_file_alone(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "model.gguf").write_bytes(b"old")
    server.put("/model.gguf", BODY[::-1])
    with pytest.raises(DownloadFailed):
        await fetch(artifact(server), tmp_path, watch)
    assert (tmp_path / "model.gguf").read_bytes() == b"old"


async def test_transient_answers_are_tried_again(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, statuses=[503, 429, 500])
    await fetch(artifact(server), tmp_path, watch, patience=patience)
    assert len(server.asked) == 4


async def test_a_server_that_stays_broken_is_given_up(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, statuses=[503] * 20)
    with pytest.raises(DownloadFailed, match=r"answered 503\. Given up after 4 attempts"):
        await fetch(artifact(server), tmp_path, watch, patience=patience)
    assert len(server.asked) == 4


async def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(
    server: FileServer, tmp_path: Path, watch: Watch, patience: Patience
) -> None:
    server.put("/model.gguf", BODY, ranges=False, breaks=[2 << 20] * 50)
    with pytest.raises(DownloadFailed, match="broke off"):
        await fetch(artifact(server), tmp_path, watch, patience=patience)
    assert len(server.asked) <= 2 * patience.attempts


@pytest.mark.parametrize(("status", "said"), [(404, "does not exist"), (401, "credentials"), (403, "credentials"), (410, "answered 410")])
async def test_final_answers_are_not_tried_again(server: FileServer, tmp_path: Path, watch: Watch, status: int, said: str) -> None:
    server.put("/model.gguf", BODY, statuses=[status])
    with pytest.raises(DownloadFailed, match=said):
        await fetch(artifact(server), tmp_path, watch)
    assert len(server.asked) == 1


async def test_nobody_there(tmp_path: Path, watch: Watch, patience: Patience) -> None:
    with pytest.raises(Unreachable, match=r"can't be reached: connection refused\. Given up after 2 attempts"):
        await fetch(artifact("http://127.0.0.1:1"), tmp_path, watch, patience=patience)
    assert ("asking 127.0.0.1", "model.gguf", None) in watch.told


async def test_nobody_there_is_told_in_seconds_and_without_names_of_classes(tmp_path: Path, watch: Watch) -> None:
    begun = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        await fetch(Artifact("model.gguf", ("https://house.invalid/model.gguf",)), tmp_path, watch)
    assert time.monotonic() - begun < 10
    assert "its name is not found" in caught.value.message
    assert "Error" not in caught.value.message


async def test_a_server_that_was_there_is_waited_for(patience: Patience) -> None:
    attempts = Attempts(patience)
    await attempts.after(Interrupted("It broke off."))
    await attempts.after(NobodyThere("It is gone."))
    await attempts.after(NobodyThere("It is gone."))
    with pytest.raises(Unreachable, match="after 4 attempts"):
        await attempts.after(NobodyThere("It is gone."))


async def test_a_partial_file_longer_than_the_whole_is_dropped(
    server: FileServer, tmp_path: Path, watch: Watch, patience: Patience
) -> None:
    server.put("/model.gguf", BODY, breaks=[1 << 20, 0, 0, 0, 0])
    with pytest.raises(DownloadFailed):
        await fetch(artifact(server), tmp_path, watch, patience=patience)
    with (tmp_path / PART).open("ab") as file:
        file.write(BODY * 2)
    assert (await fetch(artifact(server), tmp_path, watch, patience=patience)).path.read_bytes() == BODY


async def test_a_foreign_partial_file_is_not_built_upon(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    (tmp_path / PART).write_bytes(b"something else")
    (tmp_path / (PART + ".json")).write_text('{"identity": "x", "finished": 0, "base": 0, "validator": "\\"one\\""}')
    await fetch(artifact(server), tmp_path, watch)
    assert [asked.range for asked in server.asked] == [None]


async def test_parts_are_joined_in_order(server: FileServer, other: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    """From two servers and the disk, each of them breaking off once."""
    (tmp_path / "local").write_bytes(BODY[:1000])
    server.put("/a", BODY[: 1 << 20], breaks=[5000])
    other.put("/b", BODY[1 << 20 :], breaks=[5000])
    parts = ((tmp_path / "local").as_uri(), f"{server.url}/a", f"{other.url}/b")
    body = BODY[:1000] + BODY
    found = await fetch(Artifact("model.gguf", parts, sha256(body), len(body)), tmp_path / "models", watch, patience=patience)
    assert found.path.read_bytes() == body
    assert server.sent + other.sent == len(BODY)
    assert watch.advances[-1] == len(body)


async def test_finished_parts_are_not_fetched_again(
    server: FileServer, other: FileServer, tmp_path: Path, watch: Watch, patience: Patience
) -> None:
    server.put("/a", BODY[:5000])
    other.put("/b", BODY[5000:], statuses=[410])
    wanted = Artifact("model.gguf", (f"{server.url}/a", f"{other.url}/b"), sha256(BODY), len(BODY))
    with pytest.raises(DownloadFailed, match="410"):
        await fetch(wanted, tmp_path, watch, patience=patience)
    assert (await fetch(wanted, tmp_path, watch, patience=patience)).path.read_bytes() == BODY
    assert len(server.asked) == 1


async def test_a_file_of_this_machine(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "own model.gguf").write_bytes(BODY)
    wanted = Artifact("model.gguf", ((tmp_path / "own model.gguf").as_uri(),), sha256(BODY))
    assert (await fetch(wanted, tmp_path / "models", watch, offline=True)).path.read_bytes() == BODY


@pytest.mark.parametrize("what", ["missing", "folder", "/dev/zero"])
async def test_what_is_no_file_of_this_machine(tmp_path: Path, watch: Watch, what: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DownloadFailed, match=r"is not a file|can't be read"):
        await fetch(Artifact("model.gguf", ((tmp_path / what).as_uri(),)), tmp_path / "models", watch)


async def test_a_folder_in_the_way(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    (tmp_path / "model.gguf").mkdir()
    with pytest.raises(DownloadFailed, match="in the way"):
        await fetch(artifact(server), tmp_path, watch)


async def test_a_file_that_is_written_to_while_it_is_copied(tmp_path: Path) -> None:
    """Half old and half new is no copy."""
    source = tmp_path / "source.gguf"
    source.write_bytes(bytes(16 << 20))

    class Meddler(Watch):
        def advance(self, name: str, done: int) -> None:
            if done < 16 << 20:
                source.write_bytes(b"x" * (16 << 20))

    with pytest.raises(DownloadFailed, match="was changed while it was copied"):
        await fetch(Artifact("model.gguf", (source.as_uri(),)), tmp_path / "models", Meddler())
    assert set(leftovers(tmp_path / "models")) == {PART, PART + ".json"}
    assert (tmp_path / "models" / PART).stat().st_size == 0

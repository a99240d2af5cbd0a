"""URLs: their form, and what their names lead to."""

from __future__ import annotations

import pytest

from openhearth.webhooks.targets import NameNotFound, Resolve, TargetRefused, Targets

PUBLIC = "93.184.215.14"


def names(**known: list[str]) -> Resolve:
    """A resolver that knows these (with dots for underscores), and otherwise what is written in numbers."""

    async def resolve(host: str, _port: int) -> list[str]:
        if host.strip("[]").replace(".", "").replace(":", "").isalnum() and (host[0].isdigit() or ":" in host):
            return [host]
        found = known.get(host.replace(".", "_"))
        if found is None:
            raise OSError("no such name")
        return found

    return resolve


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hook.example/x", "file:///etc/passwd", "gopher://hook.example", "javascript:alert(1)", "hook.example/x",
        "//hook.example/x", "",
        "https://", "https:///x", "https://user@hook.example", "https://user:secret@hook.example/x", "https://@hook.example/",
        "https://:@hook.example/", "https://hook.example/x#part", "https://hook.example/x#", "https://hook.example:22/",
        "https://hook.example:0/",
        "https://hook.example:99999/", "https://hook.example:25", "https://hook.example/a b", "https://hook.example\\@inside.example/",
        "https://hook.example/\n", "https://hook.example/" + "x" * 2048, "https://[::1", "https://[hook]/",
    ],
)  # fmt: skip
async def test_urls_of_another_form_are_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        await Targets(resolve=names(hook_example=[PUBLIC])).check(url)


@pytest.mark.parametrize("url", ["https://hook.example/x?y=1", "https://hook.example:8443", "HTTPS://HOOK.example:443/ü"])
async def test_plain_ones_are_taken_with_their_addresses(url: str) -> None:
    target = await Targets(resolve=names(hook_example=[PUBLIC, "2606:4700::1111"])).check(url)
    assert target.addresses == (PUBLIC, "2606:4700::1111")


@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        ("https://hook.example/", ["127.0.0.1"]),
        ("https://hook.example/", [PUBLIC, "10.0.0.1"]),
        ("https://hook.example/", ["::ffff:169.254.169.254"]),
        ("https://127.0.0.1/", []),
        ("https://[::1]/", []),
        ("https://[::ffff:7f00:1]/", []),
        ("http://hook.example/", [PUBLIC]),
    ],
)
async def test_names_that_lead_inside_are_refused(url: str, leads_to: list[str]) -> None:
    with pytest.raises(TargetRefused) as caught:
        await Targets(resolve=names(hook_example=leads_to)).check(url)
    assert not any(address in caught.value.message for address in leads_to)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "127.0.0.1.", "①②⑦.0.0.1"])
async def test_other_spellings_of_loopback_are_loopback(host: str) -> None:
    """By the real resolver of this machine."""
    with pytest.raises((TargetRefused, NameNotFound)):
        await Targets().check(f"https://{host}/")


async def test_http_is_for_allowed_loopback_only() -> None:
    targets = Targets(["127.0.0.1", "10.0.0.0/8"], names())
    assert (await targets.check("http://127.0.0.1:8080/x")).addresses == ("127.0.0.1",)
    assert (await targets.check("https://10.0.0.1/x")).addresses == ("10.0.0.1",)
    with pytest.raises(TargetRefused, match="https"):
        await targets.check("http://10.0.0.1/x")


async def test_a_name_that_means_nothing() -> None:
    with pytest.raises(NameNotFound):
        await Targets(resolve=names()).check("https://nowhere.example/")
    with pytest.raises(NameNotFound):
        await Targets(resolve=names(hook_example=[])).check("https://hook.example/")

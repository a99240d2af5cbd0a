"""Which addresses webhooks may be sent to."""

from __future__ import annotations

import pytest

from openhearth.errors import SetupError
from openhearth.webhooks.addresses import networks, permitted

INTERNAL = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "192.88.99.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "192.0.2.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1", "fe80::1",
    "fe80::1%eth0",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "3fff::1", "100::1", "5f00::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2606:4700::1111%1",
    "", "localhost", "1", "0x7f.1", "127.1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.215.14", "::ffff:1.1.1.1", "2606:4700::1111", "2002:101:101::1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", INTERNAL)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not permitted(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not(address: str) -> None:
    assert permitted(address)


def test_the_owner_may_allow_networks_and_only_those() -> None:
    allow = networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])
    assert all(permitted(address, allow) for address in ("10.255.0.1", "127.0.0.1", "::ffff:127.0.0.1", "fd12::1", "1.1.1.1"))
    assert not any(permitted(address, allow) for address in ("127.0.0.2", "::1", "192.168.0.1", "169.254.169.254", "2002:a00:1::"))


@pytest.mark.parametrize("wrong", ["localhost", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_a_mistyped_network_is_an_error_at_the_start(wrong: str) -> None:
    with pytest.raises(SetupError, match="allow"):
        networks([wrong])

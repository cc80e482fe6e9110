import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from typing import Any

import httpcore2
import pytest

from domain.errors import StepFailed
from domain.http import OutgoingRequest
from runtime.egress import EgressDenied, GuardedBackend, Network, refusal
from runtime.http import GuardedHttp
from tests.runtime.web import Web, reply, serving

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

REFUSED = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
]
REACHABLE = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
]
# Ways to write this machine, or what no step has a business with, into `http://…:PORT/`.
HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "00000177.0.0.1",
    "0x7f.0.1",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "１２７.0.0.1",
    "١٢٧.0.0.1",
    "ⓛocalhost",
    "ｌocalhost",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[::1%lo]",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "10.0.0.1",
    "012.1",
    "192.168.1.1",
    "0xc0a80101",
    "172.16.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
]
# What another parser might read as this machine.
ADDRESSES = [
    "http://8.8.8.8@127.0.0.1:{port}/",
    "http://user:pass@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@8.8.8.8/",
    "http://8.8.8.8\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\nHost: x/",
    "http://127.0.0.1:{port}/\n",
    "\thttp://127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\x00.example.com:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%2f@8.8.8.8:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1:+{port}/",
    "http://127.0.0.1: {port}/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:99999999/",
    "http://127.0.0.1:x/",
    "http://127.0.0.1:/",
    "http://:{port}/",
    "http://[::1/",
    "http://[v1.x]:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "unix:///run/docker.sock",
    "gopher://127.0.0.1:{port}/",
    "",
]


@pytest.fixture
async def canary() -> AsyncIterator[Web]:
    async with serving(lambda _: reply(body=b"canary")) as web:
        yield web


@pytest.mark.parametrize("address", REFUSED)
def test_address_is_refused(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize("address", REACHABLE)
def test_address_may_be_reached(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1"])
def test_allowed_network_may_be_reached(address: str) -> None:
    assert refusal(address, LOOPBACK) is None


def test_allowed_network_allows_nothing_beside_it() -> None:
    allowed = [ip_network("10.1.0.0/16")]
    assert refusal("10.1.2.3", allowed) is None
    assert refusal("10.2.0.1", allowed) == "private"
    assert refusal("127.0.0.1", allowed) == "loopback"


async def sent(url: str, allowed: Sequence[Network] = ()) -> str:
    """The body of the answer, or the code of the failure."""
    http = GuardedHttp(allowed)
    try:
        return (await http.send(OutgoingRequest("GET", url, [], timeout=3.0))).body.decode()
    except StepFailed as failure:
        return failure.code
    finally:
        await http.aclose()


@pytest.mark.parametrize("host", HOSTS)
async def test_host_that_means_this_machine_is_refused(canary: Web, host: str) -> None:
    assert await sent(canary.url(host=host)) in ("egress_denied", "invalid_url", "connection_error")
    assert canary.connections == 0


@pytest.mark.parametrize("address", ADDRESSES)
async def test_ambiguous_address_is_refused(canary: Web, address: str) -> None:
    assert await sent(address.format(port=canary.port), LOOPBACK) == "invalid_url"
    assert canary.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.1", "127。0。0。1"])
async def test_hosts_do_reach_the_canary_when_allowed(canary: Web, host: str) -> None:
    """So the table above is refused by the guard and by nothing else."""
    assert await sent(canary.url(host=host), LOOPBACK) == "canary"


def answering(*rounds: Sequence[str]) -> Any:
    """A resolver that answers differently each time it is asked."""
    left = list(rounds)

    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    return lookup


async def test_name_with_one_refused_address_is_refused(canary: Web) -> None:
    backend = GuardedBackend([ip_network("127.0.0.1/32")], answering(["127.0.0.1", "10.0.0.1"]))
    with pytest.raises(EgressDenied, match="private"):
        await backend.connect_tcp("twofaced.example", canary.port, timeout=1.0)
    assert canary.connections == 0


async def test_name_is_resolved_once_and_what_was_checked_is_connected(canary: Web) -> None:
    """A second, other answer (rebinding) would never be seen: the resolver has only one."""
    backend = GuardedBackend([ip_network("127.0.0.1/32")], answering(["127.0.0.1"]))
    stream = await backend.connect_tcp("rebinding.example", canary.port, timeout=1.0)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    await stream.aclose()


async def test_next_address_is_tried_when_the_first_does_not_answer(canary: Web) -> None:
    backend = GuardedBackend(LOOPBACK, answering(["127.0.0.2", "127.0.0.1"]))
    stream = await backend.connect_tcp("two.example", canary.port, timeout=1.0)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    await stream.aclose()


async def test_name_without_an_address_is_a_connection_error() -> None:
    def lookup(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(httpcore2.ConnectError, match="could not be resolved"):
        await GuardedBackend((), lookup).connect_tcp("nowhere.example", 80, timeout=1.0)


async def test_unix_socket_is_refused() -> None:
    with pytest.raises(EgressDenied):
        await GuardedBackend(LOOPBACK).connect_unix_socket("/run/docker.sock")

"""Which addresses a step may reach, decided on what a name resolved to and at the moment of connecting.

The table is our own, because `ipaddress.is_global` lets through NAT64, 6to4, multicast and clouds' metadata services.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore2

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[..., Sequence[tuple[Any, ...]]]  # as socket.getaddrinfo

REFUSED_V4 = {
    IPv4Network(network): why
    for network, why in {
        "0.0.0.0/8": "this host",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "carrier-grade NAT",
        "127.0.0.0/8": "loopback",
        "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "protocol assignment",
        "192.0.2.0/24": "documentation",
        "192.31.196.0/24": "AS112",
        "192.52.193.0/24": "relay",
        "192.88.99.0/24": "6to4 relay",
        "192.168.0.0/16": "private",
        "192.175.48.0/24": "AS112",
        "198.18.0.0/15": "benchmarking",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
        "168.63.129.16/32": "cloud platform",
    }.items()
}
GLOBAL_V6 = IPv6Network("2000::/3")
REFUSED_V6 = {
    IPv6Network(network): why
    for network, why in {
        "2001::/23": "protocol assignment",
        "2001:db8::/32": "documentation",
        "2002::/16": "6to4",
        "3fff::/20": "documentation",
        "2620:4f:8000::/48": "AS112",
    }.items()
}
MOST_TRIED = 3  # addresses of one name
LOOKUPS = 16  # names resolved at the same time; a dead resolver blocks nobody else's threads


class EgressDenied(Exception):
    """Says why; never which address a name stands for."""


def refusal(address: Address | str, allowed: Iterable[Network] = ()) -> str | None:
    """Why this address may not be reached, or None. `allowed` networks may be, whatever they are."""
    plain = _unmapped(ip_address(address))
    if any(plain in network for network in allowed):
        return None
    if isinstance(plain, IPv4Address):
        return next((why for network, why in REFUSED_V4.items() if plain in network), None)
    if plain not in GLOBAL_V6:
        return "not a global address"
    return next((why for network, why in REFUSED_V6.items() if plain in network), None)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name once, refuses it when any of its addresses is refused, and connects to what was checked."""

    def __init__(self, allowed: Sequence[Network] = (), lookup: Lookup = socket.getaddrinfo) -> None:
        self._allowed = tuple(allowed)
        self._lookup = lookup
        self._inner = httpcore2.AnyIOBackend()
        self._lookups = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("the name could not be resolved in time") from None
        for address in addresses:
            if why := refusal(address, self._allowed):
                raise EgressDenied(f"the host is or resolves to a refused address ({why})")
        return await self._connect(addresses[:MOST_TRIED], port, timeout, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise EgressDenied("unix sockets are refused")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _resolve(self, host: str, port: int) -> list[str]:
        lookup = partial(self._lookup, host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._lookups, lookup)
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("the name could not be resolved") from None
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

    async def _connect(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, share, None, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, share, None, socket_options)


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address

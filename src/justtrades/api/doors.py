"""Who is asking, and how much may come in.

An address is the peer's own, unless the peer is a proxy that the settings trust: then the list it forwarded is
walked from the right, and the first entry that is no such proxy is the client. Whatever stands further left was
written by somebody nobody vouches for. An entry that is no address ends the walk without an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.types import Message, Receive, Scope

from justtrades.settings import Network

Address = IPv4Address | IPv6Address

FORWARDING: Final = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via", b"cf-connecting-ip"})


class TooLarge(Exception):
    """More bytes than the door lets in."""


class Gone(Exception):
    """The client hung up before it had sent everything."""


def client_address(scope: Scope, trusted: Sequence[Network]) -> Address | None:
    """Where the request comes from; None when nobody can tell."""
    client = scope.get("client")
    peer = _address(client[0]) if client else None
    if peer is None or not within(peer, trusted):
        return peer
    found: Address | None = peer
    for entry in reversed(_forwarded(scope)):
        found = _address(entry)
        if found is None or not within(found, trusted):
            return found
    return found


def client_is_trusted(scope: Scope, trusted: Sequence[Network]) -> bool:
    """True when the peer is a proxy whose forwarded headers count."""
    client = scope.get("client")
    peer = _address(client[0]) if client else None
    return peer is not None and within(peer, trusted)


def within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def is_local(scope: Scope) -> bool:
    """True when this very machine asks. A proxy on it forwards strangers, so a forwarded request never is."""
    client = scope.get("client")
    peer = _address(client[0]) if client else None
    return peer is not None and peer.is_loopback and not any(name in FORWARDING for name, _ in scope["headers"])


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; `TooLarge` as soon as it is known to be more than `limit` bytes."""
    if _declared(scope) > limit:
        raise TooLarge
    message = await receive()
    first = _chunk(message)
    if len(first) > limit:
        raise TooLarge
    if not message.get("more_body", False):
        return first
    return await _read_rest(first, receive, limit)


async def _read_rest(first: bytes, receive: Receive, limit: int) -> bytes:
    chunks, size, more = [first], len(first), True
    while more:
        message = await receive()
        chunks.append(_chunk(message))
        size += len(chunks[-1])
        more = message.get("more_body", False)
        if size > limit:
            raise TooLarge
    return b"".join(chunks)


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise Gone
    chunk: bytes = message.get("body", b"")
    return chunk


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else 0
    return 0


def _forwarded(scope: Scope) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for entry in ",".join(lines).split(",") if entry.strip()]


def _address(text: str) -> Address | None:
    try:
        found = ip_address(_without_port(text))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _without_port(text: str) -> str:
    """`1.2.3.4:5678` and `[::1]:5678`, as some proxies write them."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text

"""A minimal Tradovate server in a process of its own: REST and the user socket on one port.

    python -m bench.stub --accounts 200 --fills-after 0.005 --rests-for 0.005

Raw asyncio, so that it is never the bottleneck: about 50 µs a request. The moment of a POST is read when its last
byte has arrived, before anything is parsed. A third kind of connection, opened with the line `WATCH`, is told
every act and every fill as `word account order nanoseconds`, for the process that measures.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import parse_qs

from bench.loop import run_loop
from bench.stub_books import USER, Books

_WS_KEY: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEARTBEAT_EVERY: Final = 2.5
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Stub:
    """What all connections share."""

    def __init__(self, accounts: int, fills_after: float, rests_for: float | None) -> None:
        loop = asyncio.get_running_loop()
        self.sockets: set[Connection] = set()
        self.watchers: set[asyncio.WriteTransport] = set()
        self.books = Books(accounts, loop.call_later, self._tell, self._note, fills_after, rests_for)
        self.acts: dict[str, Callable[[dict[str, Any], int], str]] = {
            "order/placeorder": self.books.place,
            "order/placeoco": self.books.place_pair,
            "order/modifyorder": self.books.modify,
            "order/cancelorder": self.books.cancel,
            "order/liquidateposition": self.books.liquidate,
        }

    def _tell(self, frame: str) -> int:
        data = _ws_frame(frame.encode())
        left = time.perf_counter_ns()
        for connection in self.sockets:
            connection.write(data)
        return left

    def _note(self, word: str, account: int, order: int, at: int) -> None:
        line = f"{word} {account} {order} {at}\n".encode()
        for watcher in self.watchers:
            watcher.write(line)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_EVERY)
            for connection in self.sockets:
                connection.write(_ws_frame(b"h"))

    def answer(self, endpoint: str, query: str, body: bytes, at: int) -> tuple[int, str]:
        """Status and JSON text."""
        act = self.acts.get(endpoint)
        if act is not None:
            # Digits stay digits: a price goes back as it came.
            return 200, act(json.loads(body, parse_float=str), at)
        if endpoint in ("auth/accesstokenrequest", "auth/renewaccesstoken"):
            return 200, _token()
        return self._looked_up(endpoint, {name: values[0] for name, values in parse_qs(query).items()})

    def _looked_up(self, endpoint: str, asked: dict[str, str]) -> tuple[int, str]:
        kind, _, what = endpoint.partition("/")
        match what:
            case "list":
                return 200, self.books.listed(kind)
            case "items":
                return 200, self.books.chosen(kind, _ids(asked["ids"]))
            case "deps":
                return 200, self.books.below(kind, _ids(asked["masterid"]))
            case "ldeps":
                return 200, self.books.below(kind, _ids(asked["masterids"]))
            case "find" if kind == "contract":
                return 200, self.books.rows["contract"][self.books.contract(asked["name"])]
            case "item" if int(asked["id"]) in self.books.rows[kind]:
                return 200, self.books.rows[kind][int(asked["id"])]
            case _:
                return 404, '"Not found"'


class Connection(asyncio.Protocol):
    """HTTP until it is upgraded to the user socket or becomes a watcher."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""
        self._read = self._read_http
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stub.sockets.discard(self)
        if self._transport is not None:
            self._stub.watchers.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter_ns()
        self._buffer += data
        while self._buffer and self._read(at):
            pass

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # ── HTTP ──

    def _read_http(self, at: int) -> bool:
        """One request; False when more has to arrive first."""
        if self._buffer == b"WATCH\n":
            return self._watch()
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        length = _content_length(head)
        if len(rest) < length:
            return False
        self._buffer = rest[length:]
        method_and_target = head[: head.index(b"\r\n")].decode().split(" ")
        path, _, query = method_and_target[1].partition("?")
        if path == "/v1/websocket":
            return self._upgrade(head)
        status, text = self._stub.answer(path.removeprefix("/v1/"), query, rest[:length], at)
        self.write(_http(status, text.encode()))
        return True

    def _watch(self) -> bool:
        assert self._transport is not None
        self._stub.watchers.add(self._transport)
        self._buffer = b""
        return False

    def _upgrade(self, head: bytes) -> bool:
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key.partition(b":")[2].strip() + _WS_KEY).digest())
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + _ws_frame(b"o")
        )
        self._read = self._read_ws
        return True

    # ── the user socket ──

    def _read_ws(self, at: int) -> bool:
        frame = _unmasked(self._buffer)
        if frame is None:
            return False
        opcode, payload, size = frame
        self._buffer = self._buffer[size:]
        if opcode == _TEXT:
            self._hear(payload.decode(), at)
        elif opcode == _PING:
            self.write(_ws_frame(payload, _PONG))
        elif opcode == _CLOSE and self._transport is not None:
            self.write(_ws_frame(payload, _CLOSE))
            self._transport.close()
        return True

    def _hear(self, text: str, at: int) -> None:
        if text == "[]":
            return
        endpoint, number, query, body = text.split("\n", 3)
        if endpoint == "authorize":
            self.write(_ws_frame(f'a[{{"s":200,"i":{number}}}]'.encode()))
            return
        if endpoint == "user/syncrequest":
            self._stub.sockets.add(self)
            status, data = 200, self._stub.books.snapshot()
        else:
            status, data = self._stub.answer(endpoint, query, body.encode(), at)
        self.write(_ws_frame(f'a[{{"s":{status},"i":{number},"d":{data}}}]'.encode()))


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(head[at + 17 :].partition(b"\r\n")[0])


def _http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def _ws_frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((128 | opcode, size))
    elif size < 65_536:
        head = bytes((128 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((128 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def _unmasked(data: bytes) -> tuple[int, bytes, int] | None:
    """Opcode, payload and size of the first client frame; None when it is not whole yet. Never fragmented here."""
    if len(data) < 6:
        return None
    size, start = data[1] & 127, 2
    if size >= 126:
        wide = 2 if size == 126 else 8
        start += wide
        size = int.from_bytes(data[2:start], "big")
    end = start + 4 + size
    if len(data) < end:
        return None
    mask = (data[start : start + 4] * (size // 4 + 1))[:size]
    payload = int.from_bytes(data[start + 4 : end], "big") ^ int.from_bytes(mask, "big")
    return data[0] & 15, payload.to_bytes(size, "big"), end


def _token() -> str:
    expires = (datetime.now(UTC) + timedelta(minutes=80)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    word = hashlib.sha256(str(time.perf_counter_ns()).encode()).hexdigest()
    return (
        f'{{"accessToken":"{word}","mdAccessToken":"{word}","expirationTime":"{expires}","userStatus":"Active",'
        f'"userId":{USER},"name":"bench","hasLive":false}}'
    )


def _ids(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


async def _serve(options: argparse.Namespace) -> None:
    stub = Stub(options.accounts, options.fills_after, options.rests_for)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(stub), "127.0.0.1", 0, backlog=1024)
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stub.beat()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=50)
    parser.add_argument("--fills-after", type=float, default=0.0, help="seconds from a market order to its fill")
    parser.add_argument("--rests-for", type=float, default=None, help="seconds after which a resting order fills")
    run_loop(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()

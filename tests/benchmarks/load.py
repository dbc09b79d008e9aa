"""A load generator in a process of its own: requests over connections that stay open; prints the seconds they took.

Run by ``tests.benchmarks.page`` as ``python load.py PORT CONNECTIONS COUNT``, with the request on standard input.
"""

from __future__ import annotations

import socket
import sys
import time


def main() -> None:
    port, connections, count = (int(argument) for argument in sys.argv[1:])
    request = sys.stdin.buffer.read()
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(connections)]
    statuses = {_asked(sockets, request) for _ in range(5)}
    started = time.perf_counter()
    for _ in range(count // connections):
        statuses.add(_asked(sockets, request))
    taken = time.perf_counter() - started
    if len(statuses) > 1:
        sys.exit(f"Different answers: {statuses}")
    print(taken, *statuses.pop())


def _asked(sockets: list[socket.socket], request: bytes) -> tuple[int, int]:
    """Send to all, then read all, so that the server always has work; status and length of the last answer."""
    for one in sockets:
        one.sendall(request)
    return [_answer(one) for one in sockets][-1]


def _answer(one: socket.socket) -> tuple[int, int]:
    held = b""
    while (end := held.find(b"\r\n\r\n")) < 0:
        held += _received(one)
    head = held[:end].lower()
    status = int(head[9:12])
    place = head.find(b"\r\ncontent-length:")
    length = 0 if status == 304 or place < 0 else int(head[place + 17 :].split(b"\r\n", 1)[0])
    whole = len(held) - end - 4
    while whole < length:
        whole += len(_received(one))
    return status, whole


def _received(one: socket.socket) -> bytes:
    part = one.recv(262_144)
    if not part:
        sys.exit("The server closed a connection that was to stay open.")
    return part


if __name__ == "__main__":
    main()

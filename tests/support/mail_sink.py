"""A mail server as fast as Python can be one, in a process of its own: takes everything, counts, keeps nothing.

``python -m tests.support.mail_sink MILLISECONDS [away]`` takes so many milliseconds for a message; ``away``: for
every reply, as a server does that is far away. A line on standard input is answered with the number of messages taken.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

taken = 0


class Session(asyncio.Protocol):
    """The few words of SMTP that smtplib says."""

    def __init__(self, delay: float, *, away: bool) -> None:
        self.delay, self.away, self.buffer, self.in_data = delay, away, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        global taken
        self.buffer += data
        while True:
            if self.in_data:
                _body, end, rest = self.buffer.partition(b"\r\n.\r\n")
                if not end:
                    return
                self.buffer, self.in_data = rest, False
                taken += 1
                self.reply(b"250 taken\r\n", self.delay)
                continue
            line, end, rest = self.buffer.partition(b"\r\n")
            if not end:
                return
            self.buffer = rest
            verb = line[:4].upper()
            if verb == b"DATA":
                self.in_data = True
                self.reply(b"354 go on\r\n")
            elif verb == b"QUIT":
                self.transport.write(b"221 bye\r\n")
                self.transport.close()
            elif verb == b"EHLO":
                self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            else:
                self.reply(b"250 OK\r\n")

    def reply(self, answer: bytes, delay: float = 0.0) -> None:
        if delay := self.delay if self.away else delay:
            asyncio.get_running_loop().call_later(delay, self.transport.write, answer)
        else:
            self.transport.write(answer)


async def serve(delay: float, *, away: bool) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(delay, away=away), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()

    def asked() -> None:
        if not sys.stdin.readline():
            loop.stop()
        sys.stdout.write(f"{taken}\n")
        sys.stdout.flush()

    loop.add_reader(sys.stdin, asked)
    await asyncio.Event().wait()


@dataclass
class Sink:
    """The running server."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def taken(self) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def sink(*, milliseconds: int = 0, away: bool = False) -> Iterator[Sink]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.mail_sink", str(milliseconds), *(["away"] if away else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield Sink(process, int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) / 1000, away="away" in sys.argv))

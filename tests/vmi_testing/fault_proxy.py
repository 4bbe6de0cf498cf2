"""A network that fails: a TCP proxy on this machine whose connections can be slow, silent or cut."""

import asyncio
import socket
import struct
from contextlib import suppress
from random import Random

CHUNK_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""Lingering for no time: the other end is told by a reset, not by an orderly end."""


class FaultProxy:
    """Passes bytes on to a port of this machine, as well as it is told to."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._connections: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay_seconds = 0.0
        """How long each piece of data is held up."""

    async def start(self, port: int) -> None:
        """Listen on ``port``."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def stop(self) -> None:
        """End all connections and listen no more."""
        self.mend()
        if self._server is not None:
            self._server.close()
        self.cut()
        for serving in list(self._serving):
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self, chance: Random | None = None) -> int:
        """Reset all connections in the middle of whatever they say, or one of them by chance; return how many."""
        victims = list(self._connections)
        if chance is not None and victims:
            victims = [chance.choice(victims)]
        for pair in victims:
            for writer in pair:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
        return len(victims)

    def silence(self) -> None:
        """Pass nothing on: connections stand, new ones are accepted, and nobody hears anything (half-open)."""
        self._flows.clear()

    def mend(self) -> None:
        """Be a good network again."""
        self.delay_seconds = 0.0
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._serving.discard(serving)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        pair = (writer, there_writer)
        self._connections.add(pair)
        ways = [
            asyncio.create_task(self._pass_on(reader, there_writer)),
            asyncio.create_task(self._pass_on(there_reader, writer)),
        ]
        try:
            # Half a connection is of use to none of our protocols.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(pair)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for one in pair:
                one.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flows.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(data)
                await writer.drain()

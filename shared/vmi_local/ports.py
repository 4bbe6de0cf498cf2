"""Ports of 127.0.0.1: chosen free once, then remembered, so that addresses stay the same."""

import json
import socket
import zlib
from collections.abc import Sequence
from pathlib import Path

import psutil

from vmi_local.directory import explained
from vmi_local.errors import LocalServerError

FIRST_PORT = 21_000
PORTS = 8_000


def remembered(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Return a port for each of ``names``: those kept in ``file``, else free ones, which are kept from now on."""
    try:
        kept = json.loads(file.read_text())
        return {name: int(kept[name]) for name in names}
    except (OSError, ValueError, KeyError):
        # Where the search begins depends on the file, so that two instances rarely ask for the same port.
        chosen = dict(zip(names, free_ports(len(names), first=zlib.crc32(bytes(file))), strict=True))
    with explained(f"{file} cannot be written"):
        file.write_text(json.dumps(chosen))
    return chosen


def refuse_taken(server: str, port: int, file: Path) -> None:
    """Raise when another program listens on ``port``."""
    if not _free(port):
        raise LocalServerError(
            f"Port {port}, which {server} has on this machine, is taken by {_owner(port)}. "
            f"Stop that program, or delete {file} to have another port chosen."
        )


def free_ports(count: int, first: int = 0) -> list[int]:
    """Return ports nobody listens on, searched for from the ``first`` of the range on, round and round."""
    found = [port for at in range(PORTS) if _free(port := FIRST_PORT + (first + at) % PORTS)][:count]
    if len(found) < count:
        raise LocalServerError(f"No port from {FIRST_PORT} to {FIRST_PORT + PORTS} is free. Stop what listens there.")
    return found


def _free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Tell whether somebody answers on ``port``."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"'{psutil.Process(connection.pid).name()}' (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"

"""A chunk of a PNG file, as its specification has it."""

import struct
import zlib


def chunk(name: bytes, body: bytes) -> bytes:
    """Returns length, name, body and check sum."""
    check = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + check

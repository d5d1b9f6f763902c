"""Files of many types: made with the standard library, or taken from the Python installation."""

import bz2
import csv
import gzip
import importlib.util
import io
import json
import lzma
import marshal
import pickle
import sqlite3
import struct
import sys
import sysconfig
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from random import Random

import numpy as np

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it rests in the shade of a tree.\n"
RANDOM = Random(7)  # noqa: S311 - not a secret
STDLIB = Path(sysconfig.get_path("stdlib"))
SOURCE = (STDLIB / "argparse.py").read_bytes()
RECORDS = [{"id": index, "name": f"customer {index}", "balance": index * 1.5} for index in range(60)]


def archive(write: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def in_zip(buffer: io.BytesIO) -> None:
    with zipfile.ZipFile(buffer, "w") as file:
        # With the current time, the model recognizes the file at some times of the day only.
        file.writestr(zipfile.ZipInfo("argparse.py", (2026, 4, 5, 17, 31, 12)), SOURCE)


def in_tar(buffer: io.BytesIO) -> None:
    with tarfile.open(fileobj=buffer, mode="w") as file:
        member = tarfile.TarInfo("argparse.py")
        member.size = len(SOURCE)
        file.addfile(member, io.BytesIO(SOURCE))


def sound(buffer: io.BytesIO) -> None:
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", "not compressed"))
        file.writeframes(RANDOM.randbytes(16_000))


def png() -> bytes:
    rows = b"".join(b"\0" + bytes(range(64)) * 3 for _ in range(64))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def pdf() -> bytes:
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
    ]
    body = "".join(f"{index} 0 obj\n{each}\nendobj\n" for index, each in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}xref\n0 4\ntrailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n9\n%%EOF\n".encode()


def message() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "Invoice"
    mail["Message-ID"], mail["Date"] = "<1@example.com>", "Mon, 23 Nov 2026 10:00:00 +0000"
    mail.set_content(SENTENCE * 5)
    return mail.as_bytes()


def table() -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, RECORDS[0])
    writer.writeheader()
    writer.writerows(RECORDS)
    return text.getvalue().encode()


def numbers(buffer: io.BytesIO) -> None:
    np.save(buffer, np.arange(1_000.0))


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table customer (name text)")
        connection.executemany("insert into customer values (?)", [(each["name"],) for each in RECORDS])
        connection.commit()
        content = connection.serialize()
    connection.close()
    return content


FILES: dict[str, bytes] = {
    "empty": b"",
    "one_letter": b"a",
    "seven_bytes": b"\x7fELF\x02\x01\x01",
    "seven_letters": b"digits\n",
    "eight_letters": b"abcdefgh",
    "white_space": b" \n\t" * 2_000,
    "white_space_before_seven": b"\n" * 5_000 + b"letters",
    "cut_letter": b" " * 4_095 + "é".encode(),
    "utf8": ("Ein größeres Stück Käse, bitte. " * 20).encode(),
    "utf16": (SENTENCE * 10).encode("utf-16"),
    "text": (SENTENCE * 30).encode(),
    "python": SOURCE,
    "python_with_long_margins": b"\n" * 3_000 + SOURCE + b" " * 6_000,
    "bytecode": importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(SOURCE, "argparse.py", "exec")),
    "json": json.dumps(RECORDS, indent=1).encode(),
    "json_lines": "\n".join(map(json.dumps, RECORDS)).encode(),
    "csv": table(),
    "html": f"<!DOCTYPE html>\n<html><head><title>A</title></head><body><p>{SENTENCE * 9}</p></body></html>".encode(),
    "xml": b'<?xml version="1.0"?>\n<customers>' + b'<customer id="1"><name>A</name></customer>' * 40 + b"</customers>",
    "yaml": "".join(f"- name: {each['name']}\n  balance: {each['balance']}\n" for each in RECORDS).encode(),
    "ini": b"[server]\nport = 80\nhost = localhost\n\n[client]\nretries = 3\ntimeout = 20\n" * 4,
    "shell": b'#!/bin/sh\nset -eu\nfor file in *.txt; do\n  if [ -f "$file" ]; then rm -- "$file"; fi\ndone\n' * 3,
    "email": message(),
    "pdf": pdf(),
    "png": png(),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff,\0\0\0\0\2\0\2\0\0\2\3D\2\5\0;",
    "wav": archive(sound),
    "elf": Path(sys.executable).resolve().read_bytes()[:5_000_000],
    "zip": archive(in_zip),
    "tar": archive(in_tar),
    "gzip": gzip.compress(SOURCE),
    "bzip2": bz2.compress(SOURCE),
    "xz": lzma.compress(SOURCE),
    "npy": archive(numbers),
    "pickle": pickle.dumps(RECORDS),
    "sqlite": database(),
    "random_bytes": RANDOM.randbytes(10_000),
    "random_letters": bytes(RANDOM.choices(range(97, 123), k=10_000)),
}

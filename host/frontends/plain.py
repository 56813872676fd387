"""The one door to stdout and stderr: nothing that goes through it can steer a terminal, hide, or begin a line of its
own. Callers make no text safe for it."""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO, TextIO

from host.core.text import Secrets, safe, safe_json


def say(*lines: str) -> None:
    """Lines on stdout. Each stays one line, whatever stands in it."""
    _write(sys.stdout, "".join(f"{safe(line)}\n" for line in lines))


def show(*lines: str) -> None:
    """Lines on stderr, for the person beside the program."""
    _write(sys.stderr, "".join(f"{safe(line)}\n" for line in lines))


def tell(*lines: str) -> None:
    """Lines on stderr in the program's name."""
    show(*(f"agent-host: {line}" for line in lines))


def put_json(value: Any, secrets: Secrets | None = None) -> None:
    """One line of JSON on stdout, without these secrets."""
    line = safe_json(json.dumps(value, ensure_ascii=False)).encode()
    put_line(secrets.clean_bytes(line) if secrets else line)


def put_line(line: bytes, to: BinaryIO | None = None) -> None:
    """JSON as a line on stdout, or in a file, at once: what stands in its strings neither ends a line nor steers."""
    _put(safe_json(line.decode()).encode() + b"\n", to)


def put_words(text: str) -> None:
    """A text with line ends of its own on stdout: to a file or a pipe byte for byte."""
    _put((safe(text, keep_newlines=True) if sys.stdout.isatty() else text).encode("utf-8", "replace"))


def put_bytes(data: bytes) -> bool:
    """Just these bytes on stdout, for another program; nothing, and False, where that is a terminal."""
    if sys.stdout.isatty():
        return False
    _put(data)
    return True


def attended() -> bool:
    """Whether somebody is here to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def line_after(question: str, fresh: bool = True) -> str:
    """The line typed after the question, with its end; empty at the end of input. What was typed before the question
    stood there is thrown away, unless it need not be `fresh`."""
    if fresh:
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    _write(sys.stderr, safe(question))
    return sys.stdin.readline()


def yes(question: str) -> bool:
    """Whether a yes was typed after the question; anything else is no."""
    return line_after(question).strip().lower() in ("y", "yes")


def draw(line: str, end: str = "") -> None:
    """A line on stderr over the one before, where that is a terminal."""
    if sys.stderr.isatty():
        _write(sys.stderr, f"\r\x1b[K{safe(line)}{end}")


def _put(data: bytes, to: BinaryIO | None = None) -> None:
    sys.stdout.flush()
    out = to or sys.stdout.buffer
    out.write(data)
    out.flush()


def _write(stream: TextIO, text: str) -> None:
    """What the stream's encoding cannot say is written as escapes."""
    stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
    stream.flush()

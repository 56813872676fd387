"""What goes through the door to stdout and stderr steers no terminal, hides nothing and stays where it was put."""

import io
import json
import os
import select
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from host import cli
from host.arguments import parse
from host.core.text import Secrets
from host.frontends import plain

EVIL = "\x1b]0;OWNED\x07\x9b2J\u202e\u200b\u2028\r"
SHOWN = "␣U+001B]0;OWNED␣U+0007␣U+009B2J␣U+202E␣U+200B␣U+2028␣U+000D"


def test_a_line_is_one_line_whatever_stands_in_it(capsys):
    plain.say(f"one {EVIL}\nagent-host: two", "three")
    plain.tell(f"no {EVIL}\nyes")
    plain.show()
    out, err = capsys.readouterr()
    assert out == f"one {SHOWN}␣U+000Aagent-host: two\nthree\n"
    assert err == f"agent-host: no {SHOWN}␣U+000Ayes\n"


def test_json_says_the_same_without_secrets_and_without_raw_characters(capsysbinary):
    value = {EVIL: ["key s3cret-value", "lone \ud800", "grün"], "n": 12345}
    plain.put_json(value, Secrets({"A": "s3cret-value"}))
    (line,) = capsysbinary.readouterr().out.decode().splitlines()
    assert line.isprintable()
    assert "grün" in line
    assert json.loads(line) == {EVIL: ["key ⟦secret:A⟧", "lone \ud800", "grün"], "n": 12345}


def test_what_goes_into_a_pipe_or_a_file_is_byte_for_byte(capsysbinary, tmp_path):
    plain.say("before")
    plain.put_bytes(b"\x00\xff\x1b[2J")
    plain.put_words(f"a{EVIL}\n")
    assert capsysbinary.readouterr().out == b"before\n\x00\xff\x1b[2J" + f"a{EVIL}\n".encode()
    with (tmp_path / "out").open("wb") as out:
        plain.put_line(json.dumps({"a": EVIL}, ensure_ascii=False).encode(), out)
    text = (tmp_path / "out").read_text()
    assert (text[-1], text[:-1].isprintable(), json.loads(text)) == ("\n", True, {"a": EVIL})


def test_a_terminal_of_another_encoding_gets_escapes_and_no_error(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    plain.say("grün …")
    assert written.getvalue() == b"gr\\xfcn \\u2026\n"


@pytest.mark.parametrize(
    "line", [["-C", f"/{EVIL}", "doctor"], ["mcp", "get", f"a{EVIL}"], ["policy", "explain", "a.b", "-p", EVIL]]
)
def test_a_mistake_is_told_without_what_would_steer(line, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cli.run(parse(line)) in (2, 3)
    assert SHOWN in capsys.readouterr().err


def test_a_mistake_in_the_command_line_is_told_without_what_would_steer(capsys):
    with pytest.raises(SystemExit, match="2"):
        parse(["run", "x", f"--{EVIL}"])
    assert SHOWN in capsys.readouterr().err


def test_a_file_cannot_speak_in_the_programs_name(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "servers.toml").write_text('"a\\nagent-host: all is well" = 1\nwrong = 2\n')
    assert cli.run(parse(["mcp", "list"])) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"agent-host: {tmp_path}/servers.toml:1: ")
    assert "␣U+000Aagent-host: all is well" in first
    assert second.startswith(f"agent-host: {tmp_path}/servers.toml:2: wrong: ")


def test_a_terminal_gets_no_bytes_meant_for_programs_and_words_only_safe(monkeypatch):
    mine, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert not plain.put_bytes(b"\x1b]0;OWNED\x07")
        plain.put_words(f"one {EVIL}.\ntwo\n")
        monkeypatch.undo()
        written = b""
        while not written.endswith(b"two\r\n") and select.select([mine], [], [], 5)[0]:
            written += os.read(mine, 4096)
    os.close(mine)
    assert written.decode() == f"one {SHOWN}.\r\ntwo\r\n"


def test_a_device_without_room_is_told_as_that(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path))
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.run(parse(["mcp", "list"])) == 1
    assert (
        capsys.readouterr().err
        == "agent-host: no space is left where the output goes; free some, or send it elsewhere\n"
    )

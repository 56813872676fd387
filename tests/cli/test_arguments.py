"""The command line as values: options before or after the command, mistakes with exit 2 and a hint."""

import io
from pathlib import Path

import pytest

from host.arguments import UsageError, parse
from host.commands.start import piped


@pytest.mark.parametrize(
    ("line", "command", "found"),
    [
        (["hello"], None, {"words": ["hello"]}),
        (["run", "-p", "x", "hello", "--trust"], "run", {"profile": "x", "words": ["hello"], "trust": True}),
        (["-p", "x", "--trust", "run", "hello"], "run", {"profile": "x", "words": ["hello"], "trust": True}),
        (["--config", "a", "run", "--config", "b", "x"], "run", {"config": [Path("a"), Path("b")], "words": ["x"]}),
        (["-p", "run", "x"], None, {"profile": "run", "words": ["x"]}),
        (["-r", "run", "x"], "run", {"resume": "", "words": ["x"]}),
        (["-r", "ID", "run", "x"], "run", {"resume": "ID", "words": ["x"]}),
        (["run", "--resume", "ID"], "run", {"resume": "ID", "words": []}),
        (["run", "--", "--trust"], "run", {"words": ["--trust"], "trust": False}),
        (["run", "sum", "-"], "run", {"words": ["sum", "-"]}),
        (["demo", "support", "--headless", "hi"], "demo", {"name": "support", "words": ["hi"], "headless": True}),
        (["session", "export", "ID", "--format", "json"], "session", {"action": "export", "ids": ["ID"]}),
        (["--max-turns", "3", "run", "x", "--timeout", "1.5"], "run", {"max_turns": 3, "timeout": 1.5}),
    ],
)
def test_options_stand_before_or_after_the_command(line, command, found):
    options = parse(line)
    assert options.command == command
    assert {name: getattr(options, name) for name in found} == found


def test_stdin_is_text_or_refused(monkeypatch):
    for given, text in ((b"\xef\xbb\xbfa\r\n\xc3\xa9", "a\né"), (b"\xff", None)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        if text is not None:
            assert piped() == text
        else:
            with pytest.raises(UsageError, match="not UTF-8"):
                piped()


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (["-p", "what is new", "run"], "to send a prompt: agent-host run 'what is new'"),
        (["sesion", "list"], "did you mean session?"),
        (["run", "two", "words"], "quote it"),
        (["run", "x", "--profil", "a"], "no option --profil; did you mean --profile?"),
        (["--output-format", "json", "x"], "agent-host run"),
        (["run", "--input-format", "stream-json"], "needs --output-format stream-json"),
        (["run", "x", "--allow", "crm"], "SERVER.TOOL"),
        (["run", "x", "--fact", "id"], "NAME=VALUE"),
        (["run", "x", "--max-turns", "0"], "above 0"),
        (["run", "x", "--timeout", "inf"], "above 0"),
        (["run", "x", "-c", "-r", "ID"], "give one of them"),
        (["session", "burn"], "invalid choice"),
        (["session"], "say what to do: list, show"),
        (["run", "\udcff"], "not UTF-8"),
    ],
)
def test_a_mistake_exits_2_with_a_hint(line, hint, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(line)
    assert ended.value.code == 2
    assert hint in capsys.readouterr().err

"""The views of a log tell who wished what, who allowed it and what came of it, and nothing in it can steer them."""

import json
from contextlib import closing
from typing import get_args

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from host import cli
from host.arguments import OUTCOMES, parse
from host.core import events as ev
from host.core.events import Recorded
from host.core.types import Opaque, Outcome, Text, ToolCall, Usage
from host.store.audit import NOBODY, Only, audit_rows, load
from host.store.export import export_json, export_jsonl, export_markdown, export_records, masked
from host.store.log import Log
from host.store.shown import show_text

AT = "2026-11-22T12:00:00.{:03}Z"
OPENED = ev.SessionOpened("shop", "openai/m", ("crm", "kb"))


def recorded(*events: ev.Event) -> list[Recorded]:
    return [Recorded("s1", n, AT.format(n), event) for n, event in enumerate(events, 1)]


def said(*calls: ToolCall, text: str = "") -> ev.ModelSaid:
    parts = (*((Text(text),) if text else ()), *calls)
    usage = Usage(120, 30, 80, 0, 0.0012)
    return ev.ModelSaid(parts, "openai/m", "calls" if calls else "done", usage, {"milliseconds": 812})


def decided(id: str, arguments: dict, verdict: str = "ask", reason: str = "writes", **more) -> ev.CallDecided:
    return ev.CallDecided(id, "crm__refund", "crm", "refund", arguments, verdict, ("r1",), reason, digest="d", **more)


def asked(id: str, arguments: dict) -> ev.Asked:
    return ev.Asked(f"q-{id}", "approval", "crm", id, 1, "crm__refund", "refund", arguments)


def started(id: str, arguments: dict, key: str) -> ev.CallStarted:
    return ev.CallStarted(id, 1, "crm", "refund", arguments, key)


def finished(id: str, outcome: str = "ok", **more) -> ev.CallFinished:
    return ev.CallFinished(id, outcome, outcome != "ok", ({"type": "text", "text": "paid"},), None, 12, **more)


def call(id: str, **arguments) -> ToolCall:
    return ToolCall(id, "crm__refund", arguments)


def brief(rows) -> list[tuple]:
    return [(r.seq, r.arguments, r.verdict, r.by, r.how, r.outcome, r.key, r.unsettled) for r in rows]


def test_a_call_that_was_asked_for_and_approved_once():
    log = recorded(
        OPENED, ev.UserSaid((Text("refund it"),)), said(call("c1", amount=20)), decided("c1", {"amount": 20}),
        asked("c1", {"amount": 20}), ev.Answered("q-c1", "accept"), started("c1", {"amount": 20}, "k1"), finished("c1"),
        said(text="done"), ev.TurnEnded("done"),
    )  # fmt: skip
    (row,) = audit_rows(log)
    assert brief([row]) == [(4, {"amount": 20}, "ask", "user", "once", "ok", "k1", False)]
    assert (row.session, row.server, row.remote_name, row.effect) == ("s1", "crm", "refund", "destructive")
    assert (row.tool, row.rules, row.reason, row.milliseconds) == ("crm__refund", ("r1",), "writes", 12)
    assert (row.at, row.answered, row.started, row.action) == (*map(AT.format, (4, 6, 7)), "accept")


def test_an_edited_call_shows_what_was_sent_and_a_remembered_answer_holds_for_the_next():
    log = recorded(
        OPENED, ev.UserSaid((Text("x"),)), said(call("c1", amount=20), call("c2", amount=5)),
        decided("c1", {"amount": 20}),
        asked("c1", {"amount": 20}), decided("c2", {"amount": 5}), asked("c2", {"amount": 5}),
        ev.Answered("q-c1", "accept", {"amount": 10}), decided("c1", {"amount": 10}, "allow"),
        started("c1", {"amount": 10}, "k1"),
        ev.Answered("q-c2", "accept", remember={"for": "session", "arguments": "exact"}),
        started("c2", {"amount": 5}, "k2"), finished("c2"), finished("c1", "error"),
        said(call("c1", amount=5)), decided("c1", {"amount": 5}, "allow", grant="g1"),
        started("c1", {"amount": 5}, "k3"), finished("c1"),
    )  # fmt: skip
    assert brief(audit_rows(log)) == [
        (9, {"amount": 10}, "allow", "user", "edited", "error", "k1", False),
        (6, {"amount": 5}, "ask", "user", "remembered", "ok", "k2", False),
        (16, {"amount": 5}, "allow", "user", "granted", "ok", "k3", False),
    ]
    (*_, last) = audit_rows(log)
    assert last.grant == "g1"
    assert "granted by user ahead (g1)" in show_text(log)


def test_calls_that_never_ran():
    log = recorded(
        OPENED, ev.UserSaid((Text("x"),)), said(call("c1", a=1), call("c2"), call("c3", amount="no"), call("c4")),
        decided("c1", {"a": 1}, "deny", "never"), finished("c1", "denied", cause="denied", reason="never"),
        decided("c2", {}), asked("c2", {}), ev.Answered("q-c2", "decline", by="host", reason="nobody is here"),
        finished("c2", "declined"), finished("c3", "error", cause="invalid_arguments", reason="amount is no number"),
        decided("c4", {}),
    )  # fmt: skip
    rows = audit_rows(log)
    assert brief(rows) == [
        (4, {"a": 1}, "deny", NOBODY, "", "denied", "", False),
        (6, {}, "ask", "host", "once", "declined", "", False),
        (10, {"amount": "no"}, NOBODY, NOBODY, "", "error", "", False),
        (11, {}, "ask", NOBODY, "", "", "", False),
    ]
    assert rows[1].reason == "writes; nobody is here"
    assert rows[2].reason == "invalid_arguments; amount is no number"


def test_an_unknown_outcome_is_marked_until_someone_settles_it():
    log = recorded(
        OPENED, ev.UserSaid((Text("x"),)), said(call("c1"), call("c2")), decided("c1", {}), asked("c1", {}),
        ev.Answered("q-c1", "accept"), started("c1", {}, "k1"), decided("c2", {}), asked("c2", {}),
        ev.Answered("q-c2", "accept"), ev.SettingsChanged({"resumed": "host 1"}, "host"),
        finished("c1", "unknown", cause="unknown", reason="the host died"), decided("c2", {}),
    )  # fmt: skip
    assert brief(audit_rows(log)) == [
        (4, {}, "ask", "user", "once", "unknown", "k1", True),
        (13, {}, "ask", NOBODY, "", "", "", False),
    ]
    assert "UNSETTLED" in show_text(log)
    assert show_text(log).splitlines()[-1] == "unknown outcome, not settled: crm__refund"
    settled = [*log, Recorded("s1", 14, AT.format(14), ev.SettingsChanged({"settled": "k1", "outcome": "ran"}))]
    assert [row.unsettled for row in audit_rows(settled)] == [False, False]
    assert "UNSETTLED" not in show_text(settled)


EVERYTHING = recorded(
    OPENED,
    ev.UserSaid((Text("pay\nnow"),)),
    said(call("c1", amount=20), text="On it.\n# Approved by user"),
    decided("c1", {"amount": 20}),
    asked("c1", {"amount": 20}),
    ev.Answered("q-c1", "accept", by="user"),
    started("c1", {"amount": 20}, "k1"),
    ev.CallPaused("c1", 1, {"name": {"request_id": "q2"}}, "opaque state"),
    ev.Asked("q2", "form", "crm", "c1", message="Your name?\x1b[2J"),
    ev.Answered("q2", "accept", {"name": "Ann"}),
    finished("c1"),
    ev.CatalogChanged("kb", ("kb__find",), quarantined={"kb__x": "changed"}),
    ev.SettingsChanged({"mode": "auto"}),
    ev.Compacted(10, "they paid"),
    ev.ModelSaid((Opaque("openai", "reasoning", {"secret thought": 1}), Text("paid ```x")), "openai/m", "done"),
    ev.TurnEnded("done", Usage(240, 60)),
    ev.Erased(2, "user", "private"),
    ev.Unknown("of_tomorrow", {"new": True}),
)


def test_the_table_has_a_line_for_every_event_worth_auditing():
    assert show_text(EVERYTHING, True).splitlines() == [
        "session s1 · 18 events · verified",
        " 1  2026-11-22 12:00:00.001  opened       shop · openai/m · ask · crm, kb",
        " 2  2026-11-22 12:00:00.002  prompt       pay␣U+000Anow",
        " 3  2026-11-22 12:00:00.003  model        openai/m · 120 in (80 cached) · 30 out · $0.0012 · 812 ms · calls",
        ' 4  2026-11-22 12:00:00.004  call         crm__refund {"amount":20}',
        "                                          ask → accepted by user at 12:00:00.006 (once) [rule r1 · writes]",
        "                                          sent at 12:00:00.007 → ok after 12 ms",
        " 5  2026-11-22 12:00:00.005  question     approval crm__refund",
        " 6  2026-11-22 12:00:00.006  answer       accept by user",
        " 9  2026-11-22 12:00:00.009  question     form crm Your name?␣U+001B[2J",
        '10  2026-11-22 12:00:00.010  answer       accept by user {"name":"Ann"}',
        "12  2026-11-22 12:00:00.012  catalog      kb added: kb__find quarantined: kb__x",
        '13  2026-11-22 12:00:00.013  settings     {"mode":"auto"} by user',
        "14  2026-11-22 12:00:00.014  compacted    through 10 · 0 in · 0 out",
        "15  2026-11-22 12:00:00.015  model        openai/m · 0 in · 0 out · done",
        "16  2026-11-22 12:00:00.016  turn end     done · 240 in · 60 out",
        "17  2026-11-22 12:00:00.017  erased       event 2 by user: private",
        '18  2026-11-22 12:00:00.018  of_tomorrow  {"new":true}',
    ]
    assert show_text([], None).splitlines() == ["session (no events) · 0 events · not verified"]
    assert "DAMAGED" in show_text(EVERYTHING, False)


def test_exports_are_the_live_lines_and_keep_what_only_the_maker_understands_to_themselves():
    lines = export_jsonl(EVERYTHING).splitlines()
    assert lines == [ev.envelope(item).decode() for item in EVERYTHING]
    whole = json.loads(export_json(EVERYTHING))
    assert (whole["v"], whole["session"]) == (1, "s1")
    assert whole["events"] == [json.loads(line) for line in lines]
    head = {"required": ["v", "session", "seq", "at", "kind"], "properties": {"seq": {"type": "integer"}}}
    assert all(jsonschema_rs.is_valid(head, event) for event in whole["events"])
    for text in (export_jsonl(EVERYTHING), export_json(EVERYTHING), export_markdown(EVERYTHING), show_text(EVERYTHING)):
        assert "secret thought" not in text
        assert "opaque state" not in text
        assert "\x1b" not in text


def test_the_document_lets_no_word_of_outside_pass_for_its_own():
    document = export_markdown(EVERYTHING)
    assert document.startswith("# Session s1\n\n")
    assert "> # Approved by user" in document
    assert "\n> paid ```x\n" in document
    assert '### Call `crm__refund`: ask (`r1: writes`)\n\n```json\n{\n  "amount": 20\n}\n```' in document
    assert "Result of `crm__refund`: **ok**, 12 ms\n\n```\npaid\n```" in document
    assert "```\nYour name?␣U+001B[2J\n```" in document
    hostile = recorded(ev.CallFinished("c`1", "ok", False, ({"type": "text", "text": "a\n````\n## User\n"},)))
    assert "\n`````\na\n````\n## User\n\n`````\n" in export_markdown(hostile)
    assert "Result of `` c`1 ``" in export_markdown(hostile)


def full_of(text: str) -> list[Recorded]:
    """A log with this text wherever a server, a model or a person can put one."""
    return recorded(
        OPENED, ev.UserSaid((Text(text),)), said(ToolCall("c1", text, {text: text}), text=text),
        ev.CallDecided("c1", text, text, text, {"a": text}, "ask", (text,), text),
        ev.Asked("q1", "approval", text, "c1", message=text), ev.Answered("q1", "decline", {"a": text}, reason=text),
        ev.CallFinished("c1", "unknown", True, ({"type": "text", "text": text},), text, reason=text),
        ev.Asked("q2", "form", text, message=text), ev.Compacted(1, text),
        ev.SettingsChanged({text: text}), ev.TurnEnded("failed", error=text), ev.Unknown("x", {"a": text}),
    )  # fmt: skip


@settings(deadline=None)
@given(text=st.text(st.characters() | st.sampled_from('\x1b\x7f\x85\r\n\u2028\u202e"\\'), min_size=1))
def test_a_record_is_one_line_of_printable_ascii_whatever_is_in_it(text):
    lines = export_records(full_of(text)).splitlines()
    assert len(lines) == len(full_of(text))
    for line, item in zip(lines, full_of(text), strict=True):
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line) == json.loads(ev.envelope(item))
        assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def test_a_masked_record_keeps_what_happened_and_not_what_was_said():
    lines = [masked(line) for line in export_records(EVERYTHING).splitlines()]
    assert not [
        line for line in lines for word in ("Ann", "pay", "paid", "On it", "private", "Your", "C-1") if word in line
    ]
    call = json.loads(lines[3])
    assert (call["tool"], call["verdict"], call["rules"]) == ("crm__refund", "ask", ["r1"])
    assert call["arguments"] == {"amount": "⟦number⟧"}
    assert json.loads(lines[1])["parts"] == [{"kind": "text", "text": "⟦text 7⟧"}]


def outline(document: str) -> list[str]:
    """What the document itself is made of; what it quotes lies deeper."""
    return [token.type for token in MarkdownIt().parse(document) if token.level == 0]


@settings(deadline=None)
@given(text=st.text(st.characters() | st.sampled_from("\x1b\x9b\r\n\u202e\u200b`#>|~<-= "), min_size=1))
def test_no_view_lets_a_text_steer_the_terminal_or_leave_its_place(text):
    table, document = show_text(full_of(text)), export_markdown(full_of(text))
    assert not (set(table) | set(document)) & set("\x1b\x9b\r\u202e\u200b")
    assert len(table.splitlines()) == len(table.split("\n")) - 1 == 15
    assert outline(document) == outline(export_markdown(full_of("x")))


def test_a_stored_session_is_loaded_with_its_gaps_and_odd_rows_marked(tmp_path):
    with closing(Log.create(tmp_path, "s1")) as log:
        log.append([(item.event.kind, ev.encode(item.event)) for item in EVERYTHING], AT.format(1))
        log.append([("user_said", b'{"parts":7}'), ("model_said", b"not json")], AT.format(2))
        log.erase(2, "user", "private", AT.format(3))
    items = load(tmp_path, "s1")
    assert [item.event for item in items[2:18]] == [item.event for item in EVERYTHING[2:]]
    assert items[1].event == ev.Unknown("user_said", {"erased": True})
    assert [item.event.kind for item in items[18:20]] == ["user_said", "model_said"]
    assert all("unreadable" in item.event.body for item in items[18:20])
    assert items[20].event == ev.Erased(2, "user", "private")
    assert '{"erased":true}' in show_text(items, True)
    for export in (export_json, export_jsonl, export_markdown):
        assert "pay\\nnow" not in export(items)


def test_the_commands_show_calls_by_server_tool_and_outcome_and_export_every_session(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path))
    for session in ("s1", "s2"):
        with closing(Log.create(tmp_path, session)) as log:
            log.append([(item.event.kind, ev.encode(item.event)) for item in EVERYTHING], AT.format(1))

    def told(*words: str) -> str:
        assert cli.run(parse(["audit", *words])) == 0
        return capsys.readouterr().out

    rows = [json.loads(line) for line in told("show", "--all", "--json", "--tool", "refund").splitlines()]
    assert [(row["session"], row["server"], row["verified"]) for row in rows] == [
        ("s1", "crm", True),
        ("s2", "crm", True),
    ]
    assert told("show", "s1", "--json", "--outcome", "denied") == ""
    assert [line.split()[0] for line in told("show", "s1", "--server", "c*").splitlines()] == [
        "session",
        "4",
        "ask",
        "sent",
    ]
    assert len(told("show", "s1", "--server", "c").splitlines()) == 1
    assert "prompt" in told("show", "s1")
    lines = [json.loads(line) for line in told("export", "--all", "--mask").splitlines()]
    assert [(line["session"], line["seq"]) for line in lines] == [(s, n) for s in ("s1", "s2") for n in range(1, 19)]
    assert told("export", "s1", "--format", "md").startswith("# Session s1\n")
    assert cli.run(parse(["audit", "export", "s1", "--format", "md", "--mask"])) == cli.USAGE


def test_every_outcome_can_be_asked_for():
    assert set(OUTCOMES) == {*get_args(Outcome), "open"}
    assert Only(outcome="open").takes(audit_rows(recorded(OPENED, said(call("c1")), decided("c1", {})))[0])

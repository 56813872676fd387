"""Spans reach a collector on loopback while the program runs, name what the conventions name, and say nothing of what
was said unless that is wished; a collector that fails delays nobody."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playing import call, playing, turns

from host.config import environment
from host.config.telemetry import collector, told

KEY = "otel-canary-0123456789"
ALLOW = '[[rules]]\nid = "all"\nserver = "s"\ntool = "*"\nverdict = "allow"\n'
DENY = '[[rules]]\nid = "never"\nserver = "s"\ntool = "crash"\nverdict = "deny"\n'


@contextmanager
def collecting(status=200):
    """A collector: the address to name, and what was sent to it."""
    sent = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            sent.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def value(wrapped):
    ((kind, plain),) = wrapped.items()
    return (
        [value(each) for each in plain["values"]]
        if kind == "arrayValue"
        else int(plain)
        if kind == "intValue"
        else plain
    )


def spans_in(bodies):
    """The spans of some exports by their names, their attributes plain."""
    found = {}
    for body in bodies:
        for resource in body["resourceSpans"]:
            for span in resource["scopeSpans"][0]["spans"]:
                attributes = {each["key"]: value(each["value"]) for each in span["attributes"]}
                found.setdefault(span["name"], []).append(span | {"attributes": attributes})
    return found


STEPS = turns([call("s__note", "a", text="Mara pays"), call("s__fail", "b"), call("s__crash", "c")], "secret words")


def test_a_run_is_told_as_spans_and_its_servers_know_theirs(tmp_path):
    with collecting() as (url, sent), playing(tmp_path, more=ALLOW + DENY) as home:
        otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{KEY}"}
        result = home.json(STEPS, **otel, OTEL_RESOURCE_ATTRIBUTES="team=crm%20ops")
        exported = home.run("audit", "export", "--format", "otlp").stdout
        metas = {note["call"]: note["meta"] for note in home.calls()}
    assert {(path, headers["authorization"], headers["content-type"]) for path, headers, _ in sent} == {
        ("/v1/traces", f"Bearer {KEY}", "application/json")
    }
    bodies = [body for _, _, body in sent]
    resource = {each["key"]: value(each["value"]) for each in bodies[0]["resourceSpans"][0]["resource"]["attributes"]}
    assert (resource["team"], resource["service.name"]) == ("crm ops", "agent-host")
    spans = spans_in(bodies)
    ((turn,), chats) = spans.pop("invoke_agent default"), spans.pop("chat m")
    (noted,), (failed,), (denied,) = map(spans.pop, ("tools/call note", "tools/call fail", "execute_tool crash"))
    assert spans == {}
    every = [turn, *chats, noted, failed, denied]
    assert len({span["spanId"] for span in every}) == len(every) == 6
    assert {span["traceId"] for span in every} == {turn["traceId"]}
    assert {span.get("parentSpanId") for span in every} == {None, turn["spanId"]}
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in every)
    assert chats[0]["attributes"]["gen_ai.usage.output_tokens"] > 0
    assert chats[0]["attributes"]["gen_ai.response.finish_reasons"] == ["tool_call"]
    assert (chats[0]["kind"], turn["kind"], noted["kind"], denied["kind"]) == (3, 1, 3, 1)
    assert noted["attributes"] | {
        "gen_ai.operation.name": "execute_tool", "mcp.method.name": "tools/call", "gen_ai.tool.name": "note",
        "gen_ai.tool.call.id": "a", "gen_ai.conversation.id": result["session"], "agent_host.server": "s",
        "agent_host.verdict": "allow", "agent_host.rules": ["all"], "agent_host.outcome": "ok",
    } == noted["attributes"]  # fmt: skip
    assert (failed["attributes"]["error.type"], failed["status"]) == ("tool_error", {"code": 2})
    assert denied["attributes"]["error.type"] == "denied"
    for name, span in (("note", noted), ("fail", failed)):
        assert metas[name]["traceparent"] == f"00-{span['traceId']}-{span['spanId']}-01"
    text = json.dumps(bodies)
    assert not [word for word in ("Mara", "secret words", KEY) if word in text]
    same = spans_in([json.loads(exported)])
    assert {span["spanId"] for group in same.values() for span in group} == {span["spanId"] for span in every}
    stored = b"".join(path.read_bytes() for path in home.state.rglob("*") if path.is_file())
    assert KEY.encode() not in stored


def test_with_content_what_was_said_goes_along_and_a_collector_that_refuses_is_told_of_once(tmp_path):
    with collecting(status=400) as (url, sent), playing(tmp_path, more=ALLOW + DENY) as home:
        more = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
        done = home.run("run", STEPS, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{url}/here?key={KEY}", **more)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == f"agent-host: 6 spans did not reach {url}: status 400"
    assert {path for path, _, _ in sent} == {f"/here?key={KEY}"}
    spans = spans_in(body for _, _, body in sent)
    assert "secret words" in spans["chat m"][-1]["attributes"]["gen_ai.output.messages"]
    assert spans["tools/call note"][0]["attributes"]["gen_ai.tool.call.arguments"] == '{"text":"Mara pays"}'
    assert "no such order" in spans["tools/call fail"][0]["attributes"]["gen_ai.tool.call.result"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "off"),
        ({"ENDPOINT": "http://127.0.0.1:4318/"}, "spans go to http://127.0.0.1:4318"),
        ({"ENDPOINT": "http://u:pass@127.0.0.1:4318"}, "spans go to http://127.0.0.1:4318"),
        ({"ENDPOINT": "http://127.0.0.1:4317", "PROTOCOL": "grpc"}, "off, for grpc is not spoken here"),
        ({"ENDPOINT": "127.0.0.1:4317"}, "off, for OTEL_EXPORTER_OTLP_ENDPOINT is no http address"),
    ],
)
def test_only_a_named_collector_that_speaks_http_is_told(monkeypatch, given, wanted):
    for name, text in given.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", text)
    env = environment()
    assert told(env).startswith(wanted)
    assert (collector(env) is None) == wanted.startswith("off")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert collector(environment()) is None

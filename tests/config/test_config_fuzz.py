"""No text, however broken, makes the loader raise anything but ConfigError; and every key is found in its place."""

import tomllib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.config import environment, merge, read_files
from host.config.places import line_of, places
from host.core.errors import ConfigError

SEED = """\
model = "openai/x" # a comment
forbid_bypass = false
[providers.mine]
wire = "responses"
base_url = 'http://127.0.0.1:8080/v1'
models."big one" = { context = 1_000 }
[mcp_servers.crm]
command = "python"
args = ["a", 'b', \"\"\"
[not.a.header]
x = "quoted ""\"""\"\"\", [ "nested", { k = 1 } ],
]
env = { A = "1", "B.c" = "${HOME:-x}" }
tools.get_order = { effect = "read", open = false }
[profiles.p.facts.id]
from = { server = "crm", tool = "t", path = "$.a[0]" }
[[profiles.p.rules]]
server = "crm"
tool = "t"
args = { "$.a" = { max = 5, regex = "^a+$" }, b = { in = [1, "x"] } }
verdict = "allow"
match = [{ a = "aa" }]
[[profiles.p.rules]]
server = "*"
tool = "*"
[profiles.p.rules.args.amount]
min = 3
"""
KEYS = ["mcp_servers", "crm", "rules", "args", "verdict", "profiles", "p", "match", "limits", "facts", "from", "env"]
VALUES = [
    "[]",
    "{}",
    "1",
    "inf",
    "true",
    '"${X"',
    "1979-05-27",
    '"\\u0000"',
    "[[[[]]]]",
    '{a.b = {"c d" = [1]}}',
    "-0.0",
]


@st.composite
def mutated(draw):
    text = SEED
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        new = draw(st.one_of(st.text(max_size=6), st.sampled_from([*KEYS, *VALUES, "\n", "[", '"""', "\r\n", "."])))
        text = text[:start] + new + text[end:]
    return text


@st.composite
def wrong_values(draw):
    """Well-formed lines with right keys in wrong places."""
    path = ".".join(draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=5)))
    return SEED + f"\n[{path}]\n{draw(st.sampled_from(KEYS))} = {draw(st.sampled_from(VALUES))}\n"


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(mutated(), wrong_values()))
def test_nothing_but_config_error_leaves_the_loader(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        merge(read_files(environment(), tmp_path, [path], admin=tmp_path / "none"), environment())
    except ConfigError as error:
        assert all(line.startswith(f"{path}:") for line in str(error).split("\n") if "x.toml" in line)
        assert str(path) in str(error)


def test_depth_is_no_way_out(tmp_path):
    path = tmp_path / "x.toml"
    for depth in (50, 200, 400, 100_000):
        path.write_text('[[rules]]\nserver="*"\ntool="*"\nverdict="deny"\nargs.a.equals = ' + "[" * depth + "]" * depth)
        try:
            read_files(environment(), tmp_path, [path], admin=tmp_path / "none")
        except ConfigError as error:
            assert "nested too deeply" in str(error)


def paths_of(value, at=()):
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*at, key)
        if isinstance(item, dict | list):
            yield from paths_of(item, (*at, key))


@settings(max_examples=250, deadline=None)
@given(mutated())
def test_every_key_that_tomllib_reads_has_a_line_of_its_own(text):
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        return
    found = places(text)
    assert set(paths_of(document)) <= set(found)


def test_the_lines_are_the_right_ones():
    found = places(SEED)
    lines = SEED.split("\n")
    for path, start in {
        ("model",): "model",
        ("providers", "mine", "models", "big one"): "models.",
        ("mcp_servers", "crm", "args"): "args = [",
        ("mcp_servers", "crm", "args", 3): 'x = "quoted',
        ("mcp_servers", "crm", "env", "B.c"): "env",
        ("profiles", "p", "rules", 0, "args", "$.a", "max"): "args = {",
        ("profiles", "p", "rules", 1, "tool"): "tool",
        ("profiles", "p", "rules", 1, "args", "amount"): "[profiles.p.rules.args.amount]",
        ("profiles", "p", "rules", 1, "args", "amount", "min"): "min",
    }.items():
        assert lines[found[path] - 1].startswith(start), path
    assert line_of(found, ("mcp_servers", "crm", "nothing", "here")) == found["mcp_servers", "crm"]

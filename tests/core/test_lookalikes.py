"""Names that look like one another never stand beside each other."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.config import environment, merge, read_files
from host.core.errors import ConfigError
from host.core.lookalikes import alike, server_skeleton, skeleton
from host.core.pins import Pin, Pins, judge
from host.core.settings import ServerConfig
from host.core.types import ToolSpec

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_-", min_size=1, max_size=12)
HIDDEN = st.sampled_from(
    ["\u200b", "\u200d", "\u2060", "\ufeff", "\u202e", "\u2066", "\u00ad", "\u0301", "\ufe0f", "\u3164"]
)


def full_width(c):
    return chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c


@given(NAMES, st.data())
def test_a_disguise_does_not_change_the_skeleton(name, data):
    disguised = ""
    for c in name:
        how = data.draw(st.sampled_from(["same", "case", "wide", "twin", "hidden"]))
        match how:
            case "case":
                disguised += c.swapcase()
            case "wide":
                disguised += full_width(c)
            case "twin":
                disguised += {"o": "о", "e": "е", "a": "а", "c": "с", "i": "і", "0": "O", "1": "l", "l": "I"}.get(c, c)
            case "hidden":
                disguised += c + data.draw(HIDDEN)
            case _:
                disguised += c
    assert skeleton(disguised) == skeleton(name)
    if disguised != name:
        assert alike([name, disguised, "qqq-zzz-quite-another"]) == {name: disguised, disguised: name}
        assert alike([name, disguised], [name]) == {disguised: name}


@given(st.lists(st.text(max_size=8), max_size=8, unique=True), st.randoms())
def test_who_is_refused_does_not_depend_on_the_order_and_those_left_differ(names, random):
    found = alike(names)
    left = [skeleton(name) for name in names if name not in found]
    assert len(left) == len(set(left))
    shuffled = list(names)
    random.shuffle(shuffled)
    assert alike(shuffled).keys() == found.keys()


@given(st.text(max_size=20))
def test_a_skeleton_is_its_own_and_shows_nothing_hidden(name):
    assert all(unicodedata.category(c) not in ("Cf", "Mn") for c in skeleton(name))
    assert server_skeleton("a-b_c") == "abc"


def test_of_two_tools_that_look_alike_the_one_that_was_accepted_stays():
    def tool(name):
        return ToolSpec("", "s", name, digest=Pin.of(name, {"inputSchema": {"type": "object"}}).digest)

    both = [tool("get_order"), tool("gеt_order")]
    new = judge(ServerConfig("s"), Pins(), both)
    assert new.offered == [] and new.alike == {"get_order": "gеt_order", "gеt_order": "get_order"}
    pins = Pins(home={"get_order": Pin.of("get_order", {"inputSchema": {"type": "object"}})})
    assert [t.remote_name for t in judge(ServerConfig("s"), pins, both).offered] == ["get_order"]


@pytest.mark.parametrize(("one", "other"), [("crm", "crrn"), ("web-1", "web_l"), ("git-hub", "github"), ("b0x", "box")])
def test_servers_with_names_alike_are_refused_when_the_files_are_read(tmp_path, monkeypatch, one, other):
    monkeypatch.setenv("AGENT_HOST_HOME", str(tmp_path))
    table = '[mcp_servers.{}]\ncommand = "x"\n'
    (tmp_path / "a.toml").write_text(table.format(one))
    (tmp_path / "b.toml").write_text(table.format(other))
    files = read_files(environment(), tmp_path, [tmp_path / "a.toml", tmp_path / "b.toml"], admin=tmp_path / "none")
    expected = rf"b\.toml:1: mcp_servers\.{other}: looks like {one}, which stands in .*a\.toml:1"
    with pytest.raises(ConfigError, match=expected):
        merge(files, environment())

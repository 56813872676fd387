"""Finding tools by words: what is named comes first, what is close comes before what is far, and nothing is random."""

from hypothesis import given
from hypothesis import strategies as st

from host.core.catalog import exposed_names
from host.core.search import Index, stem, terms
from host.core.types import ToolSpec


def spec(server, name, description="", **properties):
    schema = {"type": "object", "properties": properties}
    exposed = exposed_names([(server, name)])[server, name]
    return ToolSpec(exposed, server, name, description, schema, digest=f"{server}/{name}/{description}")


SHOP = [
    spec("shop", "find_order", "Find an order by its number.", number={"type": "string"}),
    spec("shop", "issueRefund", "Give money back for an order.", amount={"description": "How much, in euro."}),
    spec("shop", "cancel_order", "Cancel an order that has not left yet."),
    spec("files", "write_file", "Write a text to a file.", path={}, text={}),
    spec("files", "read_file", "Read a file, whole or in part.", path={}),
    spec("maps", "geocode_address", "Coordinates of an address.", address={}),
    spec("trains", "get-tickets", "查询余票信息"),
]
ABOUT = {"shop": "Orders and refunds of a web shop", "files": "The local file system", "maps": "Places and routes"}
WORDS = ["order", "file", "read", "refund", "write", "address", "list", "pay", "text", "查询"]
NAMES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([f"{x}_{y}" for x in WORDS[:6] for y in WORDS[3:9]])),
    min_size=1,
    max_size=40,
    unique=True,
)
QUERY = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def names(found):
    return [each.name for each in found.specs]


def test_the_words_of_a_tool_find_it_wherever_they_stand():
    index = Index(SHOP, ABOUT)
    assert names(index.search("give money back"))[0] == "shop__issueRefund"
    assert names(index.search("issue a refund"))[0] == "shop__issueRefund"
    assert names(index.search("euros"))[0] == "shop__issueRefund"
    assert names(index.search("writing files"))[0] == "files__write_file"
    assert names(index.search("route between places"))[0] == "maps__geocode_address"
    assert names(index.search("查询"))[0] == "trains__get-tickets"
    assert names(index.search("weather")) == []
    assert names(index.search("")) == []
    assert names(Index([]).search("order")) == []


def test_a_word_in_the_name_counts_more_than_one_in_the_description():
    index = Index([spec("a", "look", "Send a mail."), spec("a", "send", "Look at a mail."), spec("a", "x", "other")])
    assert names(index.search("send a mail")) == ["a__send", "a__look"]


def test_a_server_restricts_by_its_name_and_helps_by_other_words():
    index = Index(SHOP, ABOUT)
    assert set(names(index.search("anything at all", "files"))) == {"files__write_file", "files__read_file"}
    assert names(index.search("read", "Files"))[0] == "files__read_file"
    assert names(index.search("find", "order desk"))[0] == "shop__find_order"
    assert names(index.search("shop__find_order", "files"))[0] != "shop__find_order"


def test_what_does_not_fit_is_counted():
    many = [spec("s", f"list_{n}", "List things.") for n in range(30)]
    found = Index(many).search("list things", k=8)
    assert (len(found.specs), found.more) == (8, 22)


def test_what_is_offered_takes_no_place():
    many = [spec("s", f"list_{n}", "List things.") for n in range(30)]
    index = Index(many)
    first = names(index.search("list things", k=5))
    second = names(index.search("list things", k=5, offered=first))
    assert second[:5] == first
    assert len(set(second) - set(first)) == 5


@given(NAMES, st.data(), QUERY)
def test_an_exact_name_is_always_first(pairs, data, query):
    specs = [spec(server, name, "about " + name) for server, name in pairs]
    index = Index(specs)
    wanted = data.draw(st.sampled_from(specs))
    assert names(index.search(wanted.name))[0] == wanted.name
    assert names(index.search(f"{query} {wanted.name} {query}"))[0] == wanted.name
    assert index.search(wanted.remote_name.upper()).specs[0].remote_name == wanted.remote_name


@given(NAMES, QUERY, st.integers(1, 12), st.sampled_from([None, "a", "nowhere"]))
def test_more_places_only_add_and_the_order_is_stable(pairs, query, k, server):
    specs = [spec(server, name) for server, name in pairs]
    index = Index(specs)
    found = index.search(query, server, k)
    assert names(found) == names(Index(specs).search(query, server, k))
    assert names(index.search(query, server, k + 1))[: len(found.specs)] == names(found)
    assert len(found.specs) <= k
    assert len(found.specs) + found.more == len(index.search(query, server, 1000).specs)


@given(NAMES, NAMES, QUERY)
def test_an_index_built_upon_another_is_as_good_as_a_new_one(before, after, query):
    old = [spec(server, name, "old") for server, name in before]
    new = [spec(server, name, "new" if name < "p" else "old") for server, name in after]
    upon = Index(new, {"a": "orders"}, Index(old, {"a": "files"}))
    fresh = Index(new, {"a": "orders"})
    assert names(upon.search(query)) == names(fresh.search(query))
    assert upon.keys == fresh.keys


@given(st.text(max_size=60))
def test_any_text_has_terms_and_any_query_an_answer(text):
    assert all(term and term == term.lower() for term in terms(text))
    Index(SHOP, {"shop": text}).search(text, text)


def test_identifiers_fall_apart_and_endings_go():
    assert terms("getHTTPResponse_codes v2") == ["get", "http", "respons", "cod", "v", "2"]
    assert terms("listing lists listed list") == ["list"] * 4
    assert stem("queries") == stem("query")
    assert stem("files") == stem("file")
    assert terms("the files of a server") == ["fil", "server"]
    assert terms("余票信息") == ["余票", "票信", "信息"]


def test_parameters_inside_objects_and_lists_count():
    inside = {"type": "array", "items": {"type": "object", "properties": {"iban": {"description": "bank account"}}}}
    index = Index([spec("a", "pay", "", order=inside), spec("a", "other")])
    assert names(index.search("iban")) == ["a__pay"]
    assert names(index.search("bank")) == ["a__pay"]
    odd = [spec("a", "odd", x=3, y={"properties": 4}, z={"items": [1]}), spec("a", "bad")]
    odd[1].input_schema["properties"] = [1]
    assert names(Index(odd).search("odd")) == ["a__odd"]

"""Arguments against schemas, also hostile ones: bounded, offline, and with a message that helps."""

import anyio
import pytest

from host.core.schema import arguments_problem, schema_problem, unenforced

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    },
    "required": ["id"],
    "additionalProperties": False,
}


def doubling(levels):
    definitions = {"d0": {"type": "string"}}
    for n in range(1, levels + 1):
        definitions[f"d{n}"] = {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}, {"$ref": f"#/$defs/d{n - 1}"}]}
    return {"$defs": definitions, "$ref": f"#/$defs/d{levels}"}


def test_arguments_that_fit_have_no_problem():
    assert arguments_problem(ORDER, {"id": 1, "items": [{"sku": "a"}]}) is None
    assert arguments_problem({}, {"anything": None}) is None


@pytest.mark.parametrize(
    ("arguments", "path", "said"),
    [
        ({"id": "1"}, "$.id", "integer"),
        ({"id": 1, "items": [{"sku": "a"}, {"sku": 2}]}, "$.items[1].sku", "string"),
        ({}, "$", '"id" is a required property'),
        ({"id": 1, "extra": 1}, "$", "'extra' was unexpected"),
        ({"id": True}, "$.id", "integer"),
        ({"id": "\ud800"}, "", "cannot be checked"),
    ],
)
def test_the_message_names_the_path_and_what_is_wrong(arguments, path, said):
    problem = arguments_problem(ORDER, arguments)
    assert problem is not None
    assert problem.startswith(path)
    assert said in problem


def test_the_message_is_short_and_does_not_repeat_the_value():
    problem = arguments_problem(ORDER, {"id": "secret" * 10_000})
    assert problem == '$.id: the value is not of type "integer"'
    assert len(arguments_problem(ORDER, {"id": 1} | {f"extra{n}": 1 for n in range(200)})) <= 300


def test_the_dialect_is_the_one_the_schema_names():
    tuple_items = {"items": [{"type": "integer"}], "additionalItems": False}
    seventh = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": tuple_items}}
    assert arguments_problem(seventh, {"a": [1, 2]}) is not None
    assert arguments_problem({"properties": {"a": {"prefixItems": [{"type": "integer"}]}}}, {"a": ["x"]}) is not None
    assert arguments_problem({"$schema": "https://example.org/own", "type": "object"}, {}) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "http://127.0.0.1:9/schema"}, "refers outside itself"),
        ({"$ref": "file:///etc/passwd"}, "refers outside itself"),
        ({"$ref": "#/$defs/absent"}, "does not compile"),
        ({"type": "wat"}, "does not compile"),
        ({"description": "x" * 70_000}, "at most 65536"),
        ({"enum": list(range(200_000))}, "at most 65536"),
        (doubling(25), "branches more than 1000 ways"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema, why):
    assert why in (schema_problem(schema) or "")
    assert why in (arguments_problem(schema, {}) or "")


def test_a_deep_schema_is_refused_and_a_recursive_one_is_not():
    deep = {}
    for _ in range(60):
        deep = {"properties": {"a": deep}}
    assert "deeper than 50" in (schema_problem(deep) or "")
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    assert schema_problem(tree) is None
    assert arguments_problem(tree, {"left": {"right": 3}}) == '$.left.right: the value is not of type "object"'
    assert schema_problem({"$ref": "#"}) is None


def test_patterns_run_in_linear_time_and_those_that_cannot_are_named():
    async def main():
        with anyio.fail_after(5):
            await anyio.to_thread.run_sync(
                lambda: arguments_problem({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 50_000 + "b"})
            )

    anyio.run(main)
    ahead = {"properties": {"a": {"type": "string", "pattern": "^(?=x)"}}}
    assert schema_problem(ahead) is None
    assert unenforced(ahead) == ("^(?=x)",)
    assert arguments_problem(ahead, {"a": "y"}) is None
    assert arguments_problem(ahead, {"a": 1}) is not None
    keys = {"patternProperties": {"^(?!x)": {"type": "integer"}}, "additionalProperties": False}
    assert arguments_problem(keys, {"a": 1}) is None
    assert unenforced({"const": {"pattern": "(?=x)"}}) == ()

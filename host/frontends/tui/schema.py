"""A form's JSON Schema as fields, and what a person typed as values: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

Kind = Literal["string", "number", "integer", "boolean", "one", "many"]


class Invalid(Exception):
    """A value that the field does not take; its text says what would be taken."""


@dataclass(frozen=True, slots=True)
class Field:
    """One question of a form. `choices` are (value, title)."""

    name: str
    kind: Kind
    required: bool
    title: str
    description: str
    default: Any
    rules: Mapping[str, Any]
    choices: tuple[tuple[Any, str], ...] = ()

    @property
    def hint(self) -> str:
        """What the schema asks for, in words."""
        low, high = _bounds(self)
        words: list[str] = [self.kind] if self.kind in ("number", "integer") else []
        if "format" in self.rules:
            words.append(str(self.rules["format"]))
        if low is not None and high is not None:
            words.append(f"{low} to {high}{_unit(self)}")
        elif low is not None:
            words.append(f"at least {low}{_unit(self)}")
        elif high is not None:
            words.append(f"at most {high}{_unit(self)}")
        return " · ".join(words)


def fields(schema: Mapping[str, Any]) -> list[Field]:
    """The fields of an object schema, in its order. A property of a shape that no form has is asked as text."""
    required = schema.get("required") or []
    properties = schema.get("properties") or {}
    return [
        _field(str(name), rules if isinstance(rules, Mapping) else {}, name in required)
        for name, rules in properties.items()
    ]


def _field(name: str, rules: Mapping[str, Any], required: bool) -> Field:
    kind: Kind = rules["type"] if rules.get("type") in ("number", "integer", "boolean") else "string"
    choices = _choices(rules)
    if choices:
        kind = "one"
    elif rules.get("type") == "array":
        choices, kind = _choices(rules.get("items") or {}), "many"
    title = str(rules.get("title") or name)
    return Field(name, kind, required, title, str(rules.get("description") or ""), rules.get("default"), rules, choices)


def _choices(rules: Mapping[str, Any]) -> tuple[tuple[Any, str], ...]:
    """The choices of an enumeration in any of its spellings: enum (with enumNames), oneOf or anyOf of const."""
    if isinstance(values := rules.get("enum"), list):
        names = rules.get("enumNames") or values
        return tuple((v, str(n)) for v, n in zip(values, names, strict=False))
    options = rules.get("oneOf") or rules.get("anyOf") or []
    return tuple(
        (o["const"], str(o.get("title", o["const"]))) for o in options if isinstance(o, Mapping) and "const" in o
    )


def read(field: Field, given: Any) -> Any:
    """The value of what was given: a text, a bool, a choice or a list of choices. None is: left out.
    Raises Invalid."""
    if field.kind == "boolean":
        return bool(given)
    if given in (None, "", []):
        if field.required and not (field.kind == "many" and not field.rules.get("minItems")):
            raise Invalid("required")
        return [] if field.kind == "many" and field.required else None
    value = _number(field, str(given)) if field.kind in ("number", "integer") else given
    _check_bounds(field, value)
    if field.kind == "string":
        _check_text(field, str(value))
    return value


def _number(field: Field, text: str) -> float | int:
    try:
        return int(text) if field.kind == "integer" or re.fullmatch(r"[+-]?\d+", text.strip()) else float(text)
    except ValueError:
        raise Invalid("a whole number" if field.kind == "integer" else "a number") from None


def _bounds(field: Field) -> tuple[Any, Any]:
    names = {"string": ("minLength", "maxLength"), "many": ("minItems", "maxItems")}.get(
        field.kind, ("minimum", "maximum")
    )
    return field.rules.get(names[0]), field.rules.get(names[1])


def _unit(field: Field) -> str:
    return {"string": " characters", "many": " choices"}.get(field.kind, "")


def _check_bounds(field: Field, value: Any) -> None:
    low, high = _bounds(field)
    size = len(value) if field.kind in ("string", "many") else value
    if isinstance(size, (int, float)) and low is not None and size < low:
        raise Invalid(f"at least {low}{_unit(field)}")
    if isinstance(size, (int, float)) and high is not None and size > high:
        raise Invalid(f"at most {high}{_unit(field)}")


def _check_text(field: Field, text: str) -> None:
    """Formats are checked as far as a person may mistype them; the host validates the whole answer again."""
    match field.rules.get("format"):
        case "date":
            _parsed(date.fromisoformat, text, "a date such as 2026-11-24")
        case "date-time":
            _parsed(datetime.fromisoformat, text, "a date and time such as 2026-11-24T09:30:00Z")
        case "email" if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
            raise Invalid("an e-mail address")
        case "uri" if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
            raise Invalid("an address such as https://…")


def _parsed(parse: Any, text: str, wanted: str) -> None:
    try:
        parse(text)
    except ValueError:
        raise Invalid(wanted) from None

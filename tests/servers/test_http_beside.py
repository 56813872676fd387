"""What a server at an address has besides tools."""

from functools import partial

import pytest
from noting import NOTES, a_person_is_asked_before_it_is_given, changes_are_told, everything_besides_tools
from serving import run
from web import Web

ERAS = pytest.mark.parametrize("era", ["modern", "legacy"])


@ERAS
def test_http_lists_completion_and_instructions(era: str) -> None:
    web = Web(era, program=NOTES)
    try:
        run(partial(everything_besides_tools, web.config("notes")))
    finally:
        web.close()


@ERAS
def test_http_what_changes_is_told_and_listed_anew(era: str) -> None:
    web = Web(era, program=NOTES)
    try:
        run(partial(changes_are_told, web.config("notes")))
    finally:
        web.close()


def test_http_a_person_is_asked_before_a_resource_or_a_prompt_is_given() -> None:
    web = Web("modern", program=NOTES)
    try:
        run(partial(a_person_is_asked_before_it_is_given, web.config("notes")))
    finally:
        web.close()

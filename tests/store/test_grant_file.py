"""grants.json: read, written by several, edited by hand, and never trusted further than it is sound."""

import json
from dataclasses import replace

import pytest

from host.core.errors import StoreError
from host.core.types import Grant, canonical
from host.store.grants import GrantFile

EXACT = Grant("crm", "add_note", "d1", canonical({"note": "ü", "to": None}), "project", "i1", "/srv/p", "2026-11-22")
WHEN = Grant("crm", "add_note", "d1", {"amount": {"max": 50}}, "me", "i1", at="2026-11-22")


def test_grants_are_kept_read_by_others_and_taken_back(tmp_path):
    mine, theirs = GrantFile(tmp_path / "home"), GrantFile(tmp_path / "home")
    assert mine.read() == ()
    mine.add(EXACT)
    theirs.add(WHEN)
    theirs.add(replace(WHEN, at="2026-11-23"))
    assert mine.read() == theirs.read() == (EXACT, replace(WHEN, at="2026-11-23"))
    assert mine.path.stat().st_mode & 0o777 == 0o600
    assert mine.take_back(EXACT.id)
    assert not mine.take_back(EXACT.id)
    assert [grant.id for grant in theirs.read()] == [WHEN.id]


def test_a_person_may_edit_the_file(tmp_path):
    file = GrantFile(tmp_path)
    file.add(WHEN)
    file.path.write_text(file.path.read_text().replace("50", "40"))
    assert file.read()[0].arguments == {"amount": {"max": 40}}
    file.path.write_text("")
    assert file.read() == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"for": "session"}, "for is"),
        ({"for": "project"}, "project is missing"),
        ({"digest": ""}, "digest is missing"),
        ({"identity": None}, "identity is a text"),
        ({"when": {}}, "objects"),
        ({"when": {"amount": {"most": 3}}}, "unknown condition"),
        ({"exact": {}}, "either exact or when"),
        ({"tools": "*"}, "unknown key tools"),
    ],
)
def test_one_entry_that_is_not_sound_and_the_file_grants_nothing(tmp_path, change, said):
    file = GrantFile(tmp_path)
    file.add(WHEN)
    (entry,) = json.loads(file.path.read_text())
    file.path.write_text(json.dumps([entry, entry | change]))
    with pytest.raises(StoreError, match=f"entry 2: .*{said}"):
        file.read()


def test_a_file_that_is_damaged_a_link_or_writable_by_others_grants_nothing(tmp_path):
    file = GrantFile(tmp_path)
    file.add(WHEN)
    file.path.chmod(0o662)
    with pytest.raises(StoreError, match="others may write"):
        file.read()
    file.path.chmod(0o600)
    whole = file.path.read_text()
    for text in (whole[:-5], "{}", "[" * 100_000):
        file.path.write_text(text)
        with pytest.raises(StoreError, match="grants nothing"):
            file.read()
    elsewhere = file.path.rename(tmp_path / "elsewhere")
    file.path.symlink_to(elsewhere)
    with pytest.raises(StoreError):
        file.read()

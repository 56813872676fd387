"""Model profiles: the user's word, then the table's, then safe defaults; and what an answer costs."""

import pytest

from host.core.settings import ModelProfile, ProviderConfig
from host.core.types import Usage
from host.providers.profiles import FAMILIES, MODELS, priced, profile

OPENAI = ProviderConfig("openai", "responses")


def test_a_model_nobody_knows_gets_safe_defaults() -> None:
    assert profile(OPENAI, "my-own-model") == ModelProfile()


@pytest.mark.parametrize("name", ["gpt-5-mini", "openai/gpt-5-mini", "gpt-5-mini-2025-08-07"])
def test_vendor_and_snapshot_date_do_not_matter(name: str) -> None:
    assert profile(OPENAI, name) == MODELS["gpt-5-mini"]


def test_a_new_member_of_a_family_has_its_abilities_and_nobody_elses_price() -> None:
    found = profile(OPENAI, "gpt-5-enormous")
    assert (found.reasoning, found.images) == ("encrypted", True)
    assert (found.price_in, found.price_out) == (0.0, 0.0)
    assert all(family.price_in == 0.0 for _, family in FAMILIES)


def test_the_users_word_wins_key_by_key() -> None:
    config = ProviderConfig("mine", "responses", models={"gpt-5": {"price_in": 9.0, "context": 1000, "images": None}})
    found = profile(config, "gpt-5")
    assert (found.price_in, found.context) == (9.0, 1000)
    assert (found.price_out, found.images) == (MODELS["gpt-5"].price_out, True)


def test_cached_tokens_are_counted_once_and_at_their_own_price() -> None:
    usage = Usage(input=1_000_000, output=100_000, cache_read=400_000, cache_write=100_000)
    known = ModelProfile(price_in=2.0, price_out=10.0, price_cache_read=0.5, price_cache_write=3.0)
    assert priced(usage, known).usd == pytest.approx(0.5 * 2 + 0.4 * 0.5 + 0.1 * 3 + 0.1 * 10)
    unknown = ModelProfile(price_in=2.0, price_out=10.0)
    assert priced(usage, unknown).usd == pytest.approx(1.0 * 2 + 0.1 * 10)

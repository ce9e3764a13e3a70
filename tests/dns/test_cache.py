"""The cache of answers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import DNS_CACHE_TTL, DNS_NEGATIVE_TTL
from mox.dns.base import Answer, Kind, NotFound, Record
from mox.dns.cache import Cache
from mox.dns.resolvconf import ResolverSettings, parse_resolv_conf


def answer(ttl: int, *texts: bytes) -> Answer[Record]:
    return Answer(records=texts or (b"x",), name="a.example", authentic=True, ttl=ttl)


KEY = ("a.example", Kind.TXT)


def test_nothing_is_given_out_after_its_time() -> None:
    cache = Cache()
    cache.put(KEY, answer(10), 100.0)
    found = cache.get(KEY, 109.5)
    assert isinstance(found, Answer)
    assert found.ttl == 0
    assert cache.get(KEY, 110.0) is None
    assert len(cache) == cache.size == 0


@pytest.mark.rfc("1035 §3.2.1")
def test_a_ttl_of_zero_is_not_kept() -> None:
    cache = Cache()
    cache.put(KEY, answer(10), 0.0)
    cache.put(KEY, answer(0), 1.0)  # the newer answer replaces the older all the same
    assert cache.get(KEY, 1.0) is None


def test_long_times_are_cut() -> None:
    cache = Cache()
    cache.put(KEY, answer(2**31 - 1), 0.0)
    assert cache.has(KEY, DNS_CACHE_TTL - 1.0)
    assert not cache.has(KEY, float(DNS_CACHE_TTL))
    cache.put(KEY, NotFound(ttl=2**31 - 1, is_nxdomain=True, name="a.example"), 0.0)
    found = cache.get(KEY, 1.0)
    assert isinstance(found, NotFound)
    assert found.is_nxdomain
    assert found.fields == {"name": "a.example"}
    assert found.ttl == DNS_NEGATIVE_TTL - 1
    assert not cache.has(KEY, float(DNS_NEGATIVE_TTL))


def test_an_absence_is_a_fresh_exception_each_time() -> None:
    cache = Cache()
    cache.put(KEY, NotFound(ttl=9), 0.0)
    assert cache.get(KEY, 0.0) is not cache.get(KEY, 0.0)


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache(entries=2)
    for name in ("a", "b"):
        cache.put((name, Kind.TXT), answer(9), 0.0)
    assert cache.get(("a", Kind.TXT), 0.0) is not None
    cache.put(("c", Kind.TXT), answer(9), 0.0)
    assert not cache.has(("b", Kind.TXT), 0.0)
    assert cache.has(("a", Kind.TXT), 0.0)


def test_what_is_larger_than_all_is_not_kept() -> None:
    cache = Cache(bytes_max=5000)
    cache.put(KEY, answer(9, b"x" * 6000), 0.0)
    assert len(cache) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 20), st.integers(0, 3000), st.booleans()),
        max_size=60,
    )
)
def test_it_never_grows_beyond_its_limits(steps: list[tuple[int, int, int, bool]]) -> None:
    cache = Cache(entries=5, bytes_max=6000)
    for now, (name, ttl, size, is_answer) in enumerate(steps):
        key = (str(name), Kind.TXT)
        cache.put(key, answer(ttl, b"x" * size) if is_answer else NotFound(ttl=ttl), float(now))
        assert len(cache) <= 5
        assert 0 <= cache.size <= 6000
        found = cache.get(key, float(now))
        assert (found is None) == (ttl == 0 or (is_answer and size + 600 > 6000))
    cache.clear()
    assert len(cache) == cache.size == 0


def test_settings_of_the_system() -> None:
    text = """
# comment
; another
nameserver 192.0.2.53
nameserver nonsense
nameserver 2001:db8::53
search example.org
options ndots:1 trust-ad
nameserver 127.0.0.1
nameserver 127.0.0.2
nameserver
"""
    settings = parse_resolv_conf(text)
    assert settings.servers == ("192.0.2.53", "2001:db8::53", "127.0.0.1")
    assert settings.trust_ad
    assert settings.is_trusted


def test_only_loopback_is_trusted_unasked() -> None:
    assert parse_resolv_conf("") == ResolverSettings(servers=("127.0.0.1",))
    assert parse_resolv_conf("nameserver 127.0.0.53\nnameserver ::1").is_trusted
    assert not parse_resolv_conf("nameserver 127.0.0.53\nnameserver 192.0.2.1").is_trusted
    assert ipaddress.ip_address(parse_resolv_conf("").servers[0]).is_loopback

"""Organisational domains."""

import pytest

from mox.mailauth.publicsuffix import (
    ListedSuffixes,
    is_public_suffix,
    is_same_organization,
    listed,
)

JP = ListedSuffixes(["com", "jp", "*.hokkaido.jp", "!pref.hokkaido.jp", "公司.cn", "cn"])


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("foo.bar.hokkaido.jp", "foo.bar.hokkaido.jp"),
        ("baz.foo.bar.hokkaido.jp", "foo.bar.hokkaido.jp"),
        ("bar.hokkaido.jp", "bar.hokkaido.jp"),
        ("pref.hokkaido.jp", "pref.hokkaido.jp"),
        ("foo.pref.hokkaido.jp", "pref.hokkaido.jp"),
        ("WwW.EXAMPLE.Com", "example.com"),
        ("com", "com"),
        ("www.example.unlisted", "example.unlisted"),
        ("www.食狮.公司.cn", "食狮.公司.cn"),
        ("www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
    ],
)
def test_rules(domain: str, expected: str) -> None:
    assert JP.organizational(domain) == expected


@pytest.mark.rfc("7489 §3.2")
def test_the_list_that_comes_with_the_package() -> None:
    suffixes = listed()
    assert suffixes.organizational("a.b.example.co.uk") == "example.co.uk"
    assert suffixes.organizational("co.uk") == "co.uk"
    assert suffixes.organizational("www.ck") == "www.ck"
    assert suffixes.organizational("a.b.c.ck") == "b.c.ck"
    # private section: somebody's own wish, not a registry's (erratum 6729)
    assert suffixes.organizational("someone.github.io") == "github.io"
    assert listed() is suffixes


def test_odd_names_map_to_themselves() -> None:
    assert listed().organizational("") == ""
    assert listed().organizational("a..b") == "a..b"


def test_suffixes() -> None:
    suffixes = listed()
    assert is_public_suffix(suffixes, "com")
    assert is_public_suffix(suffixes, "CO.UK")
    assert not is_public_suffix(suffixes, "example.com")
    assert not is_public_suffix(suffixes, "www.ck")


@pytest.mark.rfc("7489 §3.1.1")
def test_the_same_organization() -> None:
    suffixes = listed()
    assert is_same_organization(suffixes, "a.example.com", "b.Example.com")
    assert is_same_organization(suffixes, "com", "COM")
    assert not is_same_organization(suffixes, "example.com", "com")
    assert not is_same_organization(suffixes, "a.example.com", "example.org")

from mox.base.clock import FrozenClock
from mox.base.limits import PASSWORD_CACHE_S
from mox.runtime.passwordcache import PasswordCache


def test_only_the_very_same_check_is_known() -> None:
    cache = PasswordCache(FrozenClock())
    assert not cache.knows("me", "stored", "password")
    cache.remember("me", "stored", "password")
    assert cache.knows("me", "stored", "password")
    for account, stored, password in [
        ("you", "stored", "password"),
        ("me", "changed", "password"),
        ("me", "stored", "passwore"),
        ("me", "storedp", "assword"),  # the parts do not run together
        ("mes", "tored", "password"),
        ("me", "stored", ""),
    ]:
        assert not cache.knows(account, stored, password)


def test_everything_is_forgotten_after_a_while() -> None:
    clock = FrozenClock()
    cache = PasswordCache(clock)
    cache.remember("me", "stored", "password")
    clock.advance(PASSWORD_CACHE_S - 1)
    cache.remember("you", "stored", "password")
    assert cache.knows("me", "stored", "password")
    clock.advance(1)
    assert not cache.knows("me", "stored", "password")
    assert not cache.knows("you", "stored", "password")
    assert len(cache) == 0


def test_the_size_is_bounded_and_the_oldest_go_first() -> None:
    cache = PasswordCache(FrozenClock(), size=3)
    for number in range(5):
        cache.remember("me", "stored", f"password {number}")
        cache.remember("me", "stored", f"password {number}")
    assert len(cache) == 3
    known = [number for number in range(5) if cache.knows("me", "stored", f"password {number}")]
    assert known == [2, 3, 4]


def test_a_password_of_any_characters_can_be_asked_for() -> None:
    cache = PasswordCache(FrozenClock())
    cache.remember("me", "stored", "\udcff\0")
    assert cache.knows("me", "stored", "\udcff\0")
    assert not cache.knows("me", "stored", "\udcfe\0")


def test_no_password_can_be_read_from_it() -> None:
    cache = PasswordCache(FrozenClock())
    cache.remember("me", "stored", "a secret thing")
    kept = b"".join(cache._known)
    assert len(kept) == 32
    other = PasswordCache(FrozenClock())
    other.remember("me", "stored", "a secret thing")
    assert kept != b"".join(other._known)  # a key of its own

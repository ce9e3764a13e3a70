import secrets
import time

import msgspec
import pytest

from mox.base.errors import Malformed
from mox.sasl.prepare import decode_username, prepare_password
from mox.sasl.secretset import NOBODY, Cost, PasswordUnfit, SecretSet, derive, verify_hash

CHEAP = Cost(passes=1, memory_kib=8, lanes=1)


def test_the_password_itself_is_in_none_of_the_stored_forms(mox_secrets: SecretSet) -> None:
    stored = msgspec.msgpack.encode(mox_secrets)
    assert b"moxmoxmox" not in stored
    assert msgspec.msgpack.decode(stored, type=SecretSet) == mox_secrets


def test_only_the_password_verifies(mox_secrets: SecretSet) -> None:
    assert mox_secrets.verify_password("moxmoxmox")
    for wrong in ("", "moxmoxmo", "moxmoxmoxx", "MOXMOXMOX", "mox\0", "x" * 2000):
        assert not mox_secrets.verify_password(wrong)


def test_iterations_and_salts(mox_secrets: SecretSet) -> None:
    assert mox_secrets.scram_sha1.iterations == 8192
    assert mox_secrets.scram_sha256.iterations == 4096
    other = derive("moxmoxmox", secrets.token_bytes, cost=CHEAP)
    assert other.password_hash != mox_secrets.password_hash
    assert other.scram_sha1.salt != mox_secrets.scram_sha1.salt
    assert mox_secrets.scram("sha512") is None


@pytest.mark.rfc("8265 §4.2")
def test_passwords_are_prepared() -> None:
    assert prepare_password("a\u00a0b") == "a b"
    assert prepare_password("o\u0308") == "\u00f6"
    assert prepare_password("\u00dfA") == "\u00dfA"
    for bad in ("", "a\nb", "a\x00b", "x" * 1025, "\ud800"):
        with pytest.raises(Malformed):
            prepare_password(bad)


@pytest.mark.parametrize("password", ["", "short12", "x" * 1025, "with\ttabulator"])
def test_unfit_passwords_are_refused(password: str) -> None:
    with pytest.raises(PasswordUnfit):
        derive(password, secrets.token_bytes, cost=CHEAP)


def test_a_damaged_hash_matches_nothing() -> None:
    for damaged in ("", "x", "$argon2id$v=19$m=8,t=1,p=1$$"):
        assert not verify_hash(damaged, "moxmoxmox")


def test_nobody_takes_as_long_as_somebody() -> None:
    somebody = derive("moxmoxmox", secrets.token_bytes)
    start = time.process_time()
    assert not somebody.verify_password("wrongwrong")
    middle = time.process_time()
    assert not NOBODY.verify_password("moxmoxmox")
    end = time.process_time()
    assert end - middle > (middle - start) / 4
    assert NOBODY.scram("sha1") is None
    assert NOBODY.cram_md5() is None


def test_user_names() -> None:
    assert decode_username("mo\u0301x@localhost".encode()) == "m\u00f3x@localhost"
    for bad in (b"", b"\xff", b"a\0b", b"x" * 513):
        with pytest.raises(Malformed):
            decode_username(bad)

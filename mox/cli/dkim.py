"""``mox dkim``: keys, signatures and their records.    RFC 6376, RFC 8463."""

import sys
from typing import TYPE_CHECKING, BinaryIO

import click
import msgspec

from mox.base.errors import MoxError, Refused
from mox.cli.dns import quote_text
from mox.cli.group import LazyGroup
from mox.cli.lookup import (
    ask,
    dnssec,
    domain_name,
    print_fields,
    printable,
    resolver_option,
)
from mox.cli.setting import json_option, print_json
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.mailauth.dkim.keyrecord import KeyRecord
    from mox.mailauth.dkim.sign import PrivateKey
    from mox.mailauth.dkim.verify import Result

_RSA_BITS = 2048  # the most that fits a DNS answer by UDP with room to spare; RFC 8301 §3.2

dkim = LazyGroup(
    name="dkim",
    help="Make DKIM keys, look up their records, verify and sign messages.",
    table={
        "lookup": "mox.cli.dkim:dkim_lookup",
        "txt": "mox.cli.dkim:txt",
        "verify": "mox.cli.dkim:verify",
        "sign": "mox.cli.dkim:sign",
        "gened25519": "mox.cli.dkim:gened25519",
        "genrsa": "mox.cli.dkim:genrsa",
    },
)


def _selector(text: str) -> str:
    """An argument that is a selector, in lower case."""
    from mox.mailauth.dkim.signature import selector_value

    try:
        return selector_value(text.encode("utf-8", "replace"))
    except MoxError as error:
        raise click.BadParameter(f"{text!r} is not a selector") from error


class KeyLine(msgspec.Struct, frozen=True, kw_only=True):
    """A key record for people and programs."""

    record: str
    kind: str
    bits: int | None = None  # of an RSA key
    hashes: tuple[str, ...] = ()  # empty: all
    services: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    notes: str = ""
    problem: str = ""  # why the key cannot be used
    authentic: bool | None = None  # None: it was not looked up


class SignatureLine(msgspec.Struct, frozen=True, kw_only=True):
    """A result for people and programs; without a domain where the signature cannot be read."""

    status: str
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    key_bits: int | None = None  # of an RSA key
    authentic: bool | None = None  # None: no key record was used
    reason: str = ""


def key_line(record: "KeyRecord", authentic: bool | None = None) -> KeyLine:
    """What there is to say of a key record."""
    from mox.mailauth.dkim.keyrecord import BadKey, format_record, load_key

    bits, problem = None, ""
    try:
        bits = getattr(load_key(record), "key_size", None)  # Ed25519 keys have no other size
    except BadKey as error:
        problem = error.public
    return KeyLine(
        record=format_record(record),
        kind=record.kind,
        bits=bits,
        hashes=record.hashes,
        services=record.services,
        flags=record.flags,
        notes=record.notes,
        problem=problem,
        authentic=authentic,
    )


def signature_line(result: "Result") -> SignatureLine:
    """What there is to say of a signature."""
    signature = result.signature
    return SignatureLine(
        status=result.status.value,
        domain=signature.domain if signature else "",
        selector=signature.selector if signature else "",
        algorithm=signature.algorithm if signature else "",
        key_bits=result.key_bits,
        authentic=None if result.record is None else result.authentic,
        reason=result.reason,
    )


def signature_text(line: SignatureLine) -> str:
    """The same as one line of text."""
    text = line.status
    if line.domain:
        text += f" d={line.domain} s={line.selector} a={line.algorithm}"
    if line.authentic is not None:
        bits = f"{line.key_bits} bits, " if line.key_bits else ""
        text += f" ({bits}{dnssec(line.authentic)})"
    return printable(f"{text}: {line.reason}" if line.reason else text)


@click.command("lookup")
@click.argument("selector", type=_selector)
@click.argument("domain", type=domain_name)
@resolver_option
@json_option
def dkim_lookup(selector: str, domain: str, server: ResolverSettings | None, as_json: bool) -> None:
    """Print the key record of a SELECTOR of a DOMAIN, and whether it came with DNSSEC."""
    from mox.mailauth.dkim.verify import look_up_key

    name = f"{selector}._domainkey.{domain}"
    answer = ask(server, lambda resolver: look_up_key(resolver, name))
    if answer.record is None:
        raise Refused(f"{name}: {answer.reason} ({dnssec(answer.authentic)})")
    line = key_line(answer.record, answer.authentic)
    if as_json:
        print_json(line)
        return
    print_fields(
        record=line.record,
        kind=line.kind,
        bits=line.bits or "",
        problem=line.problem,
        answer=dnssec(answer.authentic),
    )


@click.command()
@json_option
def txt(as_json: bool) -> None:
    """Print the TXT record to publish for the private key on standard input.

    The key is PKCS#8 in PEM. The record is printed as in a zone file, to be put at
    SELECTOR._domainkey.DOMAIN.
    """
    from mox.mailauth.dkim.keyrecord import BadKey, load_key, record_of

    record = record_of(load_private_key(sys.stdin.buffer.read(), "standard input").public_key())
    try:
        load_key(record)
    except BadKey as error:
        raise Refused(f"nobody would accept it: {error.public}", cause=error) from error
    line = key_line(record)
    if as_json:
        print_json(line)
    else:
        click.echo(f"TXT {quote_text(line.record.encode())}")


@click.command()
@click.argument("file", type=click.File("rb"))
@resolver_option
@json_option
def verify(file: BinaryIO, server: ResolverSettings | None, as_json: bool) -> None:
    """Print the result of each DKIM signature of a message, one a line.

    FILE may be - for standard input; lines that end with LF alone count as CRLF. The status is
    pass, fail, policy, neutral, temperror or permerror, or none without a signature. Signatures of
    old messages may have expired, and their keys may have been taken from the DNS.
    """
    from mox.base.clock import SystemClock
    from mox.mailauth.dkim.verify import verify as verify_message
    from mox.mailauth.publicsuffix import listed
    from mox.message.lines import to_crlf

    message = to_crlf(file.read())
    now_s = SystemClock().now_ms() // 1000
    results = ask(
        server,
        lambda resolver: verify_message(
            # A file does not tell whether SMTPUTF8 was used; in ASCII it makes no difference.
            resolver,
            message,
            now_s=now_s,
            suffixes=listed(),
            is_utf8=True,
        ),
    )
    lines = [signature_line(result) for result in results]
    if as_json:
        print_json(lines)
        return
    for line in lines or [SignatureLine(status="none", reason="no dkim signatures")]:
        click.echo(signature_text(line))


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--domain", metavar="DOMAIN", type=domain_name, required=True, help="Who signs.")
@click.option(
    "--selector",
    metavar="SELECTOR",
    type=_selector,
    required=True,
    help="Which of the domain's keys it is.",
)
@click.option(
    "--key",
    metavar="FILE",
    type=click.File("rb"),
    required=True,
    help="The private key, PKCS#8 in PEM.",
)
@click.option("--relaxed", is_flag=True, help="Let spaces and empty lines change on the way.")
def sign(file: BinaryIO, domain: str, selector: str, key: BinaryIO, relaxed: bool) -> None:
    """Print a message with a DKIM signature before it.

    FILE may be - for standard input; lines that end with LF alone get CRLF.
    """
    from mox.base.clock import SystemClock
    from mox.mailauth.dkim.canonical import Canon
    from mox.mailauth.dkim.sign import SigningKey
    from mox.mailauth.dkim.sign import sign as sign_message
    from mox.message.lines import to_crlf

    canon = Canon.RELAXED if relaxed else Canon.SIMPLE
    signing_key = SigningKey(
        domain=domain,
        selector=selector,
        private=load_private_key(key.read(), key.name),
        header_canon=canon,
        body_canon=canon,
    )
    message = to_crlf(file.read())
    field = sign_message(message, [signing_key], now_s=SystemClock().now_ms() // 1000)
    sys.stdout.buffer.write(field + message)


@click.command()
def gened25519() -> None:
    """Print a new Ed25519 private key, PKCS#8 in PEM.

    Not every receiver knows such keys (RFC 8463): sign with an RSA key beside it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    _print_key(Ed25519PrivateKey.generate())


@click.command()
def genrsa() -> None:
    """Print a new RSA private key of 2048 bits, PKCS#8 in PEM."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    _print_key(generate_private_key(public_exponent=65537, key_size=_RSA_BITS))


def _print_key(key: "PrivateKey") -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    click.echo(pem.decode(), nl=False)


def load_private_key(pem: bytes, where: str) -> "PrivateKey":
    """A key to sign with.    Errors: Refused naming where it is from."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(f"{where}: no private key in PEM", cause=error) from error
    except TypeError as error:
        raise Refused(
            f"{where}: the private key is protected by a password", cause=error
        ) from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise Refused(f"{where}: the private key is neither RSA nor Ed25519")
    return key

"""``mox dane``: TLSA records, and whether the servers they are about fit them.    RFC 7672."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mox.base.errors import MoxError, Refused
from mox.cli.group import LazyGroup
from mox.cli.lookup import ask, domain_name, not_understood, print_fields, resolver_option
from mox.cli.setting import json_option, print_json
from mox.dns.resolvconf import ResolverSettings

if TYPE_CHECKING:
    from mox.dns.base import Resolver

dane = LazyGroup(
    name="dane",
    help="DANE: certificates of mail servers, named in DNS.",
    table={
        "dialmx": "mox.cli.dane:dane_dialmx",
        "makerecord": "mox.cli.dane:dane_makerecord",
    },
)


@click.command("dialmx")
@click.argument("domain", type=domain_name)
@click.argument("host", type=domain_name, required=False)
@click.option("--ehlo-hostname", default="localhost", help="Our name in EHLO.")
@click.option("--port", type=click.IntRange(1, 65535), default=25, help="Default: 25.")
@resolver_option
@json_option
def dane_dialmx(
    domain: str,
    host: str | None,
    ehlo_hostname: str,
    port: int,
    server: ResolverSettings | None,
    as_json: bool,
) -> None:
    """Connect to the mail hosts of a DOMAIN, or to one HOST of them, and judge their certificates.

    Nothing is sent. A resolver that verifies DNSSEC is needed: only what is authentic counts.
    """
    found = ask(server, lambda resolver: _dial(resolver, domain, host, ehlo_hostname, port))
    if as_json:
        print_json(found)
    else:
        for at, one in enumerate(found):
            if at:
                click.echo()
            print_fields(**one)
    if not any(one["verified"] for one in found):
        raise Refused("no host is verified by DANE")


async def _dial(
    resolver: "Resolver", domain: str, wanted: str | None, hello: str, port: int
) -> list[dict[str, Any]]:
    """What there is to tell of each host.    Errors: DnsError, NoHosts."""
    from mox.base.clock import SystemClock
    from mox.dns.base import DnsError
    from mox.outbound.hosts import find_hosts
    from mox.outbound.pool import Place, Pool
    from mox.outbound.session import Opened, Sessions, Target
    from mox.outbound.tlsa import find_tlsa
    from mox.smtpclient.dial import DirectDial
    from mox.tlspolicy.choose import choose
    from mox.tlspolicy.dane import Status
    from mox.tlspolicy.pkix import Authorities

    pool = Pool()
    sessions = Sessions(SystemClock(), Authorities([]), pool)
    found: list[dict[str, Any]] = []
    destination = await find_hosts(resolver, domain, lambda names: None)
    for host in destination.hosts:
        if wanted not in (None, host):
            continue
        told: dict[str, Any] = {"host": host, "verified": False}
        found.append(told)
        opened = Opened()
        try:
            addresses = await resolver.addresses(host)
            tlsa = await find_tlsa(resolver, destination, host, addresses, port)
            plan = choose(host, found=tlsa)
            told["policy"] = "; ".join(plan.why)
            place = Place(host=host, port=port, way="", hello=hello, plan=plan)
            target = Target(place=place, ips=addresses.records, connect=DirectDial())
            sessions.give(await sessions.open(target, opened))
        except (DnsError, MoxError) as error:
            told["problem"] = error.public
        told["ip"] = opened.ip
        if opened.secured is not None:
            told["tls"] = f"{opened.secured.state.version} {opened.secured.state.cipher}"
            judged = opened.secured.dane
            if judged is not None:
                told["dane"] = judged.status.value
                told["verified"] = judged.status is Status.VERIFIED
                if judged.record is not None:
                    record = judged.record
                    told["record"] = (
                        f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"
                    )
    await pool.close()
    if not found:
        raise Refused(f"{wanted} is no mail host of {domain}: {', '.join(destination.hosts)}")
    return found


@click.command("makerecord")
@click.argument("usage", type=click.IntRange(0, 3))
@click.argument("selector", type=click.IntRange(0, 1))
@click.argument("matching", type=click.IntRange(0, 2))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def dane_makerecord(usage: int, selector: int, matching: int, file: Path) -> None:
    """Print the TLSA record of a certificate, or with SELECTOR 1 of a public or private key, PEM.

    For a server's own key: 3 1 1.
    """
    import hashlib

    data = _selected(file, selector)
    if matching:
        data = hashlib.new({1: "sha256", 2: "sha512"}[matching], data).digest()
    click.echo(f"TLSA {usage} {selector} {matching} {data.hex()}")


def _selected(file: Path, selector: int) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
        load_pem_public_key,
    )

    content = file.read_bytes()
    try:
        if b"BEGIN CERTIFICATE-----" in content:
            certificate = x509.load_pem_x509_certificate(content)
            if selector == 0:
                return certificate.public_bytes(Encoding.DER)
            public = certificate.public_key()
        elif selector == 0:
            raise not_understood("file", "selector 0 needs a certificate")
        elif b"PRIVATE KEY-----" in content:
            public = load_pem_private_key(content, password=None).public_key()  # type: ignore[assignment]
        else:
            public = load_pem_public_key(content)  # type: ignore[assignment]
    except (ValueError, TypeError) as error:
        raise not_understood("file", f"{file} is no PEM file we can read") from error
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

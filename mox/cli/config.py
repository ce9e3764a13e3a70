"""``mox config``: check and describe the configuration; change it through the running server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mox.base.errors import MoxError
from mox.cli.group import LazyGroup, print_error
from mox.cli.setting import config_path, connect, json_option, print_json
from mox.config.toml import format_key
from mox.ctl import commands
from mox.ctl.commands import Nothing

if TYPE_CHECKING:
    from mox.runtime.configfiles import ConfigFiles

config = LazyGroup(
    name="config",
    help="Check, describe and change the configuration.",
    table={
        "test": "mox.cli.config:test",
        "describe-static": "mox.cli.config:describe_static",
        "describe-domains": "mox.cli.config:describe_domains",
        "describe-sendmail": "mox.cli.config:describe_sendmail",
        "account": "mox.cli.account:account",
        "address": "mox.cli.config:address",
        "domain": "mox.cli.config:domain",
        "alias": "mox.cli.alias:alias",
    },
)


@click.command()
@click.pass_context
def test(ctx: click.Context) -> int:
    """Check both configuration files, and the certificates and keys they name."""
    from mox.runtime.configfiles import ConfigFiles

    files = ConfigFiles(config_path(ctx))
    problems = [*_certificates(files), *_authorities(files), *_dkim_keys(files)]
    for problem in problems:
        print_error(problem)
    if not problems:
        click.echo("config OK")
    return 1 if problems else 0


def _certificates(files: "ConfigFiles") -> Iterator[str]:
    from mox.runtime.tls import CertificateFiles, ServerTLS

    static = files.live.config.static
    for name, listener in static.listeners.items():
        tls = listener.tls
        if tls is None:
            continue
        pairs = [
            CertificateFiles(
                cert_file=files.relative(one.cert_file), key_file=files.relative(one.key_file)
            )
            for one in tls.key_certs
        ]
        hostname = listener.hostname or static.hostname
        for pair in pairs:
            try:
                ServerTLS([pair], hostname=hostname, min_version=tls.min_version, strict_names=True)
            except MoxError as error:
                yield f"{files.path}: listeners.{name}.tls: {error.public}"


def _authorities(files: "ConfigFiles") -> Iterator[str]:
    import ssl

    from mox.runtime.authorities import make_client_context, read_authorities

    try:
        make_client_context(read_authorities(files.live.config.static, files.relative))
    except MoxError as error:
        yield f"{files.path}: tls.ca: {error.public}"
    except ssl.SSLError as error:
        yield f"{files.path}: tls.ca.cert_files: not certificates in PEM: {error.reason or error}"


def _dkim_keys(files: "ConfigFiles") -> Iterator[str]:
    from mox.cli.dkim import load_private_key
    from mox.mailauth.dkim.keyrecord import load_key, record_of

    for name, domain in files.live.config.domains.domains.items():
        for selector, settings in domain.dkim.selectors.items():
            path = files.relative(settings.private_key_file)
            where = f"{files.domains_path}: domains.{format_key(name)}.dkim.selectors.{selector}"
            try:
                load_key(record_of(load_private_key(path.read_bytes(), str(path)).public_key()))
            except OSError as error:
                yield f"{where}: cannot read {path}: {error.strerror}"
            except MoxError as error:
                yield f"{where}: {error.public}"


@click.command("describe-static")
def describe_static() -> None:
    """Print an annotated mox.toml with every option."""
    from mox.config import describe

    click.echo(describe.describe_static(), nl=False)


@click.command("describe-sendmail")
def describe_sendmail() -> None:
    """Print an annotated moxsubmit.toml, for mox sendmail."""
    from mox.config import describe

    click.echo(describe.describe_sendmail(), nl=False)


@click.command("describe-domains")
def describe_domains() -> None:
    """Print an annotated domains.toml with every option."""
    from mox.config import describe

    click.echo(describe.describe_domains(), nl=False)


address = LazyGroup(
    name="address",
    help="Addresses of accounts.",
    table={
        "add": "mox.cli.config:address_add",
        "rm": "mox.cli.config:address_rm",
        "account": "mox.cli.config:address_account",
        "list": "mox.cli.config:address_list",
    },
)


@click.command("add")
@click.argument("address")
@click.argument("account")
@click.pass_context
def address_add(ctx: click.Context, address: str, account: str) -> None:
    """Give an account one more ADDRESS; @example.org is every other address of that domain."""
    with connect(ctx) as client:
        arguments = commands.AccountAddress(account=account, address=address)
        client.call(commands.ADDRESS_ADD, arguments)
    click.echo("address added")


@click.command("rm")
@click.argument("address")
@click.pass_context
def address_rm(ctx: click.Context, address: str) -> None:
    """Take an address away from its account; not while a message from it is in the queue."""
    with connect(ctx) as client:
        client.call(commands.ADDRESS_RM, commands.Address(address=address))
    click.echo("address removed")


@click.command("account")
@click.argument("address")
@json_option
@click.pass_context
def address_account(ctx: click.Context, address: str, as_json: bool) -> None:
    """Print the account that receives mail for an address."""
    with connect(ctx) as client:
        target = client.call(commands.ADDRESS_ACCOUNT, commands.Address(address=address))
    if as_json:
        print_json(target)
    else:
        click.echo(target.account)


@click.command("list")
@click.argument("account")
@json_option
@click.pass_context
def address_list(ctx: click.Context, account: str, as_json: bool) -> None:
    """Print the addresses of an account, one a line."""
    with connect(ctx) as client:
        found = client.call(commands.ACCOUNT_ADDRESSES, commands.AccountName(account=account))
    if as_json:
        print_json(found.addresses)
        return
    for one in found.addresses:
        click.echo(one)


domain = LazyGroup(
    name="domain",
    help="Domains.",
    table={
        "list": "mox.cli.config:domain_list",
        "add": "mox.cli.config:domain_add",
        "rm": "mox.cli.config:domain_rm",
        "disable": "mox.cli.config:domain_disable",
        "enable": "mox.cli.config:domain_enable",
    },
)


@click.command("list")
@json_option
@click.pass_context
def domain_list(ctx: click.Context, as_json: bool) -> None:
    """Print the domains, one a line; those that are disabled are marked."""
    with connect(ctx) as client:
        found = client.call(commands.DOMAIN_LIST, Nothing()).domains
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one.domain}\t(disabled)" if one.disabled else one.domain)


@click.command("add")
@click.argument("domain")
@click.argument("account")
@click.argument("localpart", required=False, default="")
@click.option("--disabled", is_flag=True, help="Take no mail for it yet.")
@click.pass_context
def domain_add(
    ctx: click.Context, domain: str, account: str, localpart: str, disabled: bool
) -> None:
    """Add a domain for an account; with LOCALPART the account is made, with that address."""
    arguments = commands.DomainAdd(
        domain=domain, account=account, localpart=localpart, disabled=disabled
    )
    with connect(ctx) as client:
        client.call(commands.DOMAIN_ADD, arguments)
    click.echo("domain added")


@click.command("rm")
@click.argument("domain")
@click.pass_context
def domain_rm(ctx: click.Context, domain: str) -> None:
    """Remove a domain that no account uses any more."""
    with connect(ctx) as client:
        client.call(commands.DOMAIN_RM, commands.DomainName(domain=domain))
    click.echo("domain removed")


@click.command("disable")
@click.argument("domain")
@click.pass_context
def domain_disable(ctx: click.Context, domain: str) -> None:
    """Refuse mail to and from a domain for now. Logins go on."""
    with connect(ctx) as client:
        client.call(commands.DOMAIN_DISABLE, commands.DomainName(domain=domain))
    click.echo("domain disabled")


@click.command("enable")
@click.argument("domain")
@click.pass_context
def domain_enable(ctx: click.Context, domain: str) -> None:
    """Take mail of a domain again."""
    with connect(ctx) as client:
        client.call(commands.DOMAIN_ENABLE, commands.DomainName(domain=domain))
    click.echo("domain enabled")

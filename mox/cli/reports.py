"""Received reports about DMARC and TLS on the command line: in message files, and as the server kept them."""

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from mox.base.errors import Malformed, Refused
from mox.cli.lookup import printable
from mox.cli.period import since_ms
from mox.cli.setting import connect, json_option, print_json

if TYPE_CHECKING:
    from mox.ctl.protocol import Command
    from mox.ctl.reportcommands import DmarcReceived, ReportNumber, ReportSent, TlsReceived
    from mox.mailauth.dmarc.feedback import Feedback, Record
    from mox.tlspolicy.tlsreport import Report, Result

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True)
)


def list_options(command: F) -> F:
    """Which reports."""
    command = click.option(
        "--since", default="", metavar="TIME", help="Only those of the last 30m, 12h, 1d, 2w, ..."
    )(command)
    return click.option(
        "--domain", default="", metavar="NAME", help="Only those about this domain of ours."
    )(command)


def of_files(files: Iterable[str], extract: Callable[[bytes], T]) -> list[T]:
    """The report of each file; "-" is standard input.    Errors: Refused with the file's name."""
    found: list[T] = []
    for name in files:
        message = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        try:
            found.append(extract(message))
        except Malformed as error:
            raise Refused(f"{name}: {error.public}", cause=error) from error
    return found


@click.command("parsereportmsg")
@files_argument
@json_option
def parse_dmarc(files: tuple[str, ...], as_json: bool) -> None:
    """Print the DMARC aggregate reports in message FILES; "-" is standard input.

    A report is found as the server finds it, but who sent it is not checked.
    """
    from mox.mailauth.dmarc.extract import extract

    reports = of_files(files, extract)
    if as_json:
        print_json(reports)
        return
    click.echo("\n\n".join("\n".join(dmarc_lines(report)) for report in reports))


@click.command("parsereportmsg")
@files_argument
@json_option
def parse_tls(files: tuple[str, ...], as_json: bool) -> None:
    """Print the TLS reports in message FILES; "-" is standard input.

    A report is found as the server finds it, but who sent it is not checked.
    """
    from mox.tlspolicy.extract import extract

    reports = of_files(files, extract)
    if as_json:
        print_json(reports)
        return
    click.echo("\n\n".join("\n".join(tls_lines(report)) for report in reports))


def dmarc_lines(report: "Feedback") -> Iterator[str]:
    """A DMARC report for people."""
    policy = report.policy
    yield f"report {printable(report.report_id)} of {printable(report.org_name)}"
    yield f"  contact  {printable(f'{report.email} {report.extra_contact_info}'.strip())}"
    yield f"  period   {period(report.begin_s, report.end_s)}"
    tags = {"p": policy.p, "sp": policy.sp, "adkim": policy.adkim, "aspf": policy.aspf}
    if policy.pct is not None:
        tags["pct"] = str(policy.pct)
    shown = " ".join(f"{name}={value}" for name, value in tags.items() if value)
    yield f"  policy   {printable(f'{policy.domain} {shown}')}"
    for error in report.errors:
        yield f"  error    {printable(error)}"
    for record in report.records:
        yield from _record_lines(record)


def _record_lines(record: "Record") -> Iterator[str]:
    reasons = ", ".join(
        f"{reason.type} ({reason.comment})" if reason.comment else reason.type
        for reason in record.reasons
    )
    text = (
        f"{record.count} x {record.source_ip} from {record.header_from or '?'}:"
        f" {record.disposition or '?'}, dkim {record.dkim or '?'}, spf {record.spf or '?'}"
    )
    yield f"  {printable(text + (f' because of {reasons}' if reasons else ''))}"
    if record.envelope_from or record.envelope_to:
        sender = record.envelope_from or "<>"
        yield f"    envelope {printable(f'{sender} to {record.envelope_to}')}"
    for dkim in record.dkim_results:
        said = f" ({dkim.human_result})" if dkim.human_result else ""
        yield f"    dkim {printable(f'{dkim.result} {dkim.domain} {dkim.selector}{said}')}"
    for spf in record.spf_results:
        yield f"    spf {printable(f'{spf.result} {spf.domain} {spf.scope}')}"


def tls_lines(report: "Report") -> Iterator[str]:
    """A TLS report for people."""
    yield f"report {printable(report.report_id)} of {printable(report.organization)}"
    yield f"  contact  {printable(report.contact)}"
    yield f"  period   {period(report.begin_s, report.end_s)}"
    for result in report.results:
        yield from _result_lines(result)


def _result_lines(result: "Result") -> Iterator[str]:
    policy = result.policy
    yield (
        f"  {printable(f'{policy.type} {policy.domain}')}: {result.success_count} sessions good,"
        f" {result.failure_count} failed"
    )
    for text in (*policy.strings, *(f"mx-host {host}" for host in policy.mx_hosts)):
        yield f"    {printable(text)}"
    for failure in result.failures:
        where = " ".join(
            filter(
                None,
                (
                    failure.receiving_mx_hostname,
                    failure.receiving_ip,
                    failure.failure_reason_code,
                    failure.additional_information,
                ),
            )
        )
        text = f"{failure.failed_session_count} x {failure.result_type} {where}"
        yield f"    {printable(text.strip())}"


def period(begin_s: int, end_s: int) -> str:
    """From when to when, UTC."""
    return f"{_time(begin_s)} to {_time(end_s)} UTC"


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return f"second {seconds}"


@click.command("reports")
@list_options
@json_option
@click.pass_context
def dmarc_reports(ctx: click.Context, since: str, domain: str, as_json: bool) -> None:
    """Sum up the DMARC reports that the server received, the newest first.

    For each domain of ours: who saw how many messages, and how many of them were really from us. The
    number of a report is for "mox dmarc report".
    """
    from mox.ctl import reportcommands as ctl

    wanted = ctl.ReportsWanted(domain=domain, since_ms=since_ms(since))
    found: list[DmarcReceived] = []
    with connect(ctx) as client:
        client.call(
            ctl.DMARC_REPORTS,
            wanted,
            progress=lambda value: found.append(msgspec.json.decode(value, type=ctl.DmarcReceived)),
        )
    if as_json:
        print_json(found)
        return
    domains = sorted({name for one in found for name in one.report.domains})
    for name in domains:
        about = [one for one in found if name in one.report.domains]
        totals = [one.report.summary for one in about]
        messages = sum(one.messages for one in totals)
        passed = sum(one.passed for one in totals)
        click.echo(f"{name}: {messages} messages, {passed} passed, {messages - passed} did not")
        for one in about:
            click.echo(f"  {_dmarc_line(one)}")


def _dmarc_line(one: "DmarcReceived") -> str:
    head, summary = one.report, one.report.summary
    text = (
        f"{one.number}  {period(head.begin_s, head.end_s)}  {head.from_domain}"
        f"  {summary.messages} messages, {summary.passed} passed"
        f" (dkim {summary.dkim_passed}, spf {summary.spf_passed})"
    )
    for count, word in (
        (summary.quarantined, "quarantined"),
        (summary.rejected, "rejected"),
        (summary.overridden, "with a reason"),
    ):
        if count:
            text += f", {count} {word}"
    return printable(text)


@click.command("reports")
@list_options
@json_option
@click.pass_context
def tls_reports(ctx: click.Context, since: str, domain: str, as_json: bool) -> None:
    """Sum up the TLS reports that the server received, the newest first.

    For each domain of ours and each name of this server: how many connections of whom were good, and
    what went wrong with others. The number of a report is for "mox tlsrpt report".
    """
    from mox.ctl import reportcommands as ctl

    wanted = ctl.ReportsWanted(domain=domain, since_ms=since_ms(since))
    found: list[TlsReceived] = []
    with connect(ctx) as client:
        client.call(
            ctl.TLS_REPORTS,
            wanted,
            progress=lambda value: found.append(msgspec.json.decode(value, type=ctl.TlsReceived)),
        )
    if as_json:
        print_json(found)
        return
    domains = sorted({name for one in found for name in one.report.domains})
    for name in domains:
        about = [one for one in found if name in one.report.domains]
        good = sum(one.report.summary.successes for one in about)
        failed = sum(one.report.summary.failures for one in about)
        click.echo(f"{name}: {good} sessions good, {failed} failed")
        for one in about:
            click.echo(f"  {_tls_line(one)}")


def _tls_line(one: "TlsReceived") -> str:
    head, summary = one.report, one.report.summary
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary.kinds.items())
    text = (
        f"{one.number}  {period(head.begin_s, head.end_s)}  {head.from_domain}"
        f"  {summary.successes} good, {summary.failures} failed"
    )
    return printable(f"{text} ({kinds})" if kinds else text)


@click.command("report")
@click.argument("number", type=click.IntRange(1))
@json_option
@click.pass_context
def dmarc_report(ctx: click.Context, number: int, as_json: bool) -> None:
    """Print a DMARC report that the server received, by its NUMBER in "mox dmarc reports"."""
    from mox.ctl import reportcommands as ctl

    found = _fetch(ctx, ctl.DMARC_REPORT, ctl.ReportNumber(number=number), ctl.DmarcReport)
    if as_json:
        print_json(found)
        return
    click.echo("\n".join(dmarc_lines(found.feedback)))


@click.command("report")
@click.argument("number", type=click.IntRange(1))
@json_option
@click.pass_context
def tls_report(ctx: click.Context, number: int, as_json: bool) -> None:
    """Print a TLS report that the server received, by its NUMBER in "mox tlsrpt reports"."""
    from mox.ctl import reportcommands as ctl

    found = _fetch(ctx, ctl.TLS_REPORT, ctl.ReportNumber(number=number), ctl.TlsReport)
    if as_json:
        print_json(found)
        return
    click.echo("\n".join(tls_lines(found.report)))


def _fetch(
    ctx: click.Context,
    command: "Command[ReportNumber, ReportSent]",
    wanted: "ReportNumber",
    kind: type[T],
) -> T:
    """A report that comes in pieces."""
    pieces: list[str] = []
    with connect(ctx) as client:
        client.call(
            command,
            wanted,
            progress=lambda value: pieces.append(msgspec.json.decode(value, type=str)),
        )
    return msgspec.json.decode("".join(pieces), type=kind)

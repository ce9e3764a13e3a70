"""``mox retrain`` and ``mox junk``: the junk filters of accounts, and one to try things out with."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from mox.base.errors import Refused
from mox.cli.group import LazyGroup
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import commands

if TYPE_CHECKING:
    from mox.junk.trial import Score, Trial

F = TypeVar("F", bound=Callable[..., Any])
_PIECE = 64 * 1024  # bytes

junk = LazyGroup(
    name="junk",
    help="Try out what the junk filter does with messages in files.",
    table={
        "train": "mox.cli.junk:junk_train",
        "check": "mox.cli.junk:junk_check",
        "test": "mox.cli.junk:junk_test",
        "analyze": "mox.cli.junk:junk_analyze",
        "play": "mox.cli.junk:junk_play",
    },
)


@click.command()
@click.argument("account", required=False, default="")
@json_option
@click.pass_context
def retrain(ctx: click.Context, account: str, as_json: bool) -> None:
    """Train the junk filter of ACCOUNT anew with its messages, or those of all accounts.

    The accounts are used as always meanwhile. A filter is trained with the messages that are marked
    as junk or as not junk; the old one is used until the new one is complete.
    """

    def show(value: msgspec.Raw) -> None:
        now = msgspec.json.decode(value, type=commands.Retraining)
        click.echo(f"{now.account}: {now.done} of {now.total} messages", err=True)

    with connect(ctx) as client:
        wanted = commands.Retrain(account=account)
        done = client.call(commands.RETRAIN, wanted, progress=show)
    if as_json:
        print_json(done)
        return
    for name in done.trained:
        click.echo(f"{name}: trained")
    for name in done.without_filter:
        click.echo(f"{name}: no junk filter")


_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DB = click.option(
    "--dbpath",
    default="filter.db",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Counts of words: filter.db.",
)
_SENT = click.option(
    "--sent-dir", default=None, metavar="DIR", type=_FOLDER, help="Sent messages; they are ham too."
)
_SEED = click.option("--seed", default=0, metavar="N", help="Of the order of messages: 0.")
_DEBUG = click.option("--debug", is_flag=True, help="Tell of each message.")


def _parameters(command: F) -> F:
    """How the filter is set; the defaults are those of this tool, not of accounts."""
    options = (
        ("--spam-threshold", 0.95, "P", "Above this probability a message is junk: 0.95."),
        (
            "--max-power",
            0.05,
            "P",
            "The most a word can say; 0.05 for probabilities 0.05 and 0.95.",
        ),
        ("--top-words", 10, "N", "So many words of either kind decide: 10."),
        ("--ignore-words", 0.1, "P", "Words closer to 0.5 than this are left out: 0.1."),
        ("--rare-words", 1, "N", "Words in at most so many messages count less: 1."),
    )
    kinds = (
        ("--onegrams", False, "Count single words."),
        ("--twograms/--no-twograms", True, "Count runs of two words, which is the default."),
        ("--threegrams", False, "Count runs of three words."),
    )
    made = [click.option(n, default=d, metavar=m, help=h) for n, d, m, h in options]
    made += [click.option(n, default=d, is_flag=True, help=h) for n, d, h in kinds]
    for option in reversed(made):
        command = option(command)
    return command


def _trial(options: dict[str, Any]) -> "Trial":
    from mox.junk.parameters import Parameters
    from mox.junk.trial import Trial

    named = {name: value for name, value in options.items() if name != "spam_threshold"}
    try:
        return Trial(Parameters(threshold=options["spam_threshold"], **named))
    except ValueError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


@click.command("train")
@click.argument("ham", type=_FOLDER)
@click.argument("spam", type=_FOLDER)
@_SENT
@_DB
@click.option(
    "--bloompath",
    default="filter.bloom",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Words seen once: filter.bloom.",
)
@_parameters
@json_option
def junk_train(
    ham: Path,
    spam: Path,
    sent_dir: Path | None,
    dbpath: Path,
    bloompath: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a filter with the messages in two folders, a file each; maildirs do as well.

    What was trained before is kept. A word is counted from the second message on.
    """
    from mox.junk.bloom import Bloom
    from mox.junk.trial import empty_bloom

    trial = _trial(options)
    if dbpath.exists() != bloompath.exists():
        raise Refused(f"of {dbpath} and {bloompath} only one is there; remove it to begin anew")
    if dbpath.exists():
        trial.decode(dbpath.read_bytes())
        trial.bloom = Bloom(bytearray(bloompath.read_bytes()))
    else:
        trial.bloom = empty_bloom()
    unreadable = 0
    folders = [(ham, False), (spam, True), *([(sent_dir, False)] if sent_dir else [])]
    for path, is_junk in _files(folders):
        content = _read(path)
        if content is None:
            unreadable += 1
        else:
            trial.learn(content, junk=is_junk)
    bloompath.write_bytes(trial.bloom.bits)
    dbpath.write_bytes(trial.encode())
    totals = trial.counts.totals()
    if as_json:
        print_json({"ham": totals.ham, "spam": totals.spam, "unreadable": unreadable})
        return
    click.echo(f"trained: {totals.ham} ham, {totals.spam} spam")
    if unreadable:
        click.echo(f"files that cannot be read: {unreadable}", err=True)


@click.command("check")
@click.argument("file", type=_FILE)
@click.option("--account", default="", metavar="NAME", help="By the filter of this account.")
@_DB
@_parameters
@json_option
def junk_check(file: Path, account: str, dbpath: Path, as_json: bool, **options: Any) -> None:
    """Print how likely the message in FILE is junk, and which words say so.

    By a filter that "mox junk train" made, or by that of an account of the running server.
    """
    if account:
        with connect(click.get_current_context()) as client:
            found = client.call(
                commands.JUNK_CHECK, commands.AccountName(account=account), body=_pieces(file)
            )
    else:
        from mox.ctl.judged import junk_checked

        trial = _trial(options)
        trial.decode(dbpath.read_bytes())
        found = junk_checked(trial.judge(file.read_bytes()))
    if as_json:
        print_json(found)
        return
    known = "" if found.significant else ", of a filter that knows too little"
    click.echo(f"probability {found.probability:.6f}{known}")
    for kind, words in (("ham", found.ham), ("spam", found.spam)):
        for one in words:
            click.echo(f"{kind}\t{one.score:.3f}\t{one.ham} ham, {one.spam} spam\t{one.word}")


@click.command("test")
@click.argument("ham", type=_FOLDER)
@click.argument("spam", type=_FOLDER)
@_DB
@_DEBUG
@_parameters
@json_option
def junk_test(
    ham: Path, spam: Path, dbpath: Path, debug: bool, as_json: bool, **options: Any
) -> None:
    """Judge the messages in two folders by a filter that "mox junk train" made."""
    trial = _trial(options)
    trial.decode(dbpath.read_bytes())
    _show(_judge(trial, _files([(ham, False), (spam, True)]), debug=debug), as_json=as_json)


@click.command("analyze")
@click.argument("ham", type=_FOLDER)
@click.argument("spam", type=_FOLDER)
@click.option(
    "--train-ratio",
    default=0.5,
    metavar="P",
    type=click.FloatRange(0, 1),
    help="Share of the messages to train with: 0.5.",
)
@_SENT
@_SEED
@_DEBUG
@_parameters
@json_option
def junk_analyze(
    ham: Path,
    spam: Path,
    train_ratio: float,
    sent_dir: Path | None,
    seed: int,
    debug: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train with some of the messages in two folders, in random order, and judge the others."""
    trial = _trial(options)
    files = list(_files([(ham, False), (spam, True)]))
    random.Random(seed).shuffle(files)  # noqa: S311 - an order, not a secret
    at = round(len(files) * train_ratio)
    sent = _files([(sent_dir, False)] if sent_dir else [])
    for path, is_junk in (*files[:at], *sent):
        content = _read(path)
        if content is not None:
            trial.learn(content, junk=is_junk)
    _show(_judge(trial, files[at:], debug=debug), as_json=as_json)


@click.command("play")
@click.argument("ham", type=_FOLDER)
@click.argument("spam", type=_FOLDER)
@_SENT
@_DEBUG
@_parameters
@json_option
def junk_play(
    ham: Path, spam: Path, sent_dir: Path | None, debug: bool, as_json: bool, **options: Any
) -> None:
    """Let the messages in two folders come in the order of their dates.

    Each is judged by what came before, then trained as what it is. Sent messages are trained only.
    """
    trial = _trial(options)
    folders = [(ham, False), (spam, True)]
    received = [(_date(path), path, is_junk, True) for path, is_junk in _files(folders)]
    sent = _files([(sent_dir, False)] if sent_dir else [])
    received += [(_date(path), path, is_junk, False) for path, is_junk in sent]
    score = _no_score()
    for _, path, is_junk, is_judged in sorted(received):
        content = _read(path)
        if content is None:
            continue
        if is_judged:
            judged = trial.is_junk(content)
            score = score.add(junk=is_junk, judged_junk=judged)
            _tell(path, is_junk, judged, debug=debug)
        trial.learn(content, junk=is_junk)
    _show(score, as_json=as_json)


def _files(folders: Iterable[tuple[Path, bool]]) -> Iterator[tuple[Path, bool]]:
    """The files of folders, in order of their names; of a maildir those in new and cur."""
    for folder, is_junk in folders:
        boxes = [folder / name for name in ("new", "cur") if (folder / name).is_dir()]
        for box in boxes or [folder]:
            for path in sorted(box.iterdir()):
                if path.is_file():
                    yield path, is_junk


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        click.echo(f"{path}: {error.strerror}", err=True)
        return None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _date(path: Path) -> int:
    """When a message was written, ms; by its file where it does not say."""
    from mox.message.date import parse_date
    from mox.message.header import end_of_header, values_of

    content = _read(path) or b""
    dates = values_of(content[: end_of_header(content)], (b"date",)).get(b"date", [])
    parsed = parse_date(dates[0]) if dates else None
    return int(path.stat().st_mtime * 1000) if parsed is None else parsed[0]


def _no_score() -> "Score":
    from mox.junk.trial import Score

    return Score()


def _judge(trial: "Trial", files: Iterable[tuple[Path, bool]], *, debug: bool) -> "Score":
    score = _no_score()
    for path, is_junk in files:
        content = _read(path)
        if content is not None:
            judged = trial.is_junk(content)
            score = score.add(junk=is_junk, judged_junk=judged)
            _tell(path, is_junk, judged, debug=debug)
    return score


def _tell(path: Path, is_junk: bool, judged: bool, *, debug: bool) -> None:
    if debug:
        kinds = ("ham", "spam")
        click.echo(f"{path}: {kinds[is_junk]}, judged {kinds[judged]}", err=True)


def _show(score: "Score", *, as_json: bool) -> None:
    shares = {
        "specificity": score.specificity,
        "sensitivity": score.sensitivity,
        "accuracy": score.accuracy,
    }
    if as_json:
        print_json({**score._asdict(), **shares})
        return
    click.echo(f"ham: {score.ham_right} right, {score.ham_wrong} wrong")
    click.echo(f"spam: {score.spam_right} right, {score.spam_wrong} wrong")
    for name, share in shares.items():
        click.echo(f"{name}: {share:.4f}")

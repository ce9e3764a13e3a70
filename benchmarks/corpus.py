"""Weeks of made-up mail, judged: python -m benchmarks.corpus [--plot] [--weeks N] [--seed N].

Prints what was decided wrongly, by user and week; ``--plot`` writes docs/judging-corpus.md and .svg.
The same seed gives the same numbers on every machine (with ``PYTHONPATH=tests``).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from support.corpusmail import UNWANTED, WANTED
from support.corpusrun import USERS, Curve, Run, Tally, User

from mox.base import log

DOCS = Path(__file__).resolve().parent.parent / "docs"
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#777777")  # told apart by everybody
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "1 2")
WIDTH, HEIGHT, LEFT, TOP, GAP = 340, 220, 50, 40, 70

Share = Callable[[Tally], float]


def spam_share(tally: Tally) -> float:
    """Per cent of spam that came to Inbox."""
    return 100 * tally.spam_in_inbox / max(1, tally.spam)


def ham_share(tally: Tally) -> float:
    """Per cent of wanted mail that was refused or put aside at first."""
    return 100 * (tally.ham_put_aside + tally.ham_refused) / max(1, tally.ham)


def lost_share(tally: Tally) -> float:
    """Per cent of wanted mail that never came to Inbox."""
    return 100 * tally.ham_lost / max(1, tally.ham)


def table(curve: Curve, share: Share) -> str:
    """By user and week, in per cent."""
    weeks = len(next(iter(curve.values())))
    lines = [
        "| user | " + " | ".join(str(week + 1) for week in range(weeks)) + " |",
        "|---|" + "---:|" * weeks,
    ]
    for user in USERS:
        if user.name in curve:
            cells = [f"{share(tally):.0f}" for tally in curve[user.name]]
            lines.append(f"| {user.name}: {user.text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def kinds(curve: Curve) -> str:
    """False decisions by kind of sender, first and second half of the weeks."""
    lines = ["| kind | wanted | " + " | ".join(curve) + " |", "|---|---|" + "---:|" * len(curve)]
    for kind in (*WANTED, *sorted(UNWANTED)):
        cells = []
        for weeks in curve.values():
            half = len(weeks) // 2
            first, second = (
                sum(one.by_kind.get(kind, 0) for one in some)
                for some in (weeks[:half], weeks[half:])
            )
            cells.append(f"{first} → {second}")
        wanted = "yes" if kind in WANTED else "no"
        lines.append(f"| {kind} | {wanted} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rules(curve: Curve) -> str:
    """The rules that did not let wanted mail in at first, by user."""
    found: dict[str, dict[str, int]] = {}
    for name, weeks in curve.items():
        for tally in weeks:
            for rule, count in tally.rules.items():
                of_rule = found.setdefault(rule, dict.fromkeys(curve, 0))
                of_rule[name] += count
    lines = ["| rule | " + " | ".join(curve) + " |", "|---|" + "---:|" * len(curve)]
    for rule, counts in sorted(found.items()):
        lines.append(f"| {rule} | " + " | ".join(str(count) for count in counts.values()) + " |")
    return "\n".join(lines)


# ------------------------------------------------------------------ SVG


def panel(curve: Curve, users: Sequence[User], share: Share, title: str, left: int) -> list[str]:
    """Lines over the weeks, in per cent."""
    weeks = len(next(iter(curve.values())))
    highest = max(share(tally) for some in curve.values() for tally in some)
    top = next(level for level in (5, 10, 20, 25, 50, 100) if level >= highest)

    def x(week: int) -> float:
        return left + week * WIDTH / max(1, weeks - 1)

    def y(value: float) -> float:
        return TOP + HEIGHT - value * HEIGHT / top

    found = [f'<text x="{left}" y="{TOP - 16}" font-weight="bold">{title}</text>']
    for step in range(6):
        value = top * step / 5
        found.append(
            f'<line x1="{left}" x2="{left + WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}"'
            ' stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}%</text>'
        )
    found += [
        f'<text x="{x(week):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{week + 1}</text>'
        for week in range(weeks)
    ]
    found.append(
        f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">week</text>'
    )
    for user, colour, dash in zip(users, COLOURS, DASHES, strict=True):
        points = " ".join(
            f"{x(week):.1f},{y(share(tally)):.1f}" for week, tally in enumerate(curve[user.name])
        )
        found.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"'
            f' stroke-dasharray="{dash}"/>'
        )
    return found


def plot(curve: Curve) -> str:
    """Both kinds of false decisions, side by side."""
    second = LEFT + WIDTH + GAP
    width, height = second + WIDTH + 20, TOP + HEIGHT + 80
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *panel(curve, USERS, spam_share, "spam that came to Inbox", LEFT),
        *panel(curve, USERS, ham_share, "wanted mail put aside at first", second),
    ]
    at = 20
    for user, colour, dash in zip(USERS, COLOURS, DASHES, strict=True):
        base = TOP + HEIGHT + 62
        lines.append(
            f'<line x1="{at}" x2="{at + 24}" y1="{base}" y2="{base}" stroke="{colour}"'
            f' stroke-width="2" stroke-dasharray="{dash}"/>'
            f'<text x="{at + 30}" y="{base + 4}">{user.text}</text>'
        )
        at += 48 + 6 * len(user.text)
    return "\n".join([*lines, "</svg>", ""])


# ------------------------------------------------------------------ page

PAGE = """\
# Ten weeks of made-up mail, judged

Made by `PYTHONPATH=tests python -m benchmarks.corpus --plot --seed {seed} --weeks {weeks}`. The seed
decides over everything: the same numbers come out on every machine. They are reported; no test asks
for a certain height of the curves.

![False decisions by week](judging-corpus.svg)

## How it is made

{users} users get {ham} wanted messages and {spam} unwanted ones in {weeks} weeks. Each message goes
through the judge and the store of the server with the configuration of a new account with a junk
filter and automatic junk flags: SPF, DKIM and DMARC over zones in memory, reputation, words, Rejects.
The clock stands still but for the time between messages. No DNS block list is asked.

Wanted: friends with and without signatures (two had mail from the user before), colleagues at a
company, newsletters by a mailing service, shops, a mailing list that breaks signatures, strangers
(some of them lend money or sell advertising, and write so). Unwanted: campaigns that change domain,
address and subject matter from week to week and mix in words of wanted mail; computers that were
broken into; throw-away addresses at the provider that friends use; marketers who go on; customers of
the mailing service that nobody asked for; forged friends and a forged bank. Senders with a server of
their own come again after half an hour, 4, 24, 48 and 96 hours when they are told to.

| user | looks | says of spam in Inbox | of wanted mail | rescues from Rejects | answers people |
|---|---|---:|---:|---:|---:|
{habits}

What a user passed over once is not looked at again. Rescued mail goes to Inbox, which alone is no
vote; ben and cleo move mail to Junk and Archive, ana sets `$Junk` and `$NotJunk`.

## Spam that came to Inbox, per cent by week

{spam_table}

## Wanted mail that was put aside or refused at first, per cent by week

{ham_table}

## Wanted mail that never came to Inbox, per cent by week

Neither accepted when it came again nor rescued within the {weeks} weeks.

{lost_table}

## False decisions by kind of sender, first half → second half

Spam in Inbox, and wanted mail that was not accepted at first.

{kinds}

## Rules that put wanted mail aside

{rules}

## How to read it

- These words and senders are made up. Real spam is less easy to tell by its words, so the heights say
  little about a real mailbox; how the curves move with what users do is what can be seen here.
  Another seed gives other numbers and curves of the same shape.
- The junk filter says nothing before it knows 50 wanted messages: that is the step in the curves of
  those who mark, and why a user who marks little stays near where he began. Before it, senders who
  come again are refused, and machines whose name does not lead back to them.
- A user who does nothing gets nearly all spam: what is refused is forged, against SPF or a DMARC policy.
- Who calls spam by its name more often than wanted mail by its (cleo) has a filter that knows little of
  wanted words: mail of strangers and of lists is put aside by its words.
- Few marks can be misleading: where three senders at a large provider were called junk and nobody there
  was called wanted, the provider as a whole counts as junk (`msgfromdomain`), also for honest people.
- Throw-away addresses at a provider with wanted mail are left to the words, which new subject matter
  passes at first.
"""


def page(curve: Curve, seed: int) -> str:
    """The document."""
    tallies = [tally for weeks in curve.values() for tally in weeks]
    often = {1: "daily", 3: "every third day", 7: "weekly"}
    return PAGE.format(
        seed=seed,
        weeks=len(next(iter(curve.values()))),
        users=len(curve),
        ham=sum(one.ham for one in tallies),
        spam=sum(one.spam for one in tallies),
        habits="\n".join(
            f"| {one.name} | {often[one.days]} | {one.junks:.0%} | {one.keeps:.0%} |"
            f" {one.rescues:.0%} | {one.answers:.0%} |"
            for one in USERS
        ),
        spam_table=table(curve, spam_share),
        ham_table=table(curve, ham_share),
        lost_table=table(curve, lost_share),
        kinds=kinds(curve),
        rules=rules(curve),
    )


def main() -> None:
    """Run, print, and write where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weeks", type=int, default=10)
    parser.add_argument("--plot", action="store_true", help="write the page and the plot in docs")
    arguments = parser.parse_args()
    log.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), seed=arguments.seed, weeks=arguments.weeks)
        curve = asyncio.run(run.run())
    for title, share in (("spam in Inbox", spam_share), ("wanted mail put aside", ham_share)):
        print(f"{title}, per cent by week\n\n{table(curve, share)}\n")
    print(kinds(curve), rules(curve), sep="\n\n")
    if arguments.plot:
        (DOCS / "judging-corpus.svg").write_text(plot(curve))
        (DOCS / "judging-corpus.md").write_text(page(curve, arguments.seed))


if __name__ == "__main__":
    main()

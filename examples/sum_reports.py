"""Sum up the DMARC reports in messages:  python examples/sum_reports.py message.eml ...

Prints, for each address that sent mail in the name of a domain, how many messages passed and failed.
"""

import sys
from collections import Counter
from pathlib import Path

from mox.base.errors import Malformed
from mox.mailauth.dmarc.extract import extract


def add(message: bytes, passed: Counter[tuple[str, str]], failed: Counter[tuple[str, str]]) -> None:
    """Count what a report says.    Errors: Malformed where there is none, or one beyond limits."""
    for record in extract(message).records:
        counts = passed if "pass" in (record.dkim, record.spf) else failed
        counts[record.header_from, record.source_ip] += record.count


def main(arguments: list[str]) -> int:
    """The exit code."""
    if not arguments:
        sys.stderr.write(f"{__doc__}")
        return 2
    passed: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    unread = 0
    for name in arguments:
        try:
            add(Path(name).read_bytes(), passed, failed)
        except Malformed as error:
            sys.stderr.write(f"{name}: {error.public}\n")
            unread += 1
    for domain, ip in sorted(passed | failed):
        sys.stdout.write(
            f"{domain} from {ip}: {passed[domain, ip]} passed, {failed[domain, ip]} failed\n"
        )
    return 1 if unread else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

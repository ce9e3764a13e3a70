"""Debian's libopendmarc as a program: cases as JSON in, verdicts as JSON out.

It asks port 53 alone, so it is run by ``support.privatedns``.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, ClassVar, TypedDict

LIBRARY = "libopendmarc.so.2"
MAXPATHLEN = 4096
# opendmarc/dmarc.h
RESULTS = {"none": 0, "pass": 1, "fail": 2, "temperror": 3}
ORIGIN = {False: 1, True: 2}  # MAIL FROM, HELO
TLD_TYPE_MOZILLA = 1
PARSE_ERRORS = {1, 3, 4, 5}
NO_RECORD = {9, 10}
TEMPORARY = 11
VERDICTS = {14: "nopolicy", 15: "pass", 16: "reject", 17: "quarantine", 18: "monitor"}


class _Address(ctypes.Structure):
    _fields_: ClassVar[Any] = (("octets", ctypes.c_char * 16),)  # a sockaddr_in


class _Library(ctypes.Structure):
    """OPENDMARC_LIB_T."""

    _fields_: ClassVar[Any] = (
        ("tld_type", ctypes.c_int),
        ("tld_source_file", ctypes.c_char * MAXPATHLEN),
        ("nscount", ctypes.c_int),
        ("nsaddr_list", _Address * 3),
    )


class Question(TypedDict):
    """One case."""

    domain: str  # of From
    spf_domain: str
    spf: str  # of RESULTS
    by_helo: bool
    dkim: list[tuple[str, str]]  # domain, of RESULTS


def judge(library: ctypes.CDLL, case: Question) -> str:
    """The verdict: pass, reject, quarantine, monitor, nopolicy, bad or later."""
    context = ctypes.c_void_p(library.opendmarc_policy_connect_init(b"192.0.2.10", 4))
    domain = case["domain"].encode()
    library.opendmarc_policy_store_from_domain(context, domain)
    library.opendmarc_policy_store_spf(
        context, case["spf_domain"].encode(), RESULTS[case["spf"]], ORIGIN[case["by_helo"]], b""
    )
    for signer, result in case["dkim"]:
        library.opendmarc_policy_store_dkim(context, signer.encode(), b"s", RESULTS[result], b"")
    status = library.opendmarc_policy_query_dmarc(context, domain)
    if status in PARSE_ERRORS:
        return "bad"
    if status in NO_RECORD:
        return "nopolicy"
    if status == TEMPORARY:
        return "later"
    if status != 0:
        return f"status {status}"
    return VERDICTS[library.opendmarc_get_policy_to_enforce(context)]


def main(suffixes: str) -> None:
    """Judge all cases.    suffixes: a file with public suffixes."""
    library = ctypes.CDLL(LIBRARY)
    library.opendmarc_policy_connect_init.restype = ctypes.c_void_p
    settings = _Library(tld_type=TLD_TYPE_MOZILLA, tld_source_file=suffixes.encode())
    if library.opendmarc_policy_library_init(ctypes.byref(settings)) != 0:
        raise RuntimeError("libopendmarc cannot be initialised")
    cases: list[Question] = json.load(sys.stdin)
    json.dump([judge(library, case) for case in cases], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])

"""What Debian's opendmarc says of cases; its library is run by ``support.libopendmarc``."""

from __future__ import annotations

import ctypes.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support import libopendmarc, privatedns
from support.counterparts import require
from support.dmarccorpus import Case


def judge_all(cases: Mapping[str, Case], suffixes: Sequence[str], folder: Path) -> dict[str, str]:
    """The verdicts: pass, reject, quarantine, monitor, nopolicy, bad or later."""
    found = ctypes.util.find_library("opendmarc") is not None
    require(libopendmarc.LIBRARY, "libopendmarc2", found)
    (folder / "suffixes").write_text("\n".join(suffixes) + "\n")
    texts: dict[str, Sequence[str]] = {}
    questions = []
    for case in cases.values():
        texts |= case.policies
        questions.append(
            libopendmarc.Question(
                domain=case.domain,
                spf_domain=case.spf_domain,
                spf=case.spf,
                by_helo=case.by_helo,
                dkim=list(case.dkim),
            )
        )
    command = [sys.executable, "-m", "support.libopendmarc", str(folder / "suffixes")]
    (said,) = privatedns.run_all(texts, command, [json.dumps(questions).encode()], folder)
    return dict(zip(cases, json.loads(said), strict=True))

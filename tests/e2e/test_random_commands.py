"""Eight connections with random commands against one mailbox, each checked against its own model."""

from __future__ import annotations

import os

import pytest
from support.servers import Server
from support.soak import Soak

SECONDS = float(os.environ.get("MOX_SOAK_SECONDS", "5"))
SEED = int(os.environ.get("MOX_SOAK_SEED", "1"))

# Of others, so that all the rest of the model is calibrated by them.
TOLERATED = {
    # UID in unasked FETCH with QRESYNC only; HIGHESTMODSEQ sometimes before the change it stands for
    "dovecot": frozenset({"uid-with-condstore", "highestmodseq-ahead"}),
}

NEEDED = (
    *("NOOP OK", "FETCH OK", "UID FETCH OK", "STORE OK", "UID STORE OK", "APPEND OK", "EXPUNGE OK"),
    *("UID EXPUNGE OK", "COPY OK", "UID MOVE OK", "SEARCH OK", "UID SEARCH OK", "IDLE OK"),
    *("STATUS OK", "SELECT (QRESYNC)"),
)


@pytest.mark.slow
@pytest.mark.rfc("9051 §7.5.1")
@pytest.mark.rfc("7162 §3.2.4")
@pytest.mark.rfc("2180 §4")
def test_eight_sessions_never_see_anything_go_backwards(imap_server: Server) -> None:
    tolerated = TOLERATED.get(imap_server.name, frozenset())
    soak = Soak(imap_server, "Soak", sessions=8, seed=SEED, tolerated=tolerated)
    # Dovecot runs to show that the model is right, which takes less time than showing that we are.
    seconds = min(SECONDS, 3) if imap_server.name == "dovecot" else SECONDS
    counts = soak.run(seconds, phases=max(3, int(seconds / 5)))
    assert not soak.shared.faults, "\n".join(soak.shared.faults)
    assert not [name for name in NEEDED if not counts[name]], counts

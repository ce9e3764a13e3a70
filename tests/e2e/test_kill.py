"""kill -9 during 50 concurrent deliveries, APPENDs and flag changes: nothing promised is lost.

SIGKILL keeps the page cache: what this shows is the order of acknowledgement and write, and that a
change is whole or not there.   The sync itself is the business of test_system_calls.py.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from support.crash import Found, Ledger, Load, append_one, look, reconcile
from support.servers import FaultyMox, Mox, Server

ROUNDS = int(os.environ.get("MOX_KILL_ROUNDS", "3"))

pytestmark = pytest.mark.slow


class Rounds:
    """Rounds of load, kill, restart and judgement over the same data."""

    def __init__(self, server: Server, smtp: int, append: int, flag: int) -> None:
        self.server = server
        self.counts = (smtp, append, flag)
        self.ledger = Ledger()
        self.known: dict[int, Found] = {}
        self.number = 0
        self._rng = random.Random(4)
        with server.imap() as client:
            # Dovecot keeps a modseq per message from the first CONDSTORE command on.
            client.select("INBOX", b"(CONDSTORE)")
            append_one(client, self.ledger, "first")

    def kill_under_load(self) -> None:
        """Load, and SIGKILL at some moment of it."""
        self.number += 1
        load = Load(self.server, self.ledger, self.number)
        before = self.ledger.acknowledged()
        load.start(*self.counts)
        try:
            load.wait_for(before + 60, 60)
            time.sleep(self._rng.uniform(0.0, 0.6))
        finally:
            self.server.kill()
        load.join()

    def judge(self) -> list[str]:
        """Restart, and compare with the ledger; one more message must fit on top."""
        self.server.start()
        with self.server.imap(timeout=60) as client:
            remains = look(client, self.known, self.ledger)
            faults = reconcile(self.ledger, remains)
            if faults:
                return faults
            self.known = remains.messages
            append_one(client, self.ledger, f"quiet-{self.number}")
            remains = look(client, self.known, self.ledger)
            faults = reconcile(self.ledger, remains)
            if max(remains.messages) <= max(self.known):
                faults.append("the first message after the restart got an old UID")
            if remains.messages[max(remains.messages)].modseq <= self.ledger.highest:
                faults.append("the first message after the restart got an old modseq")
            self.known = remains.messages
            self.ledger.highest = max(self.ledger.highest, remains.highest)
            self.ledger.largest_uid = max(remains.messages)
            return faults


@pytest.mark.rfc("5321 §6.1")
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    server = Mox(tmp_path / "mox")
    server.start()
    try:
        rounds = Rounds(server, smtp=24, append=24, flag=2)
        for _ in range(ROUNDS):
            rounds.kill_under_load()
            verified = server.verifydata()
            assert verified.returncode == 0, verified.stdout + verified.stderr
            assert rounds.judge() == []
            assert server.stop() == 0
            verified = server.verifydata()
            assert verified.returncode == 0, verified.stdout + verified.stderr
            server.start()
        # it was told enough to be caught
        ledger = rounds.ledger
        assert ledger.acknowledged() > 60 * ROUNDS
        assert ledger.promised
        assert len(ledger.modseqs) > len(ledger.promised)
    finally:
        server.kill()


def test_control_acknowledging_before_the_write_is_found(tmp_path: Path) -> None:
    server = FaultyMox(tmp_path / "mox", "ack-before-write")
    server.start()
    try:
        rounds = Rounds(server, smtp=24, append=24, flag=2)
        for _ in range(10):
            rounds.kill_under_load()
            faults = rounds.judge()
            if any("was acknowledged and is lost" in fault for fault in faults):
                return
            assert not faults
        pytest.fail("ten rounds with a server that acknowledges too early, and nothing was found")
    finally:
        server.kill()

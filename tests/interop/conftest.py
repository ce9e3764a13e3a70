"""Ours and Dovecot, up together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers import Dovecot, Mox


@pytest.fixture(scope="module")
def mox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mox]:
    with Mox(tmp_path_factory.mktemp("interop") / "mox") as server:
        yield server


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    with Dovecot(tmp_path_factory.mktemp("interop") / "dovecot") as server:
        yield server

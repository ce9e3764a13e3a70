"""Is everything about reports consistent?    Checked from the stored rows.

Pieces that no head refers to are no problem: a crash leaves them, and the next start removes them.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from mox.mailauth.dmarc.feedback import Feedback
from mox.reports import dmarc, evaluations, keys, results, suppressed, tlsrpt
from mox.reports.shelf import HEAD_SIZE, Head, Totals, identity_of
from mox.store.engine.base import Engine, Family
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataDamaged
from mox.store.layout import rows
from mox.tlspolicy.tlsreport import Report

S = TypeVar("S", bound=msgspec.Struct)


def verify_reports(engine: Engine) -> list[str]:
    """What is wrong, one sentence each."""
    return [
        *_shelf(engine, keys.DMARC, dmarc.DmarcHead, Feedback),
        *_shelf(engine, keys.TLS, tlsrpt.TlsHead, Report),
        *_records(engine, keys.ALL_EVALUATIONS, evaluations.Tally),
        *_records(engine, keys.results(0, 0xFFFFFFFF), results.Tally),
        *_records(engine, keys.ALL_SUPPRESSED, suppressed.Suppressed),
    ]


def verify_folder(folder: Path) -> list[str]:
    """The same for a folder that no server has open; nothing is wrong where there is none.

    Errors  DataLocked, DataUnreadable.
    """
    if not (folder / "db").exists():
        return []
    engine = RocksEngine(folder / "db", read_only=True)
    try:
        return verify_reports(engine)
    finally:
        engine.close()


def _shelf(
    engine: Engine, kind: bytes, head_type: type[Head[S]], body: type[msgspec.Struct]
) -> Iterator[str]:
    decoder = msgspec.msgpack.Decoder(head_type)
    indexed: set[bytes] = set()
    found = Totals()
    for key, value in engine.scan(Family.MSG, *keys.heads(kind)):
        number = keys.head_number(key)
        try:
            head = decoder.decode(memoryview(value)[1:])
        except msgspec.DecodeError as error:
            yield f"report {number}: {error}"
            continue
        found.count += 1
        found.size += HEAD_SIZE + head.size
        wanted = [keys.piece(kind, number, index) for index in range(head.pieces)]
        packed = b"".join(piece or b"" for piece in engine.multi_get(Family.MSG, wanted))
        try:
            msgspec.msgpack.decode(zlib.decompress(packed), type=body)
        except (zlib.error, msgspec.DecodeError) as error:
            yield f"report {number}: {error}"
        name = keys.identity(kind, identity_of(head))
        if engine.get(Family.IDX, name) != number.to_bytes(8, "big"):
            yield f"report {number} is not found by its name"
        indexed.add(name)
        for domain in head.domains:
            about = keys.about(kind, domain, number)
            if engine.get(Family.IDX, about) is None:
                yield f"report {number} is not found by {domain}"
            indexed.add(about)
    for key, _ in engine.scan(Family.IDX, *keys.index(kind)):
        if key not in indexed:
            yield f"an index names a report that is not there: {key!r}"
    stored = engine.get(Family.META, keys.totals(kind))
    told = Totals() if stored is None else msgspec.msgpack.decode(stored[1:], type=Totals)
    if told != found:
        yield f"the totals say {told}, there are {found}"


def _records(
    engine: Engine, span: tuple[bytes, bytes], record: type[msgspec.Struct]
) -> Iterator[str]:
    for key, value in engine.scan(Family.KV, *span):
        try:
            rows.decode(record, value)
        except DataDamaged as error:
            yield f"{key!r}: {error.public}"

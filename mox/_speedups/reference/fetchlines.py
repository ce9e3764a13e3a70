"""FETCH responses of what the columns know: the plain twin of fetchlines.pyx.

    message-data  = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att))
    uidfetch-resp = uniqueid SP "UIDFETCH" SP msg-att
    msg-att       = "(" item *(SP item) ")"
    flag-list     = "(" [flag *(SP flag)] ")"
    date-time     = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE

Source  RFC 9051 §7.5.2 and §9, RFC 7162 §7, RFC 8514 §4.2, RFC 9586 §4.
"""

from array import array
from datetime import datetime, timedelta
from typing import Final

from mox._speedups.columns import Columns

FETCH_UID: Final = 1
FETCH_FLAGS: Final = 2
FETCH_MODSEQ: Final = 4
FETCH_INTERNALDATE: Final = 8
FETCH_SIZE: Final = 16
FETCH_SAVEDATE: Final = 32
FETCH_RECENT: Final = 64

SYSTEM_FLAGS: Final = (
    b"\\Seen",
    b"\\Answered",
    b"\\Flagged",
    b"\\Deleted",
    b"\\Draft",
    b"$Forwarded",
    b"$Junk",
    b"$NotJunk",
    b"$Phishing",
    b"$MDNSent",
)
MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
ZONE_MAX: Final = 5999  # minutes; the greatest zone that +hhmm can show
EPOCH: Final = datetime(1970, 1, 1)  # local: the zone is written beside it
FIRST: Final = (datetime.min - EPOCH) // timedelta(milliseconds=1)
LAST: Final = (datetime.max - EPOCH) // timedelta(milliseconds=1)


def _date(ms: int, zone: int) -> bytes:
    """A date-time.    What four digits of a year cannot show becomes the nearest that they can."""
    zone = min(max(zone, -ZONE_MAX), ZONE_MAX)
    local = EPOCH + timedelta(milliseconds=min(max(ms + zone * 60000, FIRST), LAST))
    sign = "-" if zone < 0 else "+"
    hours, minutes = divmod(abs(zone), 60)
    return (
        f'"{local.day:2}-{MONTHS[local.month - 1]}-{local.year:04}'
        f" {local.hour:02}:{local.minute:02}:{local.second:02}"
        f' {sign}{hours:02}{minutes:02}"'
    ).encode()


def _flags(columns: Columns, slot: int, names: list[bytes], recent: bool) -> bytes:
    shown = [b"\\Recent"] if recent else []
    flags, keywords = columns.flags(slot), columns.keywords(slot)
    shown += [name for bit, name in enumerate(SYSTEM_FLAGS) if flags >> bit & 1]
    if keywords >> len(names):
        raise ValueError("a keyword has no name")
    shown += [name for bit, name in enumerate(names) if keywords >> bit & 1]
    return b" ".join(shown)


def format_items(
    columns: Columns,
    slot: int,
    seq: int,
    items: int,
    keyword_names: list[bytes],
    *,
    uidfetch: bool = False,
    recent_from_uid: int = 0,
) -> bytes:
    """One line without its `)` and CRLF, so that more items can follow after a space.

    With items 0 it ends with the opening parenthesis.
    """
    if items & ~127:
        raise ValueError("unknown FETCH items")
    uid = columns.uid(slot)
    parts = []
    if items & FETCH_UID:
        parts.append(b"UID %d" % uid)
    if items & FETCH_FLAGS:
        recent = bool(items & FETCH_RECENT) and uid >= recent_from_uid
        parts.append(b"FLAGS (%b)" % _flags(columns, slot, keyword_names, recent))
    if items & FETCH_MODSEQ:
        parts.append(b"MODSEQ (%d)" % columns.modseq(slot))
    if items & FETCH_INTERNALDATE:
        parts.append(b"INTERNALDATE " + _date(columns.received(slot), columns.zone(slot)))
    if items & FETCH_SIZE:
        parts.append(b"RFC822.SIZE %d" % columns.size(slot))
    if items & FETCH_SAVEDATE:
        # RFC 8514 §4.2: NIL where the time is not known.
        saved = columns.saved(slot)
        parts.append(b"SAVEDATE " + (_date(saved, 0) if saved else b"NIL"))
    head = b"* %d UIDFETCH (" % uid if uidfetch else b"* %d FETCH (" % seq
    return head + b" ".join(parts)


def format_fetch(
    columns: Columns,
    slots: "array[int]",
    seqs: "array[int]",
    items: int,
    keyword_names: list[bytes],
    start: int = 0,
    max_bytes: int = 65536,
    *,
    uidfetch: bool = False,
    recent_from_uid: int = 0,
) -> tuple[bytes, int]:
    """Whole lines from index `start` on, until `max_bytes` are reached or passed.

    Input   seqs: one for each slot (not looked at with uidfetch); items: a sum of FETCH_*;
            recent_from_uid: with FETCH_RECENT, messages from this UID on carry \\Recent.
    Output  the lines, and the index to go on with: len(slots) when all is done.
    """
    if items & ~127:
        raise ValueError("unknown FETCH items")
    if not 0 <= start <= len(slots) or (not uidfetch and len(seqs) != len(slots)):
        raise ValueError("start or sequence numbers do not fit the slots")
    out = bytearray()
    index = start
    while index < len(slots) and (len(out) < max_bytes or index == start):
        seq = 0 if uidfetch else seqs[index]
        out += format_items(
            columns,
            slots[index],
            seq,
            items,
            keyword_names,
            uidfetch=uidfetch,
            recent_from_uid=recent_from_uid,
        )
        out += b")\r\n"
        index += 1
    return bytes(out), index

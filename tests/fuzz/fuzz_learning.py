"""What the learner reads: recipients of sent messages, keys of identities, its own rows, kept counts."""

import contextlib
from typing import Any

from mox.base.errors import Malformed
from mox.base.limits import SENT_RECIPIENTS
from mox.junk.parameters import Parameters
from mox.junk.recipients import sent_to
from mox.junk.trial import Trial
from mox.store.errors import DataDamaged
from mox.store.layout import keys, rows
from mox.store.votes import sent_rows

TARGET_NAME: str = "learning"
SEEDS = (
    b'To: a@b.example, "q u"@c.example\r\nCc: g: x@y.example;\r\nDate: 1 Mar 2022 10:00:00 +0000\r\n\r\n',
    b"\x01\x05" + bytes(17),
    b"\x93\x01\x01\x81\xc4\x01a\x92\x01\x02",
)


def run(data: bytes) -> None:
    """The same bytes as a header section, as rows and as a file of counts."""
    sent = sent_to(data)
    if len(sent.recipients) > SENT_RECIPIENTS or len(set(sent.recipients)) != len(sent.recipients):
        raise AssertionError("too many recipients")
    for one in sent.recipients:
        if not one.localpart or not one.domain.ascii.isascii():
            raise AssertionError("no address")
    found = [key for key, _ in sent_rows(1, 2, 3, sent, 4, lambda domain: domain)]
    if len(set(found)) != len(found) or len(found) > 3 * len(sent.recipients):
        raise AssertionError("rows that are not one for each")
    for key in found:
        if keys.vote_message(key) != (2, 3):
            raise AssertionError("a key does not name its message")
    middle = len(data) // 2
    one_part, other = keys.part(data[:middle]), keys.part(data[middle:])
    if one_part != other and (one_part.startswith(other) or other.startswith(one_part)):
        raise AssertionError("a part of a key is the beginning of another one")
    codecs: list[tuple[Any, Any]] = [
        (rows.decode_learnt, rows.encode_learnt),
        (rows.decode_trained, rows.encode_trained),
        (rows.decode_count, rows.encode_count),
    ]
    for decode, encode in codecs:
        try:
            value = decode(data)
        except DataDamaged:
            continue
        if encode(value) != data:
            raise AssertionError("a row is not what was read of it")
    with contextlib.suppress(Malformed):
        Trial(Parameters()).decode(data)

"""Packed files: any bytes are unpacked within the budget or refused."""

import gzip
import io
import zipfile

from mox.message.archive import PIECE, BadArchive, Budget, gunzip, unzip

TARGET_NAME: str = "archive"


def _zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.xml"), b"text" * 50)
    return out.getvalue()


SEEDS = (gzip.compress(b"text" * 50, mtime=0), gzip.compress(b"", mtime=0) * 3, _zipped())
_LIMIT = 100_000


def run(data: bytes) -> None:
    """As either kind."""
    for unpack in (gunzip, unzip):
        total = 0
        try:
            for piece in unpack(data, Budget(_LIMIT)):
                total += len(piece)
                if not 0 < len(piece) <= PIECE:
                    raise AssertionError("a piece of the wrong size")
        except BadArchive:
            pass
        if total > _LIMIT:
            raise AssertionError("more than the budget")

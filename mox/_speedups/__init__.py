"""The only door to the compiled modules.

``MOX_PURE_PYTHON=1`` chooses the plain twins on purpose (debugging, coverage, fuzzing); there is
no silent fall-back.    `Columns` is a data structure without a twin: it is compiled always.
"""

import os

from mox._speedups.errors import TokenError

try:
    from mox._speedups.columns import Columns
except ImportError as error:
    raise ImportError("compiled modules missing; run: bash ci/build") from error

IMPLEMENTATION = "python" if os.environ.get("MOX_PURE_PYTHON") else "cython"

if os.environ.get("MOX_PURE_PYTHON"):
    from mox._speedups.reference import headers as _headers
    from mox._speedups.reference import tokens as _tokens
else:
    try:
        from mox._speedups import headers as _headers  # type: ignore[no-redef]
        from mox._speedups import tokens as _tokens  # type: ignore[no-redef]
    except ImportError as error:
        raise ImportError("compiled modules missing; run: bash ci/build") from error

scan_header = _headers.scan_header
scan_body = _headers.scan_body
filter_fields = _headers.filter_fields
tokenize = _tokens.tokenize

from mox._speedups.reference.modseq import (  # noqa: E402 - until modseq.pyx is there
    count_ranges,
    decode_ranges,
    encode_ranges,
    intersect_ranges,
    merge_ranges,
    ranges_of,
    subtract_ranges,
)

__all__ = [
    "IMPLEMENTATION",
    "Columns",
    "count_ranges",
    "decode_ranges",
    "encode_ranges",
    "intersect_ranges",
    "merge_ranges",
    "ranges_of",
    "subtract_ranges",
    "filter_fields",
    "scan_body",
    "scan_header",
    "TokenError",
    "tokenize",
]

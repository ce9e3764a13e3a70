"""The only door to the compiled modules.

``MOX_PURE_PYTHON=1`` chooses the plain twins on purpose (debugging, coverage, fuzzing); there is
no silent fall-back.    `Columns` is a data structure without a twin: it is compiled always.
"""

import os
from typing import Final

from mox._speedups.errors import TokenError
from mox._speedups.program import HIDDEN as SEARCH_HIDDEN
from mox._speedups.program import MAYBE as SEARCH_MAYBE
from mox._speedups.program import NO as SEARCH_NO
from mox._speedups.program import YES as SEARCH_YES
from mox._speedups.program import Instruction

try:
    from mox._speedups.columns import Columns
except ImportError as error:
    raise ImportError("compiled modules missing; run: bash ci/build") from error

IMPLEMENTATION = "python" if os.environ.get("MOX_PURE_PYTHON") else "cython"

if os.environ.get("MOX_PURE_PYTHON"):
    from mox._speedups.reference import bulk as _bulk
    from mox._speedups.reference import canonical as _canonical
    from mox._speedups.reference import fetchlines as _fetchlines
    from mox._speedups.reference import headers as _headers
    from mox._speedups.reference import modseq as _modseq
    from mox._speedups.reference import scores as _scores
    from mox._speedups.reference import search as _search
    from mox._speedups.reference import strings as _strings
    from mox._speedups.reference import tokens as _tokens
    from mox._speedups.reference import words as _words
    from mox._speedups.reference import wordtable as _wordtable
else:
    try:
        from mox._speedups import bulk as _bulk  # type: ignore[no-redef]
        from mox._speedups import canonical as _canonical  # type: ignore[no-redef]
        from mox._speedups import fetchlines as _fetchlines  # type: ignore[no-redef]
        from mox._speedups import headers as _headers  # type: ignore[no-redef]
        from mox._speedups import modseq as _modseq  # type: ignore[no-redef]
        from mox._speedups import scores as _scores  # type: ignore[no-redef]
        from mox._speedups import search as _search  # type: ignore[no-redef]
        from mox._speedups import strings as _strings  # type: ignore[no-redef]
        from mox._speedups import tokens as _tokens  # type: ignore[no-redef]
        from mox._speedups import words as _words  # type: ignore[no-redef]
        from mox._speedups import wordtable as _wordtable  # type: ignore[no-redef]
    except ImportError as error:
        raise ImportError("compiled modules missing; run: bash ci/build") from error

# faults of a header section, bits in what scan_header returns
AT_BOUNDARY: Final[int] = _headers.AT_BOUNDARY
LEADING_SPACE: Final[int] = _headers.LEADING_SPACE
NO_COLON: Final[int] = _headers.NO_COLON
NO_EMPTY_LINE: Final[int] = _headers.NO_EMPTY_LINE
NO_NAME: Final[int] = _headers.NO_NAME
TOO_LARGE: Final[int] = _headers.TOO_LARGE
UNTERMINATED: Final[int] = _headers.UNTERMINATED
# items of a FETCH line, bits of what format_fetch and format_items take
FETCH_UID: Final[int] = _fetchlines.FETCH_UID
FETCH_FLAGS: Final[int] = _fetchlines.FETCH_FLAGS
FETCH_MODSEQ: Final[int] = _fetchlines.FETCH_MODSEQ
FETCH_INTERNALDATE: Final[int] = _fetchlines.FETCH_INTERNALDATE
FETCH_SIZE: Final[int] = _fetchlines.FETCH_SIZE
FETCH_SAVEDATE: Final[int] = _fetchlines.FETCH_SAVEDATE
FETCH_RECENT: Final[int] = _fetchlines.FETCH_RECENT
# bytes; a longer text is no quoted string
QUOTED_MAX: Final[int] = _strings.QUOTED_MAX
append_copies = _bulk.append_copies
expunge_slots = _bulk.expunge_slots
files_of = _bulk.files_of
first_gone = _bulk.first_gone
flag_changes = _bulk.flag_changes
keywords_of = _bulk.keywords_of
live_slots = _bulk.live_slots
pack_keys = _bulk.pack_keys
pack_references = _bulk.pack_references
pack_rows = _bulk.pack_rows
set_flags_of = _bulk.set_flags_of
size_of = _bulk.size_of
slots_in_both = _bulk.slots_in_both
slots_in_either = _bulk.slots_in_either
slots_without = _bulk.slots_without
split_modseq = _bulk.split_modseq
without_modseqs = _bulk.without_modseqs
BodyCanonicalizer = _canonical.BodyCanonicalizer
relax_header = _canonical.relax_header
# runs of words, bits of what add_words takes
WORDS_ONE: Final[int] = _words.ONE
WORDS_TWO: Final[int] = _words.TWO
WORDS_THREE: Final[int] = _words.THREE
add_words = _words.add_words
WordTable = _wordtable.WordTable
format_fetch = _fetchlines.format_fetch
format_items = _fetchlines.format_items
count_ranges = _modseq.count_ranges
decode_ranges = _modseq.decode_ranges
encode_ranges = _modseq.encode_ranges
intersect_ranges = _modseq.intersect_ranges
merge_ranges = _modseq.merge_ranges
ranges_of = _modseq.ranges_of
subtract_ranges = _modseq.subtract_ranges
Program = _search.Program
compile_program = _search.compile_program
evaluate_with = _search.evaluate_with
run_program = _search.run_program
quote_strings = _strings.quote_strings
strongest = _scores.strongest
scan_header = _headers.scan_header
header_values = _headers.header_values
scan_body = _headers.scan_body
filter_fields = _headers.filter_fields
count_line_ends = _headers.count_line_ends
text_before_dot = _headers.text_before_dot
tokenize = _tokens.tokenize

__all__ = [
    "AT_BOUNDARY",
    "BodyCanonicalizer",
    "Columns",
    "FETCH_FLAGS",
    "FETCH_INTERNALDATE",
    "FETCH_MODSEQ",
    "FETCH_RECENT",
    "FETCH_SAVEDATE",
    "FETCH_SIZE",
    "FETCH_UID",
    "IMPLEMENTATION",
    "Instruction",
    "LEADING_SPACE",
    "NO_COLON",
    "NO_EMPTY_LINE",
    "NO_NAME",
    "Program",
    "QUOTED_MAX",
    "SEARCH_HIDDEN",
    "SEARCH_MAYBE",
    "SEARCH_NO",
    "SEARCH_YES",
    "TOO_LARGE",
    "TokenError",
    "UNTERMINATED",
    "WORDS_ONE",
    "WORDS_THREE",
    "WORDS_TWO",
    "WordTable",
    "add_words",
    "append_copies",
    "compile_program",
    "count_ranges",
    "decode_ranges",
    "encode_ranges",
    "evaluate_with",
    "expunge_slots",
    "files_of",
    "filter_fields",
    "first_gone",
    "flag_changes",
    "format_fetch",
    "format_items",
    "header_values",
    "intersect_ranges",
    "keywords_of",
    "live_slots",
    "merge_ranges",
    "pack_keys",
    "pack_references",
    "pack_rows",
    "quote_strings",
    "ranges_of",
    "relax_header",
    "run_program",
    "scan_body",
    "scan_header",
    "set_flags_of",
    "size_of",
    "slots_in_both",
    "slots_in_either",
    "slots_without",
    "split_modseq",
    "strongest",
    "subtract_ranges",
    "tokenize",
    "without_modseqs",
]

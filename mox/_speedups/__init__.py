"""The only door to the compiled modules.

``MOX_PURE_PYTHON=1`` chooses the plain twins on purpose (debugging, coverage, fuzzing); there is
no silent fall-back.    `Columns` is a data structure without a twin: it is compiled always.
"""

import os

try:
    from mox._speedups.columns import Columns
except ImportError as error:
    raise ImportError("compiled modules missing; run: bash ci/build") from error

IMPLEMENTATION = "python" if os.environ.get("MOX_PURE_PYTHON") else "cython"

__all__ = ["IMPLEMENTATION", "Columns"]

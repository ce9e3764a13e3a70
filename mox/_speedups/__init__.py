"""The only door to the compiled modules.

``MOX_PURE_PYTHON=1`` chooses the plain twins on purpose (debugging, coverage, fuzzing); there is
no silent fall-back.
"""

import os

IMPLEMENTATION = "python" if os.environ.get("MOX_PURE_PYTHON") else "cython"

__all__ = ["IMPLEMENTATION"]

"""Compile mox/_speedups/*.pyx.    All metadata is in pyproject.toml.

Switches: MOX_DEBUG_BUILD=1 (checks on, no optimisation), MOX_SANITIZE=1 (address and
undefined-behaviour sanitizers), MOX_ANNOTATE=1 (Cython's HTML report).
"""

import os
import platform
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("MOX_DEBUG_BUILD") == "1"
SANITIZE = os.environ.get("MOX_SANITIZE") == "1"

compile_args = ["-O0", "-g"] if DEBUG else ["-O3"]
if platform.machine() == "x86_64":
    compile_args.append("-march=x86-64-v2")  # a fixed baseline, not the build host's own set
link_args = []
if SANITIZE:
    compile_args += ["-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    link_args += ["-fsanitize=address,undefined"]

headers = [str(path) for path in sorted(Path("mox/_speedups").glob("*.pxd"))]
extensions = [
    Extension(
        f"mox._speedups.{path.stem}",
        [str(path)],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        # cythonize replaces the source by the .c file; the sdist needs the .pyx too
        depends=[str(path), *headers],
    )
    for path in sorted(Path("mox/_speedups").glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        annotate=os.environ.get("MOX_ANNOTATE") == "1",
        compiler_directives={
            "language_level": "3",
            "boundscheck": DEBUG,
            "wraparound": DEBUG,
            "cdivision": not DEBUG,
            "initializedcheck": DEBUG,
            "binding": True,
            "embedsignature": True,
        },
    )
)

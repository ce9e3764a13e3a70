"""Version of the installed package."""

from importlib.metadata import PackageNotFoundError, version


def mox_version() -> str:
    """Version as installed, or ``unknown`` when run from a tree that was never installed."""
    try:
        return version("mox")
    except PackageNotFoundError:
        return "unknown"

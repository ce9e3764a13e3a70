"""``--since``: a time before now."""

import re

from mox.base.clock import SystemClock
from mox.cli.lookup import not_understood

_PERIOD = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def since_ms(period: str) -> int:
    """Milliseconds since 1970 of the begin of a period like ``30m`` that ends now; 0 for an empty one.

    Errors  click.BadParameter.
    """
    if not period:
        return 0
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise not_understood("--since", f"{period!r} is not a time like 30m, 12h, 1d or 2w")
    return SystemClock().now_ms() - int(found[1]) * _SECONDS[found[2]] * 1000

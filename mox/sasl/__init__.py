"""SASL mechanisms, pure.    RFC 4422."""

from typing import Final

from mox.base.table import Table
from mox.sasl.crammd5 import CRAM_MD5
from mox.sasl.login import LOGIN
from mox.sasl.mechanism import Mechanism
from mox.sasl.plain import PLAIN
from mox.sasl.scram import SCRAM_SHA_1, SCRAM_SHA_1_PLUS, SCRAM_SHA_256, SCRAM_SHA_256_PLUS

MECHANISMS: Final[Table[Mechanism]] = Table("sasl mechanisms")
"""By name; in the order in which they are announced, strongest first."""

for _mechanism in (
    SCRAM_SHA_256_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_1,
    CRAM_MD5,
    PLAIN,
    LOGIN,
):
    MECHANISMS.add(_mechanism.name.encode("ascii"), _mechanism)
MECHANISMS.freeze()

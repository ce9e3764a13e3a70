"""xtext and unitext: text in parameters of MAIL and RCPT.    RFC 3461 §4, RFC 6533 §3.

Reading is lenient: what is not encoded as it should be stays as it is.
"""

import re

_HEX = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_SAFE = re.compile(r"[!-*,-<>-~]")


def encode_xtext(text: str) -> str:
    """ASCII text as the value of a parameter.    Errors: UnicodeEncodeError."""
    return "".join(
        chr(byte) if _SAFE.fullmatch(chr(byte)) else f"+{byte:02X}" for byte in text.encode("ascii")
    )


def decode_xtext(text: str) -> str:
    """What such a value says."""
    return _HEX.sub(lambda found: chr(int(found[1], 16)), text)


def decode_original_recipient(value: str) -> tuple[str, str]:
    """Type, in lower case, and address that the value of ORCPT says."""
    kind, _, address = value.partition(";")
    kind = kind.lower()
    if kind == "utf-8":
        return kind, _EMBEDDED.sub(_character, address)
    return kind, decode_xtext(address)


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else found[0]

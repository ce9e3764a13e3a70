"""Words of texts and messages: bounded, the same by both implementations, never an error."""

from mox._speedups import words as compiled
from mox._speedups.reference import words as plain
from mox.base.limits import JUNK_TOKEN, JUNK_TOKENS
from mox.junk import subjectpass
from mox.junk.htmltext import html_to_text
from mox.junk.words import message_words
from mox.message import mime

TARGET_NAME: str = "words"
SEEDS = (
    b"\x07Don't 12345 abc123456 xkcdqwrt caf\xc3\xa9 0xdeadbeef it's dogs' x1y2z3",
    b"\x01<p>a <b>bo</b>ld<!-- x --> <script>no</script><img src=x alt='pic&amp;ture'><svg>y</svg>",
    b"\x03From: a@b\r\nSubject: =?utf-8?q?viagra?= (pass:AGVT8aBIzufvrPKsBlXdlg)\r\n"
    b"Content-Type: text/html; charset=utf-16\r\n\r\n<style>a<title>&nbsp",
)


def run(data: bytes) -> None:
    """The first byte chooses the runs; the rest is a text, a document and a message."""
    grams = data[0] % 8 if data else 1
    rest = data[1:]
    text = rest.decode("utf-8", "replace" if grams & 1 else "surrogateescape")
    by_c: set[bytes] = set()
    by_py: set[bytes] = set()
    compiled.add_words(text, b"To:", grams, 60, 30, by_c)
    plain.add_words(text, b"To:", grams, 60, 30, by_py)
    if by_c != by_py:
        raise AssertionError("compiled and plain differ")
    if any(len(word) > 60 for word in by_c) or len(by_c) > 30:
        raise AssertionError("beyond a limit")
    if len(html_to_text(text)) > 2 * len(text):
        raise AssertionError("HTML grew")
    message = mime.parse(rest)
    found = message_words(rest, message, grams)
    if len(found) > JUNK_TOKENS or any(not 2 < len(word) <= JUNK_TOKEN for word in found):
        raise AssertionError("not a word")
    subjectpass.verify(rest, "abcDEF0123456789", period_s=60, now_s=1_700_000_000)

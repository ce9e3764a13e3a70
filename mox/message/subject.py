"""The base of a subject, which groups a conversation.    RFC 5256 §2.1.

Law  One pass over the text, whatever it nests: positions move, nothing is copied until the end.
"""

import re

_SPACES = re.compile(r"[ \t\r\n]+")
_BLOBS = re.compile(r"(?:\[[^\[\]]*+\] ?+)*+")
_BLOB = re.compile(r"\[[^\[\]]*+\] ?+")
_LEADER = re.compile(r"(?:re|fwd?) ?(?:\[[^\[\]]*+\] ?)?:")
_SPACE = re.compile(r" *+")
_FWD_OPEN = "[fwd:"
_FWD_TRAILER = "(fwd)"


def base_subject(subject: str) -> tuple[str, bool]:
    """The base, in lower case, and whether the subject is of a reply or forward.

    Input  the decoded subject.  One that would come out with a NUL has an empty base.
    """
    text = _SPACES.sub(" ", subject).lower()
    start, end, is_reply = 0, len(text), False
    while True:
        end, found = _strip_trailers(text, start, end)
        is_reply = is_reply or found
        start, found = _strip_leaders(text, start, end)
        is_reply = is_reply or found
        # RFC 5256 §2.1 (6): a subject wrapped as a whole is a forward of what is inside
        if not (text.startswith(_FWD_OPEN, start, end) and text.endswith("]", start, end)):
            break
        start, end, is_reply = start + len(_FWD_OPEN), end - 1, True
    base = text[start:end]
    return ("" if "\0" in base else base), is_reply


def _strip_trailers(text: str, start: int, end: int) -> tuple[int, bool]:
    """Step 2: space and "(fwd)" at the end."""
    found = False
    while end > start:
        if text[end - 1] == " ":
            end -= 1
        elif text.endswith(_FWD_TRAILER, start, end):
            end -= len(_FWD_TRAILER)
            found = True
        else:
            break
    return end, found


def _strip_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Steps 3 to 5: "re:", "fw:", "fwd:" with blobs around, and blobs that leave something.

    A run of blobs is read once: either a leader follows it and takes it along, or no leader can
    follow any later blob of it, and the blobs go as far as something remains.
    """
    found = False
    while True:
        start = _end(_SPACE, text, start, end)
        after = _end(_BLOBS, text, start, end)
        leader = _LEADER.match(text, after, end)
        if leader is None:
            break
        start, found = leader.end(), True
    if after < end:
        return after, found
    while True:
        blob = _BLOB.match(text, start, end)
        if blob is None or blob.end() == end:
            return start, found
        start = blob.end()


def _end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return start if match is None else match.end()

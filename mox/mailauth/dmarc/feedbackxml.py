"""DMARC aggregate reports: parse, write.    RFC 7489 Appendix C.

Laws
  A document type is refused, so no entity is ever defined or expanded and nothing is fetched.
  Depth, elements, records, the length of a value and of a tag are limited while the document is
  read; what exceeds a limit ends the reading with its own error.
  ``parse([write(feedback)]) == feedback`` where texts are trimmed and without control characters.

Elements that RFC 7489 does not know are passed over: drafts of its successor add some.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias
from xml.parsers import expat

from mox.base.errors import Malformed
from mox.base.limits import (
    DMARC_REPORT_DEPTH,
    DMARC_REPORT_ELEMENTS,
    DMARC_REPORT_RECORDS,
    DMARC_REPORT_TOKEN,
    REPORT_NOTES,
    REPORT_TEXT,
)
from mox.mailauth.dmarc.feedback import (
    DkimAuth,
    Feedback,
    PolicyPublished,
    Reason,
    Record,
    SpfAuth,
)


class BadFeedback(Malformed):
    """Not an aggregate report."""

    default = "malformed DMARC report"


class FeedbackTooLarge(BadFeedback):
    """Beyond one of the limits."""

    default = "DMARC report beyond limits"


# Reading: which elements may be in which; what becomes of a finished one

_Values: TypeAlias = dict[str, list[Any]]


class _Element:
    """An element with children, and how their values become one."""

    __slots__ = ("build", "children")

    def __init__(
        self, children: Mapping[str, "_Element | None"], build: Callable[[_Values], Any]
    ) -> None:
        self.children = children
        self.build = build


def _first(values: _Values, name: str) -> str:
    found = values.get(name)
    return str(found[0]) if found else ""


def _number(values: _Values, name: str) -> int:
    text = _first(values, name)
    if not _DIGITS.fullmatch(text):
        raise BadFeedback(f"{name} is not a number")
    return int(text)


_DIGITS = re.compile(r"[0-9]{1,15}")


def _texts(values: _Values, *names: str) -> dict[str, str]:
    return {name: _first(values, name) for name in names}


def _reason(values: _Values) -> Reason:
    return Reason(**_texts(values, "type", "comment"))


def _dkim(values: _Values) -> DkimAuth:
    return DkimAuth(**_texts(values, "domain", "selector", "result", "human_result"))


def _spf(values: _Values) -> SpfAuth:
    return SpfAuth(**_texts(values, "domain", "scope", "result"))


def _row(values: _Values) -> dict[str, Any]:
    evaluated = values.get("policy_evaluated") or [{}]
    return {
        "source_ip": _first(values, "source_ip"),
        "count": _number(values, "count"),
        **evaluated[0],
    }


def _evaluated(values: _Values) -> dict[str, Any]:
    return {
        **_texts(values, "disposition", "dkim", "spf"),
        "reasons": tuple(values.get("reason", ())),
    }


def _identifiers(values: _Values) -> dict[str, Any]:
    return dict(_texts(values, "envelope_to", "envelope_from", "header_from"))


def _results(values: _Values) -> dict[str, Any]:
    return {
        "dkim_results": tuple(values.get("dkim", ())),
        "spf_results": tuple(values.get("spf", ())),
    }


def _record(values: _Values) -> Record:
    if "row" not in values:
        raise BadFeedback("record without row")
    found: dict[str, Any] = {}
    for name in ("row", "identifiers", "auth_results"):
        for part in values.get(name, ())[:1]:
            found.update(part)
    return Record(**found)


def _range(values: _Values) -> dict[str, Any]:
    return {"begin_s": _number(values, "begin"), "end_s": _number(values, "end")}


def _metadata(values: _Values) -> dict[str, Any]:
    report_id = _first(values, "report_id")
    if not report_id or "date_range" not in values:
        raise BadFeedback("report without id or date range")
    return {
        **_texts(values, "org_name", "email", "extra_contact_info"),
        "report_id": report_id,
        "errors": tuple(values.get("error", ())),
        **values["date_range"][0],
    }


def _policy(values: _Values) -> PolicyPublished:
    percent = _first(values, "pct")
    return PolicyPublished(
        **_texts(values, "domain", "adkim", "aspf", "p", "sp", "fo"),
        pct=int(percent) if _DIGITS.fullmatch(percent) else None,
    )


def _feedback(values: _Values) -> Feedback:
    if "report_metadata" not in values or "policy_published" not in values:
        raise BadFeedback("report without metadata or policy")
    return Feedback(
        version=_first(values, "version"),
        policy=values["policy_published"][0],
        records=tuple(values.get("record", ())),
        **values["report_metadata"][0],
    )


def _leaves(*names: str) -> dict[str, "_Element | None"]:
    return dict.fromkeys(names)


# RFC 7489, Appendix C
_ROW = _Element(
    {
        **_leaves("source_ip", "count"),
        "policy_evaluated": _Element(
            {
                **_leaves("disposition", "dkim", "spf"),
                "reason": _Element(_leaves("type", "comment"), _reason),
            },
            _evaluated,
        ),
    },
    _row,
)
_RECORD = _Element(
    {
        "row": _ROW,
        "identifiers": _Element(
            _leaves("envelope_to", "envelope_from", "header_from"), _identifiers
        ),
        "auth_results": _Element(
            {
                "dkim": _Element(_leaves("domain", "selector", "result", "human_result"), _dkim),
                "spf": _Element(_leaves("domain", "scope", "result"), _spf),
            },
            _results,
        ),
    },
    _record,
)
_FEEDBACK = _Element(
    {
        "version": None,
        "report_metadata": _Element(
            {
                **_leaves("org_name", "email", "extra_contact_info", "report_id", "error"),
                "date_range": _Element(_leaves("begin", "end"), _range),
            },
            _metadata,
        ),
        "policy_published": _Element(
            _leaves("domain", "adkim", "aspf", "p", "sp", "pct", "fo"), _policy
        ),
        "record": _RECORD,
    },
    _feedback,
)
_ROOT = _Element({"feedback": _FEEDBACK}, lambda values: values["feedback"][0])


class Reader:
    """Takes a document piece by piece.    Errors, of both methods: BadFeedback, FeedbackTooLarge.

    Cost  about 2 us for an element; memory of the records, not of the document.
    """

    __slots__ = (
        "_depth",
        "_elements",
        "_fed",
        "_known",
        "_open",
        "_parser",
        "_skipped",
        "_text",
        "_values",
    )

    def __init__(self) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser
        self._fed = 0
        self._depth = 0
        self._elements = 0
        self._skipped = 0  # the depth of an element that is passed over, with all that is in it
        self._open: list[_Element | None] = [_ROOT]
        self._values: list[_Values] = [{}]
        self._text: list[str] = []
        self._known: dict[str, str] = {}  # most values repeat: one copy each

    def feed(self, data: bytes) -> None:
        """Take the next piece; small ones, since limits are looked at between them."""
        if not self._fed:
            data = data.lstrip(b" \t\r\n")  # some write a line before the declaration
        self._fed += len(data)
        self._parse(data, final=False)
        if self._fed - self._parser.CurrentByteIndex > DMARC_REPORT_TOKEN:
            raise FeedbackTooLarge("tag or comment too long")

    def finish(self) -> Feedback:
        """The document has ended."""
        self._parse(b"", final=True)
        root = self._values[0]
        if "feedback" not in root:
            raise BadFeedback
        report = _ROOT.build(root)
        assert isinstance(report, Feedback)
        return report

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise BadFeedback("not well-formed XML", cause=error) from error
        except (LookupError, ValueError) as error:  # an encoding that nobody can decode
            raise BadFeedback("XML in an unknown encoding", cause=error) from error

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DMARC_REPORT_DEPTH or self._elements > DMARC_REPORT_ELEMENTS:
            raise FeedbackTooLarge("too many elements, or nested too deep")
        if self._skipped:
            return
        parent = self._open[-1]
        name = _local(name)
        if parent is None or name not in parent.children:
            self._skipped = self._depth
            return
        element = parent.children[name]
        if element is not None:
            self._values.append({})
        self._open.append(element)
        self._text.clear()

    def _characters(self, text: str) -> None:
        if self._skipped or self._open[-1] is not None:
            return
        self._text.append(text)
        if len(text) > REPORT_TEXT or len(self._text) > REPORT_NOTES:
            raise FeedbackTooLarge("value too long")

    def _end(self, name: str) -> None:
        depth, self._depth = self._depth, self._depth - 1
        if self._skipped:
            if depth == self._skipped:
                self._skipped = 0
            return
        element = self._open.pop()
        value = self._finished_text() if element is None else element.build(self._values.pop())
        beside = self._values[-1].setdefault(_local(name), [])
        beside.append(value)
        if len(beside) > (DMARC_REPORT_RECORDS if element is _RECORD else REPORT_NOTES):
            raise FeedbackTooLarge("too many records or values")

    def _finished_text(self) -> str:
        text = "".join(self._text).strip()
        self._text.clear()
        if len(text) > REPORT_TEXT:
            raise FeedbackTooLarge("value too long")
        return self._known.setdefault(text, text)


def _local(name: str) -> str:
    """Without the prefix of a namespace: few declare the one of RFC 7489, some declare others."""
    return name.rpartition(":")[2]


def _refuse_doctype(_name: str, _system: object, _public: object, _has_internal: object) -> None:
    raise BadFeedback("XML with a document type")


def parse(pieces: Iterable[bytes]) -> Feedback:
    """A report from the pieces of its document.    Errors: BadFeedback, FeedbackTooLarge."""
    reader = Reader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


# Writing


def write(feedback: Feedback) -> bytes:
    """The document, in the order of RFC 7489's schema; empty optional elements are left out."""
    out = _Writer()
    out.open("feedback")
    out.text("version", feedback.version)
    _write_metadata(out, feedback)
    _write_policy(out, feedback.policy)
    for record in feedback.records:
        _write_record(out, record)
    out.close("feedback")
    return out.finish()


def _write_metadata(out: "_Writer", feedback: Feedback) -> None:
    out.open("report_metadata")
    out.text("org_name", feedback.org_name, optional=False)
    out.text("email", feedback.email, optional=False)
    out.text("extra_contact_info", feedback.extra_contact_info)
    out.text("report_id", feedback.report_id)
    out.open("date_range")
    out.text("begin", str(feedback.begin_s))
    out.text("end", str(feedback.end_s))
    out.close("date_range")
    for error in feedback.errors:
        out.text("error", error, optional=False)
    out.close("report_metadata")


def _write_policy(out: "_Writer", policy: PolicyPublished) -> None:
    out.open("policy_published")
    out.text("domain", policy.domain, optional=False)
    out.text("adkim", policy.adkim)
    out.text("aspf", policy.aspf)
    out.text("p", policy.p, optional=False)
    out.text("sp", policy.sp)
    if policy.pct is not None:
        out.text("pct", str(policy.pct))
    out.text("fo", policy.fo, optional=False)
    out.close("policy_published")


def _write_record(out: "_Writer", record: Record) -> None:
    out.open("record")
    out.open("row")
    out.text("source_ip", record.source_ip, optional=False)
    out.text("count", str(record.count))
    out.open("policy_evaluated")
    out.text("disposition", record.disposition)
    out.text("dkim", record.dkim)
    out.text("spf", record.spf)
    for reason in record.reasons:
        out.open("reason")
        out.text("type", reason.type, optional=False)
        out.text("comment", reason.comment)
        out.close("reason")
    out.close("policy_evaluated")
    out.close("row")
    out.open("identifiers")
    out.text("envelope_to", record.envelope_to)
    out.text("envelope_from", record.envelope_from, optional=False)
    out.text("header_from", record.header_from, optional=False)
    out.close("identifiers")
    out.open("auth_results")
    for dkim in record.dkim_results:
        out.open("dkim")
        out.text("domain", dkim.domain, optional=False)
        out.text("selector", dkim.selector)
        out.text("result", dkim.result, optional=False)
        out.text("human_result", dkim.human_result)
        out.close("dkim")
    for spf in record.spf_results:
        out.open("spf")
        out.text("domain", spf.domain, optional=False)
        out.text("scope", spf.scope)
        out.text("result", spf.result, optional=False)
        out.close("spf")
    out.close("auth_results")
    out.close("record")


# XML 1.0 §2.2: characters no document may have; line ends and tabs would not come back as they are
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class _Writer:
    """Elements, one to a line."""

    __slots__ = ("_depth", "_lines")

    def __init__(self) -> None:
        self._lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._depth = 0

    def open(self, name: str) -> None:
        self._lines.append(f"{'  ' * self._depth}<{name}>")
        self._depth += 1

    def close(self, name: str) -> None:
        self._depth -= 1
        self._lines.append(f"{'  ' * self._depth}</{name}>")

    def text(self, name: str, value: str, *, optional: bool = True) -> None:
        """An element with a text; an optional one is left out where there is none."""
        if not value and optional:
            return
        clean = _UNWRITABLE.sub(" ", value)
        for character, escape in _ESCAPES.items():
            clean = clean.replace(character, escape)
        self._lines.append(f"{'  ' * self._depth}<{name}>{clean}</{name}>")

    def finish(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()

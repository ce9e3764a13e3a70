"""Messages as they come by mail, made from a seed: the same number gives the same octets."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

_WORDS = [
    "account",
    "agenda",
    "answer",
    "archive",
    "balance",
    "before",
    "between",
    "branch",
    "budget",
    "calendar",
    "carrier",
    "chapter",
    "client",
    "column",
    "comment",
    "contract",
    "country",
    "current",
    "customer",
    "delivery",
    "detail",
    "document",
    "during",
    "evening",
    "example",
    "factory",
    "figure",
    "folder",
    "forward",
    "friend",
    "garden",
    "general",
    "holiday",
    "however",
    "important",
    "invoice",
    "journey",
    "kitchen",
    "language",
    "letter",
    "library",
    "machine",
    "manager",
    "market",
    "meeting",
    "message",
    "minute",
    "month",
    "morning",
    "mountain",
    "network",
    "number",
    "office",
    "opinion",
    "order",
    "package",
    "paper",
    "payment",
    "people",
    "picture",
    "planning",
    "please",
    "point",
    "present",
    "price",
    "problem",
    "product",
    "project",
    "question",
    "quality",
    "reason",
    "receipt",
    "regards",
    "release",
    "report",
    "request",
    "result",
    "review",
    "river",
    "season",
    "section",
    "service",
    "signal",
    "simple",
    "station",
    "status",
    "street",
    "subject",
    "summer",
    "support",
    "system",
    "table",
    "thank",
    "ticket",
    "today",
    "tomorrow",
    "traffic",
    "travel",
    "update",
    "version",
    "village",
    "window",
    "without",
    "winter",
    "writing",
    "yesterday",
]
_NAMES = (
    ("Ada", "Lind"),
    ("Björn", "Åkesson"),
    ("Chloé", "Dubois"),
    ("Dmitri", "Orlow"),
    ("Eva", "Novák"),
    ("Femke", "de Vries"),
    ("George", "Miller"),
    ("Hanna", "Schäfer"),
    ("Ivo", "Petrov"),
    ("李", "明"),
    ("Jane", "O'Neil"),
    ("Karim", "Said"),
)
_DOMAINS = (
    "example.com",
    "example.net",
    "example.org",
    "mail.example.edu",
    "xn--bcher-kva.example",
)
_BEGIN = datetime(2021, 3, 1, 6, 30, tzinfo=UTC)


def encoded_word(text: str) -> str:
    """The text for a header field, as an encoded word where it is not ASCII.   RFC 2047."""
    if text.isascii():
        return text
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


class MessageMaker:
    """message(n) for any n ≥ 0; about a third plain, a third HTML alternatives, some attachments."""

    def __init__(self, seed: int = 1, *, scale: float = 1.0, domain: str = "generated.example"):
        self.seed = seed
        self.scale = scale  # of body sizes; 1.0 gives 1 KB to 20 KB, rarely 100 KB
        self.domain = domain
        self._paragraphs = self._make_paragraphs()

    def _make_paragraphs(self) -> list[str]:
        rng = random.Random(self.seed)
        return [self._paragraph(rng) for _ in range(64)]

    @staticmethod
    def _paragraph(rng: random.Random) -> str:
        lines = []
        for _ in range(rng.randint(2, 8)):
            words = [rng.choice(_WORDS) for _ in range(rng.randint(6, 11))]
            lines.append(" ".join(words).capitalize() + rng.choice(".,!?."))
        return "\r\n".join(lines)

    def message_id(self, n: int) -> str:
        """Without angle brackets; unique for seed and number."""
        return f"m{self.seed}.{n}@{self.domain}"

    def message(self, n: int) -> bytes:
        """Message number n, with CRLF line ends."""
        rng = random.Random(self.seed * 1_000_003 + n)
        kind = rng.random()
        body: str
        if kind < 0.4:
            fields, body = self._plain(rng)
        elif kind < 0.85:
            fields, body = self._alternative(rng, n)
        else:
            fields, body = self._mixed(rng, n)
        return (self._header(rng, n) + fields + "\r\n" + body).encode()

    def messages(self, first: int, count: int) -> list[bytes]:
        """So many messages."""
        return [self.message(n) for n in range(first, first + count)]

    def _address(self, rng: random.Random) -> str:
        given, family = rng.choice(_NAMES)
        local = f"{given}.{family}".encode("ascii", "ignore").decode().lower().replace(" ", "")
        local = local.strip(".'") or "li.ming"
        name = f"{given} {family}"
        shown = f'"{name}"' if name.isascii() else encoded_word(name)
        return f"{shown} <{local}@{rng.choice(_DOMAINS)}>"

    def _header(self, rng: random.Random, n: int) -> str:
        when = format_datetime(_BEGIN + timedelta(seconds=n * 613 + rng.randint(0, 600)))
        subject = " ".join(rng.choice(_WORDS) for _ in range(rng.randint(2, 7))).capitalize()
        if rng.random() < 0.2:
            subject = encoded_word(f"Grüße: {subject}")
        hop = rng.choice(_DOMAINS)
        lines = [
            f"Received: from {hop} ([192.0.2.{rng.randint(1, 254)}])",
            f"\tby mx.{self.domain} with ESMTPS id {n:08x}; {when}",
            f"Date: {when}",
            f"From: {self._address(rng)}",
            f"To: {self._address(rng)}",
        ]
        if rng.random() < 0.3:
            lines.append("Cc: " + ",\r\n\t".join(self._address(rng) for _ in range(3)))
        if n and rng.random() < 0.4:
            parent = self.message_id(rng.randrange(max(0, n - 20), n))
            subject = "Re: " + subject
            lines += [f"In-Reply-To: <{parent}>", f"References: <{parent}>"]
        lines += [f"Subject: {subject}", f"Message-ID: <{self.message_id(n)}>", "MIME-Version: 1.0"]
        return "\r\n".join(lines) + "\r\n"

    def _text(self, rng: random.Random) -> str:
        size = int(rng.paretovariate(1.6) * 3 * self.scale) + 1
        chosen = [rng.choice(self._paragraphs) for _ in range(min(size, 200))]
        return "\r\n\r\n".join(chosen) + "\r\n"

    def _plain(self, rng: random.Random) -> tuple[str, str]:
        fields = (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
        )
        return fields + "\r\n", self._text(rng).replace("=", "=3D")

    def _alternative(self, rng: random.Random, n: int) -> tuple[str, str]:
        boundary = f"alt_{self.seed}_{n}"
        text = self._text(rng)
        html = "<html><body><p>" + text.replace("\r\n\r\n", "</p>\r\n<p>").strip() + "</p>"
        body = (
            f"This message has several parts.\r\n\r\n--{boundary}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
            f"{text}--{boundary}\r\n"
            'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n'
            f"{html}</body></html>\r\n--{boundary}--\r\n"
        )
        return f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"\r\n', body

    def _mixed(self, rng: random.Random, n: int) -> tuple[str, str]:
        boundary = f"mixed_{self.seed}_{n}"
        inner_fields, inner = self._alternative(rng, n)
        octets = rng.randbytes(int(min(rng.paretovariate(1.2) * 3000, 70_000) * self.scale) + 16)
        attached = base64.encodebytes(octets).decode().replace("\n", "\r\n")
        body = (
            f"--{boundary}\r\n{inner_fields}\r\n{inner}--{boundary}\r\n"
            f'Content-Type: application/pdf; name="report-{n}.pdf"\r\n'
            f'Content-Disposition: attachment; filename="report-{n}.pdf"\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n{attached}--{boundary}--\r\n"
        )
        return f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n', body


def small_message(token: str, size: int = 0) -> bytes:
    """A short plain message that carries the token in Message-ID, Subject and body."""
    head = (
        f"From: <sender@example.org>\r\nTo: <mox@localhost>\r\nSubject: {token}\r\n"
        f"Date: Mon, 1 Mar 2021 06:30:00 +0000\r\nMessage-ID: <{token}@small.example>\r\n\r\n"
        f"{token}\r\n"
    )
    filler = "The quick brown fox jumps over the lazy dog, again and again.\r\n"
    return (head + filler * (max(0, size - len(head)) // len(filler))).encode()

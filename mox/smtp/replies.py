"""The named replies, shared by the server and by the tests.

Source  RFC 5321 §4.2.3, RFC 3463, RFC 4954 §6, RFC 5248 (registry of enhanced codes).
"""

from typing import Final

from mox.smtp.reply import Reply, reply

# Success
BYE: Final = reply(221, "2.0.0", "okay thanks bye")
GO_TLS: Final = reply(220, "2.0.0", "go!")
AUTHENTICATED: Final = reply(235, "2.7.0", "nice")
RESET: Final = reply(250, "2.0.0", "all clear")
NOOP_DONE: Final = reply(250, "2.0.0", "alrighty")
FORWARD_NOTED: Final = reply(250, "2.0.0", "noted")
SENDER_OK: Final = reply(250, "2.1.0", "looking good")
RECIPIENT_OK: Final = reply(250, "2.1.0", "now on the list")
DELIVERED: Final = reply(250, "2.2.0", "it is done")
HELP_TEXT: Final = reply(214, "2.0.0", "see rfc 5321 (smtp)")
CANNOT_VERIFY: Final = reply(252, "2.7.0", "no verify/expand, will try delivery")
START_DATA: Final = Reply(code=354, lines=("see you at the bare dot",))

# The connection ends
SHUTTING_DOWN: Final = reply(421, "4.3.2", "shutting down")
TOO_MANY_CONNECTIONS: Final = reply(421, "4.7.0", "too many connections from your network")
TOO_MANY_AUTH_FAILURES: Final = reply(421, "4.7.0", "too many failed authentications")
TIMED_OUT: Final = reply(421, "4.4.2", "timeout")
LINE_TOO_LONG: Final = reply(500, "5.5.2", "line too long")
NOT_ADMITTED: Final = reply(554, "5.7.1", "not a service for this user")
NOT_SMTP: Final = reply(500, "5.5.2", "unknown command, please try again speaking smtp")
TOO_MANY_BAD: Final = reply(550, "5.1.0", "too many failures")

# Syntax and order
UNKNOWN_COMMAND: Final = reply(500, "5.5.1", "unknown command")
SYNTAX: Final = reply(501, "5.5.2", "bad syntax")
AUTH_LINE_TOO_LONG: Final = reply(500, "5.5.6", "authentication line too long")
HELLO_FIRST: Final = reply(503, "5.5.1", "missing EHLO/HELO")
MISSING_MAIL: Final = reply(503, "5.5.1", "missing MAIL FROM")
MISSING_RCPT: Final = reply(503, "5.5.1", "missing RCPT TO")
ALREADY_MAIL: Final = reply(503, "5.5.1", "already have MAIL")
ALREADY_TLS: Final = reply(503, "5.5.1", "already speaking tls")
TLS_AFTER_AUTH: Final = reply(503, "5.5.1", "cannot starttls after authentication")
NO_TLS: Final = reply(503, "5.5.1", "starttls not available")
NO_AUTH_HERE: Final = reply(503, "5.5.1", "authentication not allowed on this port")
ALREADY_AUTH: Final = reply(503, "5.5.1", "already authenticated")
DUPLICATE_PARAM: Final = reply(501, "5.5.4", "duplicate parameter")
UNKNOWN_PARAM: Final = reply(555, "5.3.3", "unrecognized parameter")
BAD_BODY: Final = reply(555, "5.5.4", "unrecognized value of BODY")
TWO_HOLDS: Final = reply(501, "5.5.4", "HOLDFOR and HOLDUNTIL together")
HOLD_OUT_OF_RANGE: Final = reply(554, "5.5.4", "release time in the past or too far ahead")
NEEDS_TLS: Final = reply(523, "5.7.10", "REQUIRETLS needs a connection with tls")
BINARY_BY_DATA: Final = reply(503, "5.5.1", "BODY=BINARYMIME needs BDAT")
DATA_AFTER_BDAT: Final = reply(503, "5.5.1", "DATA after BDAT in one transaction")
RCPT_AFTER_BDAT: Final = reply(503, "5.5.1", "RCPT TO after BDAT")

# Authentication, RFC 4954 §4 and §6
AUTH_REQUIRED: Final = reply(530, "5.7.0", "authentication required")
TLS_REQUIRED: Final = reply(530, "5.7.0", "must issue a STARTTLS command first")
AUTH_NEEDS_TLS: Final = reply(538, "5.7.11", "authentication requires tls")
AUTH_BAD: Final = reply(535, "5.7.8", "bad user/pass")
AUTH_OTHER_USER: Final = reply(535, "5.7.8", "cannot assume other role")
AUTH_BINDING: Final = reply(535, "5.7.7", "channel binding mismatch, potential mitm")
AUTH_ENCODING: Final = reply(535, "5.7.0", "bad scram encoding")
AUTH_PROTOCOL: Final = reply(455, "4.7.0", "bad scram message")
AUTH_MALFORMED: Final = reply(501, "5.5.4", "malformed authentication message")
AUTH_NO_INITIAL: Final = reply(501, "5.7.0", "no initial response with this mechanism")
AUTH_ABORTED: Final = reply(501, "5.5.0", "authentication aborted")
AUTH_BASE64: Final = reply(501, "5.5.2", "bad base64")
AUTH_MECHANISM: Final = reply(504, "5.5.4", "unrecognized authentication mechanism")
AUTH_MECHANISM_CASE: Final = reply(501, "5.5.2", "mechanism must be in upper case")

# Addresses
MAIL_NEEDS_UTF8: Final = reply(550, "5.6.7", "non-ascii localpart requires smtputf8")
RCPT_NEEDS_UTF8: Final = reply(553, "5.6.7", "non-ascii localpart requires smtputf8")
NO_SUCH_USER: Final = reply(550, "5.1.1", "no such user(s)")
DOMAIN_NOT_HERE: Final = reply(550, "5.1.1", "not accepting email for this domain")
DOMAIN_DISABLED: Final = reply(450, "4.2.1", "recipient domain temporarily disabled")
SENDER_DOMAIN_DISABLED: Final = reply(451, "4.3.0", "sender domain temporarily disabled")
AUTH_UNAVAILABLE: Final = reply(454, "4.7.0", "temporary authentication failure")
NOT_YOUR_ADDRESS: Final = reply(550, "5.7.1", "must be an address of your account")
LITERAL_SENDER: Final = reply(550, "5.7.0", "sender with an address literal not accepted")
HELLO_UNKNOWN: Final = reply(550, "5.5.0", "your name has no address in dns")
SENDER_NOWHERE: Final = reply(550, "5.7.27", "sender domain does not accept mail")
SENDER_UNCLEAR: Final = reply(451, "4.4.0", "temporary error looking up the sender domain")
ONE_WITHOUT_SPF: Final = reply(452, "4.5.3", "only one recipient without spf pass for the sender")
NO_BINARY: Final = reply(555, "5.5.4", "BODY=BINARYMIME is not offered here")
NO_RELAY: Final = reply(550, "5.7.1", "sending to other servers is not available")
TOO_MANY_RECIPIENTS: Final = reply(452, "4.5.3", "max number of recipients reached")
ONE_RECIPIENT: Final = reply(452, "4.5.3", "only one recipient for a null reverse path")

# Message
SMUGGLING: Final = reply(500, "5.5.2", "bare carriage return or line feed, possible smuggling")
LOOP: Final = reply(550, "5.4.6", "loop detected, more than 100 Received fields")
NO_SEPARATOR: Final = reply(554, "5.6.0", "no header/body separator")
BAD_FROM: Final = reply(550, "5.6.0", "must have exactly one From header with one address")
OVER_QUOTA: Final = reply(452, "4.2.2", "mailbox full")
CLIENT_GONE: Final = reply(451, "4.4.2", "the connection ended before the reply")
STORAGE_FULL: Final = reply(452, "4.3.1", "out of storage space")
PROCESSING: Final = reply(451, "4.3.0", "error processing")


def chunk_received(octets: int) -> Reply:
    """A chunk of BDAT that was not the last."""
    return reply(250, "2.0.0", f"{octets} octets received")


def too_big(limit: int, default_limit: int) -> Reply:
    """A message over the limit: the server's (5.3.4), or a smaller one set for here (5.2.3)."""
    return reply(552, "5.2.3" if limit < default_limit else "5.3.4", "message too large")


def combine(failures: list[Reply]) -> Reply:
    """One reply for several failed recipients.

    Equal codes: that code, each different text on a line.  Otherwise a line for each and the
    worst class.  Input  not empty.
    """
    first = failures[0]
    if all((f.code, f.enhanced) == (first.code, first.enhanced) for f in failures):
        texts = tuple(dict.fromkeys(line for f in failures for line in f.lines))
        return Reply(code=first.code, enhanced=first.enhanced, lines=texts)
    lines = tuple(f"{f.code} {f.enhanced} {f.lines[0]}" for f in failures)
    permanent = any(f.is_permanent for f in failures)
    code, enhanced = (554, "5.3.0") if permanent else (451, "4.3.0")
    return Reply(code=code, enhanced=enhanced, lines=(*lines, "multiple errors"))

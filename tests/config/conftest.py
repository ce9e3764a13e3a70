"""A small configuration that is right."""

import pytest

STATIC = """\
# the static file
data_dir = "../data"
log_level = "info"
hostname = "mail.example.org"

[postmaster]
account = "me"
mailbox = "Postmaster"

[listeners.public]
ips = ["192.0.2.1", "2001:db8::1"]
hostname = "mx.example.org"
[[listeners.public.tls.key_certs]]
cert_file = "tls/a.crt"
key_file = "tls/a.key"
[listeners.public.smtp]
enabled = true
[listeners.public.submissions]
enabled = true
[listeners.public.imaps]
enabled = true

[listeners.internal]
ips = ["127.0.0.1"]
hostname = "localhost"
[listeners.internal.metrics_http]
enabled = true
"""

DOMAINS = """\
# our domains

[domains."example.org"] # the first
localpart_catchall_separator = "+"
[domains."bücher.example"]
localpart_case_sensitive = true
localpart_catchall_separators = ["+", "--"]
[domains."off.example"]
disabled = true

[accounts.me]
domain = "example.org"
# how to reach me
[accounts.me.destinations."me@example.org"]
[accounts.me.destinations."Me@bücher.example"]
mailbox = "Books"
[accounts.me.destinations.'"a b"@example.org']
[accounts.me.destinations.'""@example.org']
mailbox = "inbox/empty"
[accounts.me.destinations."me@off.example"]

[accounts.other]
domain = "example.org"
[accounts.other.destinations]
"other@example.org" = {}
"@bücher.example" = { mailbox = "Rest" }
"gone@example.org" = { smtp_error = "550 gone" }
"""


@pytest.fixture
def static_text() -> str:
    return STATIC


@pytest.fixture
def domains_text() -> str:
    return DOMAINS

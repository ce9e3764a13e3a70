"""Every size, count, depth and time limit, with unit and reason, in one place."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * 1024

# IMAP input
IMAP_LINE_BEFORE_LOGIN: Final = 64 * KIB  # bytes; a stranger's largest line (ID of 30 pairs fits)
IMAP_LINE_AFTER_LOGIN: Final = 1 * MIB  # bytes; a QRESYNC known-UID set of 64 KiB and long sets fit
IMAP_LINE_DISCARD: Final = 8 * MIB  # bytes of an overlong line read and thrown away before BYE
IMAP_LITERAL: Final = 100 * KIB  # bytes; a literal inside a command that is not message data
IMAP_LITERALS_TOTAL: Final = 1000 * KIB  # bytes of all such literals of one command
IMAP_LITERALS_COUNT: Final = 1000  # literals in one command
IMAP_NESTING: Final = 50  # depth of parentheses; real searches nest under ten
IMAP_TOKENS: Final = 200_000  # tokens of one command; bounds memory of a 1 MiB line of "("
IMAP_SET_RANGES: Final = 100_000  # ranges of one number set; 64 KiB of known UIDs have half of that
IMAP_PARTS_NAMED: Final = 100  # numbers of one part reference; messages nest no deeper
IMAP_FETCH_ITEMS: Final = 1000  # items of one FETCH; each is made for every message
IMAP_FETCH_HELD: Final = (
    32 * MIB
)  # bytes made for one FETCH and not sent yet; then what is made is sent first
IMAP_ID_PAIRS: Final = 30  # fields of an ID command; RFC 2971 §3.3
IMAP_VANISHED_LINE: Final = 4064  # bytes of one VANISHED response
IMAP_SEARCH_NUMBERS_PER_LINE: Final = 100  # numbers in one untagged SEARCH
IMAP_OUTPUT_SLICE: Final = 64 * KIB  # bytes formatted before the transport is asked again
IMAP_IDLE_CHANGES: Final = 10_000  # changes queued for one session before it overflows
IMAP_RESYNC_PAIRS: Final = 10_000  # pairs of QRESYNC match data looked at; about 10 ms
IMAP_LIST_PATTERNS: Final = 1000  # patterns of one LIST; each is tried on every name
IMAP_COMMAND_QUEUE: Final = 256 * KIB  # bytes of pipelined commands held before reading is paused

# IMAP times, seconds
IMAP_TIMEOUT_BEFORE_LOGIN: Final = 30.0
IMAP_TIMEOUT_AFTER_LOGIN: Final = 30 * 60.0  # RFC 9051 §5.4: at least 30 minutes
IMAP_TIMEOUT_LITERAL: Final = 30.0
WRITE_TIMEOUT: Final = 30.0  # a peer that reads nothing for so long is dropped
TLS_HANDSHAKE_TIMEOUT: Final = 60.0
TLS_WRITE_SLICE: Final = 16 * KIB  # bytes; a TLS record: larger writes make its buffers stay large

# SMTP input
SMTP_LINE: Final = 2048  # bytes; RFC 5321 §4.5.3.1.4 wants 512, SMTPUTF8 and parameters need more
SMTP_ENVID: Final = 100  # characters of an envelope id, encoded; RFC 3461 §4.4
SMTP_ORCPT: Final = 500  # characters of an ORCPT parameter; RFC 3461 §4.2
SMTP_HOLD_MAX: Final = 60 * 86_400  # seconds; what FUTURERELEASE (RFC 4865) announces
SMTP_MX_HOSTS: Final = (
    20  # mail exchangers of a sender's domain looked at; real ones have under ten
)
SMTP_CHUNK_DIGITS: Final = 20  # of the size of a BDAT chunk; as RFC 1870 §3 has it for SIZE
SMTP_AUTH_LINE: Final = 12_288  # bytes; RFC 4954 §4
SMTP_RECIPIENTS: Final = 1000  # RFC 5321 §4.5.3.1.8 wants at least 100
SMTP_PATH: Final = 256  # bytes; RFC 5321 §4.5.3.1.3
SMTP_DOMAIN: Final = 255  # bytes; RFC 5321 §4.5.3.1.2
SMTP_LOCALPART: Final = 128  # bytes; RFC 5321 §4.5.3.1.1 wants 64, real senders use more
SMTP_RECEIVED_FIELDS: Final = 100  # more is a loop; RFC 5321 §6.3
SMTP_REPLY_LINE: Final = 510  # bytes without CRLF; RFC 5321 §4.5.3.1.5
SMTP_REPLY_LINES: Final = 1000  # lines of one reply we read; EHLO of real servers has under 50
SMTP_AUTH_DISCARD: Final = 64 * 1024  # bytes of an overlong AUTH line skipped before closing
SMTP_AUTH_FAILURES_FREE: Final = 3  # failed logins of a connection; then it is slow and waits
SMTP_INPUT_QUEUE: Final = 32 * 1024  # bytes received and not read yet before the socket is paused
SMTP_FROM: Final = 16 * KIB  # bytes of the From field of a submission; it has one address
SMTP_BAD_TRANSACTIONS: Final = 10  # without a good one: the connection ends

# SMTP times, seconds
SMTP_TIMEOUT_COMMAND: Final = 5 * 60.0  # RFC 5321 §4.5.3.2.7
SMTP_TIMEOUT_DATA_BLOCK: Final = 3 * 60.0  # RFC 5321 §4.5.3.2.5
SMTP_TIMEOUT_DATA_TOTAL: Final = 30 * 60.0
SMTP_TIMEOUT_LOOKUP: Final = 60.0  # names a client gives; spec/smtp-server.md section 11
SMTP_LINGER: Final = 2.0  # waiting for the client to close, so that it can read the last reply
SMTP_STOP_GRACE: Final = 3.0  # running commands at shutdown

# Messages
MESSAGE_SIZE: Final = 100 * MIB  # bytes; default of smtp_max_message_size and APPENDLIMIT
MESSAGE_IN_MEMORY: Final = (
    1 * MIB
)  # bytes; a larger body is a file of its own, never one bytes object
RECEIVED_IN_MEMORY: Final = (
    64 * KIB
)  # bytes of a message in memory while it arrives by SMTP; many arrive at a time
RECEIVED_MORE: Final = (
    128 * KIB
)  # bytes of a message in memory while few arrive: a file less for many
RECEIVED_ROOM: Final = (
    1 * MIB
)  # bytes by which all that arrive may together exceed the smaller limit
MIME_DEPTH: Final = 100  # levels of nested parts
MIME_PARTS: Final = 10_000  # parts of a message
MIME_LINE: Final = 1 * MIB  # bytes; a longer line is noted as a fault of its part
HEADER_PARSE: Final = 1 * MIB  # bytes of a header section looked at for envelope and search
HEADER_FIELDS: Final = 10_000  # fields of a header section looked at; lists have hundreds
ADDRESSES: Final = 10_000  # addresses of one header field that are kept
ADDRESS_TOKENS: Final = 100_000  # tokens read of one odd address list; about 0.1 s of work
PARAMETERS: Final = 200  # of one Content-Type or Content-Disposition; RFC 2231 pieces count
REFERENCES: Final = 1000  # message ids of a References field that are kept, the last ones
PREVIEW_LENGTH: Final = 256  # characters; RFC 8970 §3.1 allows 256
PREVIEW_SOURCE: Final = 1 * MIB  # bytes of a part looked at for it
PREVIEW_LINES: Final = 5000  # lines looked at for it; more of them quote
PREVIEW_HTML_TEXT: Final = 4096  # characters of text taken out of HTML for it
MIME_BOUNDARY: Final = 256  # bytes; RFC 2046 §5.1.1 allows 70
MIME_DECODED: Final = 16 * MIB  # bytes of an encoded embedded message that is opened
MIME_REMEMBERED: Final = 256  # values of fields met again and again, as they were understood
MIME_REMEMBERED_FIELD: Final = 128  # bytes of such a value
MIME_DECODED_DEPTH: Final = 3  # encoded messages within encoded messages that are opened

# Delivery status notifications
DSN_RECIPIENTS: Final = 10_000  # recipients of one that is read; ours have up to 100
DSN_STATUS: Final = 4 * MIB  # bytes of the part about them

# Mail authentication
DKIM_SIGNATURES: Final = 20  # signatures of a message that are looked at; real mail has under five
DKIM_FIELD: Final = 64 * KIB  # bytes of a signature field or key record
DKIM_TAGS: Final = 100  # tags of one tag list; a signature has under fifteen
DKIM_SIGNED_NAMES: Final = 1000  # names in h=; sealing a list message takes under 100
DKIM_RSA_BITS_MIN: Final = 1024  # RFC 8301 §3.2: shorter keys say nothing
DKIM_RSA_BITS_MAX: Final = 8192  # RFC 8301 §3.2 asks for 4096; work grows with it
ARC_SETS: Final = 50  # RFC 8617 §4.2.1
ARC_KEYS: Final = 50  # names of keys asked for; a hand has one for both of its signatures
TXT_RECORDS: Final = 100  # texts of one name looked at
DMARC_RECORD: Final = 16 * KIB  # bytes of a record; real ones have under 512
DMARC_TAGS: Final = 100  # tags of a record
DMARC_URIS: Final = 100  # report addresses of a record
AUTHRES_FIELD: Final = 64 * KIB  # bytes of an Authentication-Results field
AUTHRES_METHODS: Final = 200  # results in one field
AUTHRES_PROPERTIES: Final = 100  # properties of one result
AUTHRES_TEXT: Final = 300  # characters of a value, reason or comment we write
PUBLIC_SUFFIX_CACHE: Final = 10_000  # domains whose organisational domain is remembered
CHECK_S: Final = 60.0  # seconds; iprev, SPF, DKIM keys, DMARC policy: each
CHECK_DNSBL_S: Final = 30.0  # seconds for one DNS list, the check of its health included

# Reports of other mail servers, about DMARC and TLS
GZIP_MEMBERS: Final = 100  # members of a gzip file; those of reports have one
REPORT_MESSAGE: Final = 15 * MIB  # bytes of a message that a report is looked for in
REPORT_UNPACKED: Final = 20 * MIB  # bytes unpacked for one message; real reports have under 5 MiB
REPORT_PARTS: Final = 20  # parts of a message that are tried; real ones have one
REPORT_TEXT: Final = 4 * KIB  # characters of one value of a report
REPORT_NOTES: Final = 100  # results, reasons or errors beside each other; real ones have under five
DMARC_REPORT_DEPTH: Final = 16  # levels of elements; the format has six
DMARC_REPORT_ELEMENTS: Final = 1_000_000  # elements; 50,000 records have as many
DMARC_REPORT_RECORDS: Final = 50_000  # records; about 40 MB of memory
DMARC_REPORT_TOKEN: Final = (
    256 * KIB
)  # bytes of a tag or comment: expat reads it anew with each piece
DMARC_DESTINATIONS: Final = 10  # addresses for reports about a domain that are asked and sent to
TLS_REPORT_DEPTH: Final = 20  # levels of lists and objects; the format has six
TLS_REPORT_OBJECTS: Final = 20_000  # objects: policies and details of failures
TLS_REPORT_VALUES: Final = 400_000  # commas; bounds members and list items, about 40 MB of memory
TLSRPT_RECORD: Final = 4 * KIB  # bytes of a record; real ones have under 200
TLSRPT_URIS: Final = 20  # addresses of a record; real ones have one
REPORT_ATTEMPTS: Final = 5  # to deliver a report of ours; spec/reports-autotls.md section 3
DMARC_REPORT_HOURS: Final = 48  # for which an evaluation waits to be reported
TLS_REPORT_DAYS: Final = 2  # for which a TLS result waits to be reported
RECEIVED_KEEP_S: Final = 400 * 24 * 3600.0  # for received reports: a year to compare with
RECEIVED_BYTES: Final = 256 * MIB  # bytes of received reports of a kind, packed; the oldest go
RECEIVED_PER_DAY: Final = 100  # reports of one sender about the same in a day; an hourly one has 24
RECEIVED_SENDERS: Final = 10_000  # senders and domains counted in a day; more reports wait a day
RECEIVED_LIST_SLICE: Final = 200  # received reports read at a time for a list
GATHERED_S: Final = 1.0  # seconds until counts are stored; so much a crash may lose
GATHERED_KEYS: Final = 10_000  # different counts held until then; about 10 MB
EVALUATION_ROWS: Final = 2000  # different DMARC evaluations of a domain in an hour that are kept
EVALUATED_DOMAINS: Final = 20_000  # domains with DMARC evaluations in an hour and the one before
RESULT_POLICIES: Final = 10  # TLS policies of a domain in a day that are kept; real ones have two
RESULT_FAILURES: Final = 200  # different failures under one policy in a day that are kept
RESULT_ROWS: Final = 100_000  # domains and mail hosts with TLS results in a day
SUPPRESSED_ADDRESSES: Final = 10_000  # addresses that get no reports

# Junk filter and reputation
JUNK_TOKENS: Final = 20_000  # different words and runs of one message; bounds look-ups and rows
JUNK_TOKEN: Final = 32 * KIB  # bytes of one, with its field name; longer ones are left out
JUNK_TEXT: Final = 512 * KIB  # bytes of undecoded text looked at; 20 ms of work, at worst 0.2 s
JUNK_HEADER: Final = 32 * KIB  # bytes of field values counted; a list of 500 addresses fits
JUNK_COUNT: Final = (1 << 32) - 1  # messages counted for a word; 32 bits are stored
LETTER_SHORT: Final = 8 * KIB  # bytes of a message whose words are cut on the event loop
REPUTATION_DKIM_DOMAINS: Final = 20  # signing domains of a message that are remembered; few have 3
SENT_RECIPIENTS: Final = 1000  # addresses of a sent message that are remembered
LEARN_MESSAGES: Final = 2000  # messages the learner looks at in one go
LEARN_FLAGGED: Final = 100  # of those that say something
LEARN_ROWS: Final = 1000  # rows it writes at a time, words and votes; 2 to 4 ms holding the GIL
LEARN_BYTES: Final = 8 * MIB  # bytes of contents it reads in one go
LEARN_LOG: Final = 500  # change sets it looks at in one go
LEARN_LAG: Final = 1000  # change sets without a lesson until it is written down how far it is
WORDS_MEMORY: Final = 20 * MIB  # of word counts in memory, twice; about 500,000 words each
SUBJECTPASS_SUBJECT: Final = 64 * KIB  # bytes of a Subject searched for a token
RULESET_FIELDS: Final = 1000  # header fields that expressions are tried on; lists have under 100
REASON_TEXT: Final = 500  # characters of one text in X-Mox-Reason
VERDICT_TEXT: Final = 200  # characters of a stranger's text kept in a verdict
VERDICT_WORDS: Final = 5  # words of either kind kept in a verdict
VERDICT_SIGNATURES: Final = 5  # signatures of a message kept in a verdict

# Store
KEYWORDS_PER_MAILBOX: Final = 1000  # then NO [LIMIT] and PERMANENTFLAGS without \*
KEYWORD_LENGTH: Final = 255  # bytes
MAILBOX_NAME: Final = 1000  # bytes of UTF-8
MAILBOX_DEPTH: Final = 50  # levels
ACCOUNTS_OPEN: Final = 5000  # accounts kept that nobody uses; about 9 KB each with six mailboxes
COMMIT_GROUP: Final = 256  # change sets of one group commit
COMMIT_BATCH_ROWS: Final = 2000  # rows of one write batch; a larger one holds the GIL too long
BODY_INLINE: Final = (
    16 * KIB
)  # bytes of a content that is a row of the index: one sync less; a larger one costs its log more
BODY_INLINE_BATCH: Final = (
    128 * KIB
)  # bytes of such contents in one batch, which is written holding the GIL; the rest go to packs
BODY_RECLAIM: Final = 64 * MIB  # bytes of such contents erased before their space is looked at
PACK_SIZE: Final = 256 * MIB  # bytes; then a new pack is begun
DISK_FREE_MIN: Final = (
    128 * MIB
)  # bytes; below it new bodies are refused: what the log of the index holds must still find room
REJECTS_DAYS: Final = 14  # days a refused message is kept
REJECTS_KEPT: Final = 1000  # refused messages of one account; then no more are kept
RATES_KEPT: Final = 10_000  # networks of accounts whose counts are in memory; about 20 MB

# Passwords
PASSWORD_MIN: Final = 8  # bytes of UTF-8
PASSWORD_MAX: Final = 1024  # bytes of UTF-8; nobody types more, and each one is hashed slowly
USERNAME_MAX: Final = 512  # bytes of UTF-8; the longest address is shorter
SCRAM_NONCE_MIN: Final = 8  # characters a client must bring; less protects nobody
PASSWORD_HASHES: Final = 2  # Argon2id runs at one time, 19 MiB and 30 ms each
PASSWORD_CACHE: Final = 10_000  # checks that succeeded, remembered; about 1.5 MB
PASSWORD_CACHE_S: Final = 15 * 60.0  # seconds; then all are forgotten

# Listeners
CONNECTION_RATE: Final = (300, 900, 2700)  # new connections per minute: host, network, region
CONNECTIONS_OPEN: Final = (30, 90, 270)  # connections at one time
LOGIN_FAILURES_MINUTE: Final = (10, 30, 90)
LOGIN_FAILURES_DAY: Final = (50, 150, 450)
DELIVERED_MESSAGES_MINUTE: Final = (500, 1500, 4500)  # to one account: host, network, region
DELIVERED_MESSAGES_DAY: Final = (10_000, 30_000, 90_000)
DELIVERED_BYTES_MINUTE: Final = (1000 * MIB, 3000 * MIB, 9000 * MIB)
DELIVERED_BYTES_DAY: Final = (3000 * MIB, 9000 * MIB, 27_000 * MIB)
RATE_NETWORKS: Final = 50_000  # networks counted per window and size; about 15 MB a window at worst
RATE_STATE_FILE: Final = 64 * MIB  # bytes of the file that keeps them over a restart
RATE_STATE_S: Final = 60.0  # seconds between two of its saves

# Configuration and control
CONFIG_FILE: Final = 64 * MIB  # characters of a configuration file; 100,000 accounts fit
CONFIG_TEXT: Final = 256  # characters of a name or of a text that is sent to clients
CONFIG_DURATION: Final = 10 * 365 * 86_400  # seconds; the longest time that can be configured
FIRST_TIME_DELAY: Final = 300  # seconds; RFC 5321 §4.5.3.2.6: senders wait 10 minutes
RETRIES: Final = 100  # pauses of the queue's schedule that are named
RETRY_PAUSE: Final = 10  # seconds between two attempts at least
CONFIG_REGEXP: Final = 1000  # characters of a regular expression
REGEXP_DEPTH: Final = 50  # groups in groups
REGEXP_REPEAT: Final = 1000  # times that something is repeated by number; as in RE2
REGEXP_STATES: Final = 1000  # steps of an expression; real ones have under 100
REGEXP_KEPT: Final = 5000  # steps between states kept for one; under 2 MB, real ones have under 500
REGEXP_SUBJECT: Final = (
    2 * KIB
)  # characters of a text that are searched; 0.4 ms, with an expression built for it 3 s
VERDICT_DAYS: Final = 30  # days a verdict is kept; default of verdicts.keep_days
VERDICT_BYTES: Final = 64 * MIB  # bytes of verdicts of one account; about 50,000
FILES_OPEN: Final = 65_536  # descriptors we ask for; Debian gives 1024, a few hundred clients
LISTEN_BACKLOG: Final = 1024  # connections the kernel holds for us; it caps at net.core.somaxconn
CERTIFICATE_FILE: Final = 1 * MIB  # bytes of a certificate chain; real ones have under 20 KiB
CTL_LINE: Final = 1 * MIB  # bytes of a line on the control socket; a list of 10,000 accounts fits
CTL_CHUNK: Final = 64 * KIB  # bytes of one piece of a body
CTL_CONNECTIONS: Final = 100  # control connections at one time
CTL_TIMEOUT: Final = 600.0  # seconds; somebody may be typing what follows

# Names and look-ups
DNS_NAME: Final = 253  # characters of a name in text form; RFC 1035 §2.3.4, RFC 7208 §7.3
DNS_LABEL: Final = 63  # octets; RFC 1035 §2.3.4
DNS_ALIASES: Final = 16  # CNAMEs followed in one look-up; resolvers stop at about as many
DNS_RECORDS: Final = 500  # records of one answer that are kept; the largest real sets have dozens
DNS_ERROR_TEXT: Final = 200  # characters of an extended error that are kept
DNS_LOOKUP_TIMEOUT: Final = 10.0  # seconds for one look-up, every try and every server
DNS_TRY_TIMEOUT: Final = 3.0  # seconds for one question to one server
DNS_QUERIES: Final = 256  # questions under way at one time; each has a socket
DNS_QUEUE: Final = 4096  # look-ups under way or waiting for their turn; more fail at once
DNS_CACHE_ENTRIES: Final = 20_000  # answers kept; about 20 MB
DNS_CACHE_BYTES: Final = 16 * MIB  # bytes of their records
DNS_CACHE_TTL: Final = 24 * 3600  # seconds an answer is kept at most; RFC 8767 §4 caps likewise
DNS_NEGATIVE_TTL: Final = 3600  # seconds an absence is kept at most; RFC 2308 §5 says 1 to 3 hours

# Mail authentication
SPF_RECORD: Final = 16 * KIB  # bytes of a record; RFC 7208 §3.4 advises 450
SPF_LOOKUPS: Final = 10  # terms that ask the DNS; RFC 7208 §4.6.4
SPF_VOID_LOOKUPS: Final = 2  # look-ups that find nothing; RFC 7208 §4.6.4
SPF_NAMES: Final = 10  # names of one mx, of one ptr; RFC 7208 §4.6.4
SPF_PARSED: Final = 256  # parsed records kept, of at most 512 bytes each; under 15 MB at worst
SPF_PARSED_RECORD: Final = 512  # bytes; those of large providers are shorter
SPF_EXPANDED: Final = 16 * KIB  # characters of one macro expansion; names have 253 at most
SPF_EXPLANATION: Final = 800  # characters of an explanation that are kept
IPREV_NAMES: Final = 10  # names of an address that are tried; the rule of SPF
DNSBL_TEXT: Final = 500  # characters of a list's explanation that are kept
DNSBL_HEALTH_S: Final = 4 * 3600  # seconds for which a list's health is believed
DNSBL_ZONES: Final = 100  # lists whose health is remembered

# TLS policies of other domains
MTASTS_RECORD: Final = 4 * KIB  # bytes of a record; real ones have under 100
MTASTS_POLICY: Final = 64 * KIB  # bytes of a policy; RFC 8461 §3.3 advises a limit like this
MTASTS_MX: Final = 500  # hosts of a policy; real ones name under ten
MTASTS_AGE_MAX_S: Final = 31_557_600  # seconds; RFC 8461 §3.2
TLSA_RECORDS: Final = 100  # of one host that are looked at; rollovers need four
CHAIN_CERTIFICATES: Final = 20  # of a peer's chain; real ones have under five

# SMTP client, seconds; at least the minimums of RFC 5321 §4.5.3.2
CLIENT_TIMEOUT_REPLY: Final = 5 * 60.0  # greeting, EHLO, MAIL, RCPT
CLIENT_TIMEOUT_DATA_START: Final = 2 * 60.0
CLIENT_TIMEOUT_BLOCK: Final = 3 * 60.0  # for each block of data to be taken
CLIENT_TIMEOUT_DATA_END: Final = 10 * 60.0
CLIENT_TIMEOUT_QUIT: Final = 5.0  # nothing depends on it
CLIENT_TIMEOUT_DIAL: Final = 30.0  # all addresses of a host together
CLIENT_DIAL_STAGGER: Final = 1.0  # head start of an address before the next one is tried beside it
CLIENT_REPLY_LINE: Final = 2048  # bytes; RFC 5321 §4.5.3.1.5 wants 512, real servers say more
CLIENT_REPLY: Final = 64 * KIB  # bytes of one reply, all its lines
CLIENT_INPUT: Final = 1 * MIB  # bytes of replies not read yet: 1,000 recipients refused at length
CLIENT_BLOCK: Final = 64 * KIB  # bytes of content read and sent at a time
CLIENT_AT_ONCE: Final = (
    64 * KIB
)  # bytes of a message sent by BDAT before its recipients are accepted
CLIENT_HEARD: Final = 20  # replies of a conversation that are remembered for explanations
CLIENT_TIMED: Final = 500  # commands with replies timed each for itself; 5 KB each
CLIENT_KEYWORDS: Final = 100  # extensions of a server that are read; real ones have under 20

# Queue of outgoing mail
QUEUE_DELIVERIES: Final = 500  # deliveries at one time; each has a task and mostly a connection
QUEUE_DELIVERIES_FRESH: Final = 450  # of them first attempts, so that retries always come on
QUEUE_DELIVERIES_RETRY: Final = 350  # of them later ones: slow destinations leave room for new mail
QUEUE_DOMAIN_START: Final = 5  # deliveries at one time to a domain nothing is known of
QUEUE_DOMAIN_MAX: Final = 20  # deliveries at one time to a domain that answers well
QUEUE_PAUSE_START_S: Final = 5.0  # first pause of a domain that asks for less or is silent
QUEUE_PAUSE_MAX_S: Final = 300.0  # longest one; shorter than the first pause of the schedule
QUEUE_DOMAINS: Final = 10_000  # domains whose pace is remembered; 200 bytes each
QUEUE_LANES: Final = 10_000  # domains whose earliest attempt is kept in memory; 200 bytes each
QUEUE_HANDED_OVER: Final = (
    128 * KIB
)  # bytes of a new message that its delivery has from memory; with all slots in use 64 MiB
QUEUE_INLINE: Final = (
    16 * KIB
)  # bytes of a content that is a row of the index: one sync less; a larger one costs its log more
QUEUE_TAKE: Final = 64  # deliveries begun by one look at what is due
QUEUE_TAKE_ENTRIES: Final = 500  # recipients of them together; bounds the batch that begins them
QUEUE_TAKE_LANES: Final = 512  # domains looked at in one go
QUEUE_GROUP: Final = 100  # recipients of one delivery; RFC 5321 §4.5.3.1.8: servers take as many
QUEUE_ATTEMPTS_COUNTED: Final = 10  # a metric's label: later attempts count as the tenth
QUEUE_TRIES: Final = 10  # hosts of an attempt that are remembered
QUEUE_REPLIES: Final = 20  # lines of replies of a host that are remembered
QUEUE_TEXT: Final = 1000  # characters of a text of a peer that are remembered
QUEUE_LINE: Final = 400  # characters of a line of a reply that are remembered; RFC 5321 allows 510
QUEUE_HOSTS: Final = 20  # hosts of an entry, and addresses of each, that are remembered
QUEUE_SUBJECT: Final = 300  # characters of a subject that are remembered
QUEUE_SLICE: Final = 256  # entries changed by one batch
QUEUE_SCAN: Final = 4096  # rows looked at in one go by a thread; about 10 ms
QUEUE_PAGE: Final = 200  # entries read at a time for a list
QUEUE_DUMP: Final = 512 * KIB  # bytes of a message in one line of the control socket
QUEUE_NOTICES: Final = 8  # notifications delivered at one time
QUEUE_NOTICE_PAUSES_S: Final = (60.0, 3600.0)  # first and longest pause before the next try
QUEUE_NOTICE_KEEP_S: Final = 4 * 24 * 3600.0  # then a notification is lost
QUEUE_EVENTS_KEEP_S: Final = 3 * 24 * 3600.0  # seconds; webhooks try for two days
QUEUE_RETIRED_DEFAULT_S: Final = 7 * 24 * 3600.0  # seconds; of accounts that are no more
QUEUE_HOLD_RULES: Final = 1000  # each new entry is compared with all
QUEUE_RETURNED: Final = 1 * MIB  # bytes of a message that comes back whole with RET=FULL
QUEUE_STOP_GRACE: Final = 30.0  # seconds; deliveries may end by themselves at shutdown
QUEUE_RECLAIM: Final = 64 * MIB  # bytes erased before packs are looked at again

# Outgoing mail
OUTBOUND_LOOKUP: Final = 30.0  # seconds for one question on the way to a host
OUTBOUND_HOSTS: Final = 20  # mail hosts of a domain that are tried; the largest have under ten
OUTBOUND_KEPT: Final = 500  # idle connections of the worker
OUTBOUND_KEPT_HOST: Final = 10  # idle connections to one host
OUTBOUND_KEPT_S: Final = 5.0  # seconds a connection is kept; longer costs the server, not us
OUTBOUND_MESSAGES: Final = 1000  # messages on one connection; large receivers close at about 100

# MTA-STS policies of other domains; times in seconds, spec/mail-auth.md section 8
MTASTS_FETCH: Final = 60.0  # for the policy
MTASTS_ASK: Final = 30.0  # for the record
MTASTS_BACKOFF: Final = 5 * 60.0  # after a fetch that failed
MTASTS_UNUSED: Final = 180 * 24 * 3600.0  # then a policy is forgotten
MTASTS_STALE: Final = 12 * 3600.0  # then it is asked for again in the background
MTASTS_REFRESH: Final = 24 * 3600.0  # between two rounds of that
MTASTS_DOMAINS: Final = 100_000  # policies kept, about 50 MB; then the one used longest ago goes
MTASTS_FETCHES: Final = 8  # policies fetched at one time
OUTGOING_ACCOUNTS: Final = 10_000  # accounts whose sent counts are in memory; 144 numbers each
OUTGOING_ADDRESSES: Final = 50_000  # addresses written to lately, in memory; 200 bytes each

"""What an account does with incoming mail besides keeping it.    spec/config.md section 8."""

from typing import Annotated

from msgspec import Meta

from mox.config.duration import Duration
from mox.config.section import Section

Half = Annotated[float, Meta(ge=0, lt=0.5)]


class SubjectPass(Section, frozen=True, kw_only=True):
    """A way in for people whose mail is refused: the refusal has a word to put into the subject."""

    period: Annotated[
        Duration, Meta(description="The word works for so long; 0s for no such way in.")
    ] = Duration("0s")


class AutomaticJunkFlags(Section, frozen=True, kw_only=True):
    r"""Mark messages as junk or not by the mailbox they are put into. What is marked is learnt."""

    enabled: Annotated[bool, Meta(description="Mark them.")] = False
    junk_mailbox_regexp: Annotated[
        str,
        Meta(
            description="Mailboxes of junk. The expressions are searched for in the name in lower"
            " case, in this order; when two of the three are set, all other mailboxes are of the"
            " third kind."
        ),
    ] = ""
    neutral_mailbox_regexp: Annotated[str, Meta(description="Mailboxes that say nothing.")] = ""
    notjunk_mailbox_regexp: Annotated[str, Meta(description="Mailboxes of wanted mail.")] = ""


class JunkFilter(Section, frozen=True, kw_only=True):
    """Judge messages of unknown senders by their words. Without this table they are not."""

    threshold: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Meta(description="Probability from which a message is junk."),
    ] = 0.95
    onegrams: Annotated[bool, Meta(description="Count single words.")] = True
    twograms: Annotated[bool, Meta(description="Count runs of two words.")] = False
    threegrams: Annotated[bool, Meta(description="Count runs of three words.")] = False
    max_power: Annotated[
        Annotated[float, Meta(gt=0, lt=0.5)],
        Meta(description="The most a word can say: with 0.01, probability 0.01 or 0.99."),
    ] = 0.01
    top_words: Annotated[
        Annotated[int, Meta(ge=1, le=1000)],
        Meta(description="So many words that speak loudest for either side decide."),
    ] = 10
    ignore_words: Annotated[
        Half, Meta(description="Words closer than this to saying nothing (0.5) are left out.")
    ] = 0.1
    rare_words: Annotated[
        Annotated[int, Meta(ge=0, le=10)],
        Meta(description="Words seen in at most so many messages count less."),
    ] = 2


class Ruleset(Section, frozen=True, kw_only=True):
    """Messages that go elsewhere. All conditions that are set must be met; one at least is set."""

    smtp_mail_from_regexp: Annotated[
        str, Meta(description="Expression found in the address of MAIL FROM.")
    ] = ""
    msg_from_regexp: Annotated[
        str, Meta(description="Expression found in the address of the From field.")
    ] = ""
    verified_domain: Annotated[
        str,
        Meta(description="Domain, or one in it, that SPF or DKIM proved to be the sender's."),
    ] = ""
    headers_regexp: Annotated[
        dict[str, str],
        Meta(
            description="Expressions for name and value of header fields, in lower case. Each pair"
            " must be found in some field."
        ),
    ] = {}
    is_forward: Annotated[
        bool,
        Meta(
            description="The messages come from an address of yours elsewhere, so who sends them"
            " says nothing. Needs smtp_mail_from_regexp and verified_domain."
        ),
    ] = False
    list_allow_domain: Annotated[
        str,
        Meta(
            description="Domain of a mailing list: when it is verified, a message is accepted"
            " without further judgement."
        ),
    ] = ""
    accept_rejects_to_mailbox: Annotated[
        str,
        Meta(description="Accept what would be refused, into this mailbox."),
    ] = ""
    mailbox: Annotated[str, Meta(description="Mailbox for delivery.", examples=["Lists/python"])]
    comment: Annotated[str, Meta(description="For people.")] = ""

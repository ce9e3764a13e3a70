"""Numbers that must not be mixed up."""

from typing import NewType

UID = NewType("UID", int)  # u32, unique in a mailbox, never reused
Seq = NewType("Seq", int)  # 1-based position in one session's view
ModSeq = NewType("ModSeq", int)  # 63 bits, one counter per account
AccountId = NewType("AccountId", int)  # u32, first part of every key
MailboxId = NewType("MailboxId", int)  # u64, unique in an account
FileId = NewType("FileId", int)  # u64, a message's content within an account
Cid = NewType("Cid", int)  # connection id, in every log line of a connection

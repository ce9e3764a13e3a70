"""Messages: RFC 5322, MIME and friends, pure.

Doors: ``mime.parse`` gives the part tree, ``envelope`` the header values IMAP and JMAP show,
``section`` turns an IMAP section into a byte range, ``body`` decodes, ``preview`` sums up.
"""

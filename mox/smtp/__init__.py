"""The SMTP language, both sides: addresses, commands, parameters, framing, replies.

Pure: bytes and values in, values out.  Source  RFC 5321, 6409, 1870, 2920, 3207, 4954, 6152,
2034, 3463, 6531, 9422.
"""

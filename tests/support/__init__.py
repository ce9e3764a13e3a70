"""What the outside tests and the benchmarks share: clients, servers, messages, judges.

Nothing here knows the server's code: it would judge another server just as well.
"""

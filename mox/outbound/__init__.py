"""Carrying mail out: the way, the hosts, the attempt."""

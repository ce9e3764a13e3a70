"""Who sent it: SPF, DKIM, DMARC, ARC, iprev, DNS lists; pure."""

"""What TLS is asked of the servers we send to: MTA-STS, DANE, TLS reporting.    Pure."""

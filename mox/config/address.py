"""The canonical form of a local part.    spec/config.md section 7."""

from mox.config.domains import Domain


def canonical_localpart(domain: Domain, localpart: str) -> str:
    """The local part under which an address of the domain is looked up.

    Input   the local part without quotes, as the peer wrote it.
    Output  lower case unless the domain says otherwise, cut at each separator in turn; a local part
            that begins with a separator keeps nothing and becomes the empty one.
    """
    if not domain.localpart_case_sensitive:
        localpart = localpart.lower()
    for separator in domain.separators:
        localpart = localpart.partition(separator)[0]
    return localpart

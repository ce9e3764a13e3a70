"""LOGIN: user and password in two messages.    draft-murchison-sasl-login-00."""

from mox.sasl.mechanism import Mechanism, Run, ServerContext, ask
from mox.sasl.plain import check_password


def _run(_context: ServerContext, initial: bytes | None) -> Run:
    username = (yield from ask(b"Username:")) if initial is None else initial
    password = yield from ask(b"Password:")
    return (yield from check_password(username, password))


LOGIN = Mechanism(name="LOGIN", run=_run, plaintext=True)

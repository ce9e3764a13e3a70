"""Debian's rspamd as a judge of single messages: SPF, DKIM, DMARC and ARC, nothing else."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from support.counterparts import program
from support.daemon import Daemon, answers_tcp, free_port
from support.ports import HOST

CONFIG = """\
options {{
  pidfile = "{folder}/pid";
  tempdir = "{folder}";
  cache_file = "{folder}/symbols.cache";
  hs_cache_dir = "{folder}";
  url_tld = "{folder}/suffixes";
  filters = "dkim";
  check_all_filters = true;
  explicit_modules = ["settings"];
  local_addrs = "";
  task_timeout = 60s;
  dns {{
    nameserver = ["{host}:{dns}:1"];
    timeout = 5s;
    retransmits = 1;
    sockets = 4;
    enable_dnssec = false;
  }}
}}
logging {{
  type = "console";
  level = "warning";
}}
worker "normal" {{
  bind_socket = "{host}:{port}";
  count = 1;
  task_timeout = 60s;
}}
modules {{
  path = "/usr/share/rspamd/plugins/spf.lua";
  path = "/usr/share/rspamd/plugins/dmarc.lua";
  path = "/usr/share/rspamd/plugins/arc.lua";
}}
lang_detection {{ languages_enabled = "none"; }}
dkim {{ dkim_cache_size = 0; time_jitter = 0; check_local = true; check_authed = true; }}
spf {{ spf_cache_size = 0; }}
dmarc {{ check_local = true; check_authed = true; }}
arc {{ check_local = true; check_authed = true; }}
spf {{ check_local = true; check_authed = true; }}
actions {{ reject = 1000; }}
"""
# Those of the real list that tests use: reading all of it takes rspamd a quarter of a minute.
SUFFIXES = ("com", "net", "org", "uk", "co.uk", "*.ck", "!www.ck")


class Rspamd(Daemon):
    """One worker that asks the resolver at a port."""

    name = "rspamd"

    def __init__(self, dns_port: int) -> None:
        self.executable = program("rspamd")
        super().__init__()
        self.port = free_port()
        (self.folder / "suffixes").write_text("\n".join(SUFFIXES) + "\n")
        self.config = self.folder / "rspamd.conf"
        self.config.write_text(
            CONFIG.format(folder=self.folder, host=HOST, port=self.port, dns=dns_port)
        )

    def arguments(self) -> list[str]:
        """The command."""
        return [self.executable, "-f", "-i", "-c", str(self.config)]

    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return answers_tcp(self.port) and self._ping()

    def _ping(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().read().startswith(b"pong")
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def symbols(
        self,
        message: bytes,
        *,
        ip: str = "192.0.2.1",
        helo: str = "mail.example.net",
        sender: str = "x@example.net",
    ) -> Mapping[str, list[str]]:
        """What it found: symbol → its options."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        try:
            headers = {"IP": ip, "Helo": helo, "From": sender}
            connection.request("POST", "/checkv2", message, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "symbols" not in answer:
            raise RuntimeError(f"rspamd: {answer}")
        return {name: list(one.get("options", ())) for name, one in answer["symbols"].items()}

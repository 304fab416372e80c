"""TLS as it should be: certificates checked, host names too, nothing older than 1.2; and what went wrong in words.

The URL's parameters are those of redis-py: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` and so on. Ones that make the
connection unsafe are refused unless the settings allow it, and then there is a warning each time.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coordinator.errors import ConfigError

log = logging.getLogger(__name__)

# Of URLs: a connection with TLS is one of these.
SCHEMES = ("rediss", "rediss+sentinel", "rediss+cluster")
# What the parameters say when nobody says anything. Spelt out: the defaults of older redis-py are not these.
CHECKED: Mapping[str, Any] = {
    "ssl_cert_reqs": "required",
    "ssl_check_hostname": True,
    "ssl_min_version": ssl.TLSVersion.TLSv1_2,
}
_REQS = ("required", "optional", "none")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_NO = ("", "0", "f", "false", "n", "no")
_UNSAFE = "allow_insecure_tls or --insecure allows it"

# What OpenSSL says, and the way out. The first that fits counts.
TROUBLES: tuple[tuple[str, str], ...] = (
    ("certificate has expired", "the server's certificate has expired: renew it"),
    ("certificate is not yet valid", "the server's certificate is not valid yet: is the clock here right?"),
    ("ostname mismatch", "the server's certificate is for another host name: connect by the name that it has"),
    ("IP address mismatch", "the server's certificate is not for this address: connect by the name that it has"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not signed by a CA that is trusted here: name its CA with ?ssl_ca_certs=FILE",
    ),
    (
        "CERTIFICATE_REQUIRED",
        "the server asks for a certificate of ours: give it with ?ssl_certfile=FILE&ssl_keyfile=FILE",
    ),
    ("ALERT_UNKNOWN_CA", "the server does not trust the CA of our certificate (ssl_certfile)"),
    ("ALERT_PROTOCOL_VERSION", "the server speaks no TLS from 1.2 on: allow it to (tls-protocols)"),
    ("UNSUPPORTED_PROTOCOL", "the server speaks no TLS from 1.2 on: allow it to (tls-protocols)"),
    ("WRONG_VERSION_NUMBER", "the server does not speak TLS on this port: use its TLS port, or redis:// without TLS"),
    ("RECORD_LAYER_FAILURE", "the server does not speak TLS on this port: use its TLS port, or redis:// without TLS"),
)


def options(query: Mapping[str, str], shown: str, allow_insecure: bool) -> dict[str, Any]:
    """The TLS options of a connection, from the parameters of its URL. Raises ConfigError."""
    unsafe = [*_unsafe(query, shown)]
    problems = [f"url: {shown}: {name}={query[name]}: no such file" for name in _FILES if _missing(query.get(name))]
    if query.get("ssl_cert_reqs", "required") not in _REQS:
        problems.append(f"url: {shown}: ssl_cert_reqs must be one of {', '.join(_REQS)}")
    if unsafe and not allow_insecure:
        problems += [f"url: {shown}: {one}; {_UNSAFE}" for one in unsafe]
    if problems:
        raise ConfigError(problems)
    for one in unsafe:
        log.warning("insecure connection to %s: %s, so anybody on the way can read and change everything", shown, one)
    given: dict[str, Any] = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if "ssl_check_hostname" in given:
        given["ssl_check_hostname"] = given["ssl_check_hostname"].lower() not in _NO
    if "ssl_min_version" in given:
        given["ssl_min_version"] = _version(given["ssl_min_version"])
    return {**CHECKED, **given}


def problem(message: str) -> str | None:
    """What a failed connection means, if it is a matter of TLS: trying again does not help."""
    if "SSL" not in message and "certificate" not in message:
        return None
    return next((said for words, said in TROUBLES if words in message), None)


def hint(message: str) -> str:
    """What to add to the failure of a first connection: who speaks TLS to a server without it, or the other way round,
    is answered with silence or cut off."""
    cut_off = any(word in message for word in ("closed", "reset by peer", "Timeout", "no reply"))
    return " (is this a TLS port? rediss:// is with TLS, redis:// without)" if cut_off else ""


def _unsafe(query: Mapping[str, str], shown: str) -> list[str]:
    """What of the parameters makes the connection unsafe."""
    found = []
    if query.get("ssl_cert_reqs", "required") not in ("required", "optional"):
        found.append("the server's certificate is not checked (ssl_cert_reqs)")
    if query.get("ssl_check_hostname", "true").lower() in _NO:
        found.append("the server's host name is not checked (ssl_check_hostname)")
    if "ssl_exclude_verify_flags" in query:
        found.append("certificates are checked less strictly (ssl_exclude_verify_flags)")
    if _version(query.get("ssl_min_version", "")) < ssl.TLSVersion.TLSv1_2:
        found.append("TLS older than 1.2 is allowed (ssl_min_version)")
    if "ssl_ciphers" in query and _weak(query["ssl_ciphers"], shown):
        found.append("ciphers that check no certificate, or hide nothing, are allowed (ssl_ciphers)")
    return found


def _weak(ciphers: str, shown: str) -> bool:
    """Whether a server may choose a cipher without a certificate, whose checks are then none, or one without a secret.
    OpenSSL takes part in these at its lowest level of security only. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        raise ConfigError([f"url: {shown}: ssl_ciphers: OpenSSL knows no such cipher"]) from None
    return context.security_level == 0 or any(
        one["auth"] == "auth-null" or not one["strength_bits"] for one in context.get_ciphers()
    )


def _version(given: str) -> ssl.TLSVersion:
    if not given:
        return ssl.TLSVersion.TLSv1_2
    try:
        return ssl.TLSVersion(int(given))
    except ValueError:
        raise ConfigError([f"url: ssl_min_version={given!r}: give 771 for TLS 1.2 or 772 for TLS 1.3"]) from None


def _missing(path: str | None) -> bool:
    return path is not None and not Path(path).is_file()

"""The network under a destination: its name, its port, its TLS."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.ssl_match_hostname import CertificateError, match_hostname

from relais.domain.connectivity import SLOW_NAME, Advice, Found, of_certificate

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_NAMES_SHOWN = 20
_ALERT_SECONDS = 1.0
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module has no name for
_CERTIFICATE_REQUEST = 13  # RFC 8446 section 4, RFC 5246 section 7.4
_NAME_CODES = {62, 63, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, _EMAIL_, _IP_ADDRESS_
_TIME_CODES = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED: told from the dates themselves
_SELF_SIGNED_CODE = 18  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
_ISSUER_CODES = {2, 19, 20, 21, 27}  # no issuer, a root that nobody trusts


@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """Whom we trust, and who we say we are: files of PEM; `key` is in `certificate` if not given.

    Orthanc's DICOM client does not compare the name in a certificate with the host: `checks_name` is false there.
    """

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None
    checks_name: bool = True


def context_of(options: TlsOptions) -> ssl.SSLContext:
    """A context that verifies as deliveries do; raises OSError (ssl.SSLError too) where a file is no good."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.check_hostname = options.checks_name
    if options.authority is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(options.authority)
    if options.certificate is not None:
        context.load_cert_chain(options.certificate, options.key)
    return context


class Endpoint:
    """One host and port; each step leaves what the next one needs."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._addresses: list[str] = []
        self.address: str | None = None
        """The address that took a connection."""

    def resolve(self, _seconds: float) -> Found:
        """Resolve the name; the operating system decides for how long."""
        began = time.monotonic()
        facts: dict[str, Any] = {"Host": self.host}
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            silent = error.errno == socket.EAI_AGAIN
            return Found(facts=facts, advice=(Advice.NameServerSilent if silent else Advice.NameUnknown,))
        except UnicodeError:  # a label that no name can have
            return Found(facts=facts, advice=(Advice.NameUnknown,))
        self._addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        slow = time.monotonic() - began > SLOW_NAME
        facts["Addresses"] = self._addresses
        return Found(facts=facts, advice=(Advice.NameSlow,) if slow else ())

    def connect(self, seconds: float) -> Found:
        """Open and close a TCP connection to the first address that takes one."""
        facts: dict[str, Any] = {"Host": self.host, "Port": self.port}
        deadline = time.monotonic() + seconds
        dead: list[str] = []
        why = Advice.HostUnreachable
        for index, address in enumerate(self._addresses):
            wait = (deadline - time.monotonic()) / (len(self._addresses) - index)
            began = time.monotonic()
            try:
                socket.create_connection((address, self.port), max(0.1, wait)).close()
            except OSError as error:
                why = of_network_error(error)
                dead.append(address)
                continue
            self.address = address
            facts |= {"Address": address, "RoundTripMilliseconds": _milliseconds(began)}
            break
        if self.address is None:
            return Found(facts=facts, advice=(why,))
        return Found(facts=facts | ({"Dead": dead} if dead else {}), advice=(Advice.AddressesDead,) if dead else ())

    def secure(self, options: TlsOptions, seconds: float) -> Found:
        """A TLS handshake, and what the certificate says, also one that is not to be trusted."""
        deadline = time.monotonic() + seconds
        facts: dict[str, Any] = {"Host": self.host, "Port": self.port}
        try:
            context = context_of(options)
        except OSError:
            return Found(facts=facts, advice=(Advice.CertificateFile,))
        asked: list[bool] = []
        _listen(context, asked)
        advice: tuple[Advice, ...] = ()
        try:
            with self._handshake(context, deadline) as connection:
                facts |= _protocol(connection)
                certificate: Mapping[str, Any] = connection.getpeercert() or {}
                if asked and options.certificate is None:
                    advice = (_how_much_it_wants_ours(connection, deadline),)
        except ssl.SSLCertVerificationError as error:
            certificate = self._look_at_certificate(deadline, facts)
            advice = _of_verification(error.verify_code, certificate)
        except OSError as error:
            facts["ClientCertificateAsked"] = bool(asked)
            wants_ours = bool(asked) and options.certificate is None and isinstance(error, ssl.SSLError)
            return Found(facts=facts, advice=(Advice.ClientCertificateRequired if wants_ours else of_tls_error(error),))
        facts["ClientCertificateAsked"] = bool(asked)
        if certificate:
            facts |= _certificate_facts(certificate)
            advice = (*advice, *_of_content(certificate, self.host, options))
        return Found(facts=facts, advice=tuple(dict.fromkeys(advice)))

    def _handshake(self, context: ssl.SSLContext, deadline: float) -> ssl.SSLSocket:
        left = max(0.1, deadline - time.monotonic())
        plain = socket.create_connection((self.address or self.host, self.port), left)
        try:
            return context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def _look_at_certificate(self, deadline: float, facts: dict[str, Any]) -> Mapping[str, Any]:
        """The certificate of a server that we do not trust.

        The ssl module shows only what is trusted, so it is trusted for this one look; nothing but handshakes is sent.
        """
        unchecked = create_urllib3_context(cert_reqs=ssl.CERT_NONE)
        try:
            with self._handshake(unchecked, deadline) as connection:
                facts |= _protocol(connection)
                content = connection.getpeercert(binary_form=True) or b""
            trusting = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
            trusting.check_hostname = False
            trusting.load_verify_locations(cadata=content)
            trusting.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
            with self._handshake(trusting, deadline) as connection:
                return connection.getpeercert() or {}
        except OSError:
            return {}


def of_network_error(error: OSError) -> Advice:
    """Why a connection was not made."""
    if isinstance(error, TimeoutError):
        return Advice.ConnectionTimeout
    if isinstance(error, ConnectionRefusedError):
        return Advice.Refused
    if error.errno in _UNREACHABLE:
        return Advice.HostUnreachable
    return Advice.Broken


def of_tls_error(error: OSError) -> Advice:
    """Why a handshake failed that was not about the server's certificate, by OpenSSL's word for it."""
    if isinstance(error, TimeoutError):
        return Advice.NoAnswer
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return Advice.TlsNotSpoken  # it hung up on our first message
    reason = error.reason or ""
    if "CERTIFICATE_REQUIRED" in reason:
        return Advice.ClientCertificateRequired
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"):
        return Advice.TlsNotSpoken
    if "VERSION" in reason or "PROTOCOL" in reason:
        return Advice.TlsVersion
    return Advice.TlsFailed


def _listen(context: ssl.SSLContext, asked: list[bool]) -> None:
    """Note when the server asks for a client's certificate; the ssl module has no other way to know."""

    def hear(_connection: Any, direction: str, _version: Any, _content: Any, kind: Any, _data: bytes) -> None:
        if direction == "read" and kind == _CERTIFICATE_REQUEST:
            asked.append(True)

    context._msg_callback = hear  # type: ignore[attr-defined]  # noqa: SLF001


def _how_much_it_wants_ours(connection: ssl.SSLSocket, deadline: float) -> Advice:
    """With TLS 1.3 the server says only after the handshake that it would not do without (RFC 8446 section 4.4.2.4)."""
    connection.settimeout(max(0.1, min(_ALERT_SECONDS, deadline - time.monotonic())))
    try:
        ended = connection.recv(1) == b""
    except TimeoutError:
        ended = False
    except OSError:
        ended = True
    return Advice.ClientCertificateRequired if ended else Advice.ClientCertificateAsked


def _protocol(connection: ssl.SSLSocket) -> dict[str, Any]:
    cipher = connection.cipher()
    return {"Protocol": connection.version(), "Cipher": cipher[0] if cipher else None}


def _of_verification(code: int, certificate: Mapping[str, Any]) -> tuple[Advice, ...]:
    """What OpenSSL minds first; dates and names are looked at besides, where the certificate could be read."""
    if code == _SELF_SIGNED_CODE:
        return (Advice.CertificateSelfSigned,)
    if code in _ISSUER_CODES:
        return (Advice.CertificateIssuer,)
    if code in _NAME_CODES:
        return (Advice.CertificateName,)
    if code in _TIME_CODES:
        return () if certificate else (Advice.CertificateExpired,)
    return (Advice.CertificateInvalid,)


def _of_content(certificate: Mapping[str, Any], host: str, options: TlsOptions) -> tuple[Advice, ...]:
    advice = of_certificate(_moment(certificate["notBefore"]), _moment(certificate["notAfter"]), datetime.now(UTC))
    try:
        match_hostname(dict(certificate), host)  # type: ignore[arg-type]  # urllib3 types it as its own dictionary
    except CertificateError:
        advice = (*advice, Advice.CertificateName if options.checks_name else Advice.CertificateNameUnchecked)
    return advice


def _certificate_facts(certificate: Mapping[str, Any]) -> dict[str, Any]:
    ends = _moment(certificate["notAfter"])
    return {
        "Subject": _distinguished(certificate.get("subject", ())),
        "Issuer": _distinguished(certificate.get("issuer", ())),
        "Names": [f"{value}" for _kind, value in certificate.get("subjectAltName", ())][:_NAMES_SHOWN],
        "NotBefore": _moment(certificate["notBefore"]).isoformat(),
        "NotAfter": ends.isoformat(),
        "DaysLeft": (ends - datetime.now(UTC)).days,
    }


def _distinguished(name: Any) -> str:
    """A distinguished name as `commonName=vna.example, organizationName=Clinic`."""
    return ", ".join(f"{key}={value}" for part in name for key, value in part)


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _milliseconds(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)

"""Certificates of an authority of our own, good and bad ones, made with openssl."""

import ssl
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

NAMES = ("DNS:localhost", "IP:127.0.0.1")


class Authority:
    """Issues certificates; `certificate` is the file that whoever trusts it names."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder / name
        (self._folder / "issued").mkdir(parents=True)
        (self._folder / "index").touch()
        self.certificate = self._folder / "authority.pem"
        self._key = self._folder / "authority.key"
        self._self_signed(f"/CN={name}", self.certificate, self._key, "basicConstraints=critical,CA:TRUE")

    def issue(
        self,
        name: str,
        *,
        names: Sequence[str] = NAMES,
        starts: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=365),
    ) -> Path:
        """A file with a certificate and its key; `starts` and `ends` are seen from now."""
        request, key, done = (self._folder / f"{name}.{suffix}" for suffix in ("request", "key", "pem"))
        _openssl("req", "-new", *_NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        settings = self._folder / f"{name}.conf"
        settings.write_text(
            f"[ca]\ndefault_ca=ours\n[ours]\ndatabase={self._folder}/index\nnew_certs_dir={self._folder}/issued\n"
            f"default_md=sha256\npolicy=any\nrand_serial=yes\nunique_subject=no\n[any]\ncommonName=supplied\n"
            f"[more]\nsubjectAltName={','.join(names)}\nauthorityKeyIdentifier=keyid\n"
        )
        dates = [_moment(starts), "-enddate", _moment(ends)]
        ours = ["-cert", str(self.certificate), "-keyfile", str(self._key)]
        asked = ["-in", str(request), "-out", str(done), "-extensions", "more", "-startdate", *dates]
        _openssl("ca", "-batch", "-notext", "-config", str(settings), *ours, *asked)
        done.write_text(done.read_text() + key.read_text())
        return done

    def self_signed(self, name: str) -> Path:
        """A file with a certificate that nobody issued, and its key."""
        key, done = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        self._self_signed(f"/CN={name}", done, key, f"subjectAltName={','.join(NAMES)}")
        done.write_text(done.read_text() + key.read_text())
        return done

    def _self_signed(self, subject: str, certificate: Path, key: Path, extension: str) -> None:
        named = ["-keyout", str(key), "-out", str(certificate), "-subj", subject]
        _openssl("req", "-x509", *_NEW_KEY, *named, "-days", "365", "-addext", extension)


def serving(certificate: Path, *, asks: Authority | None = None, requires: bool = True) -> ssl.SSLContext:
    """What a server shows; with `asks` it wants a certificate of that authority, if it `requires` one at all costs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if asks is not None:
        context.load_verify_locations(asks.certificate)
        context.verify_mode = ssl.CERT_REQUIRED if requires else ssl.CERT_OPTIONAL
    return context


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _moment(span: timedelta) -> str:
    return (datetime.now(UTC) + span).strftime("%Y%m%d%H%M%SZ")


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

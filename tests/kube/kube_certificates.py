"""Certificates of servers on loopback: good, expired, or of an authority nobody knows."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

AUTHORITY = """
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
default_md = sha256
rand_serial = yes
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
basicConstraints = critical,CA:true
keyUsage = critical,digitalSignature,keyCertSign
subjectAltName = IP:127.0.0.1
[req]
distinguished_name = name
[name]
"""


def certificate(folder: Path, name: str, until: str = "20991231000000Z") -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, good from 2020 `until` then, and its key."""
    own = folder / name
    own.mkdir()
    (own / "index").touch()
    (own / "config").write_text(AUTHORITY.format(folder=own))
    cert, key, request = own / "crt", own / "key", own / "csr"
    new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"]
    sign = ["ca", "-batch", "-selfsign", "-keyfile", key, "-in", request, "-notext", "-out", cert]
    dates = ["-startdate", "20200101000000Z", "-enddate", until]
    for command in ([*new, "-keyout", key, "-out", request], [*sign, *dates]):
        subprocess.run(["openssl", *command, "-config", own / "config"], check=True, capture_output=True)
    return cert, key


def serving_as(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context

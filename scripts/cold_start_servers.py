"""AWS and Stripe over TLS on this machine, with canned answers, for `make import-times`."""

import datetime as dt
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "localhost"
WEBHOOK_SECRET = "whsec_cold"  # noqa: S105 - it protects nothing
_VALID = dt.timedelta(days=1)


def certificate(folder: Path) -> tuple[Path, str]:
    """A file with a new key and its certificate for this machine, and the certificate alone as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(private + pem)
    return file, pem.decode()


@contextmanager
def servers(pem: Path) -> Iterator[str]:
    """The address of a server that answers as AWS and as Stripe do, until the block ends."""
    server = ThreadingHTTPServer((HOST, 0), _Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(_SESSION if "/checkout/sessions/" in self.path else {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if operation == "BatchGetItem":
            tables = json.loads(body)["RequestItems"]
            self._answer({"Responses": {table: _ITEMS.get(table, []) for table in tables}, "UnprocessedKeys": {}})
        elif operation == "GetParameter":
            value = WEBHOOK_SECRET if b"webhook" in body else "sk_test_cold"
            self._answer({"Parameter": {"Name": "key", "Type": "SecureString", "Value": value}})
        else:
            self._answer({} if operation else _SESSION)

    def _answer(self, body: Any) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def _times(now: dt.datetime) -> tuple[str, str]:
    return now.isoformat(), (now + dt.timedelta(hours=23)).isoformat()


_NOW, _LATER = _times(dt.datetime.now(dt.UTC))
_RESERVATION = {
    "reservation_id": {"S": "RES-1"},
    "customer_id": {"S": "CUST-1"},
    "check_in": {"S": "2027-01-04"},
    "check_out": {"S": "2027-01-05"},
    "status": {"S": "pending"},
    "total_amount": {"N": "45000"},
    "created_at": {"S": _NOW},
}
_PAYMENT = {
    "payment_id": {"S": "PAY-RES-1"},
    "reservation_id": {"S": "RES-1"},
    "status": {"S": "pending"},
    "hold_expires_at": {"S": _LATER},
    "success_url": {"S": "https://stay.example/success"},
    "cancel_url": {"S": "https://stay.example/cancel"},
    "created_at": {"S": _NOW},
    "updated_at": {"S": _NOW},
}
_ITEMS = {
    "reservations": [_RESERVATION],
    "payments": [_PAYMENT],
    "availability": [{"date": {"S": "2027-01-04"}, "status": {"S": "booked"}, "reservation_id": {"S": "RES-1"}}],
}
_SESSION = {
    "id": "cs_test_cold",
    "object": "checkout.session",
    "status": "open",
    "payment_status": "unpaid",
    "url": "https://checkout.stripe.example/cold",
    "expires_at": int(time.time()) + 1800,
}

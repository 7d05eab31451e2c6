"""Fetching from servers that misbehave: each image ends as it should, within its time limit."""

import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.labelling.fetching.addresses import refusal
from jobs.labelling.fetching.fetcher import Fetcher
from jobs.labelling.fetching.network import resolve_name
from jobs.labelling.fetching.patience import backoff, retry_after, worth_asking_again
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.rejection import ImageRejectedError
from tests.jobs.labelling.awkward_server import awkward_server

IMAGE = b"\xff\xd8\xff" + b"image" * 100
LIMIT = 1_000_000
HERE = (ip_network("127.0.0.1"),)
SETTINGS = FetchSettings(
    connect_seconds=1, read_seconds=0.5, total_seconds=3, redirects=3, retries=2, allowed_networks=HERE
)


@pytest.fixture(scope="module")
def server():
    with awkward_server({"a.jpg": IMAGE}) as running:
        yield running


def rejected(url, settings=SETTINGS, resolve=None):
    """Gives why a URL is rejected, once it is clear that this took no longer than allowed."""
    started = time.monotonic()
    with pytest.raises(ImageRejectedError) as caught:
        Fetcher(settings, resolve).fetch(url, LIMIT)
    assert time.monotonic() - started < settings.total_seconds + 2, "the time limit does not hold"
    return caught.value


@pytest.mark.parametrize("path", ["/images/a.jpg", "/to/?/images/a.jpg", "/busy/1/0/a.jpg", "/reset/2/a.jpg"])
def test_an_image_is_fetched_in_spite_of_a_redirect_a_429_and_broken_connections(server, path):
    assert Fetcher(SETTINGS).fetch(server.url(path), LIMIT) == IMAGE


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/stall/1", "timed out after 0.5 s of silence, 3 times"),
        ("/reset/99/a.jpg", "the connection broke"),
        ("/short/a.jpg", "the connection broke"),
        ("/nonsense/", "the connection broke"),
        ("/loop/", "more than 3 redirects"),
        (
            "/to/?http://169.254.169.254/latest/meta-data/",
            "redirected to a refused address: 169.254.169.254 is link-local",
        ),
        ("/to/?http://[::ffff:10.0.0.1]/", "redirected to a refused address: ::ffff:10.0.0.1 is private"),
        ("/to/?file:///etc/passwd", "redirected to file:// URL"),
        ("/to/?http://", "redirected to http:// URL; accepted: http and https, with a host"),
        ("/to/?//169.254.169.254/latest/", "redirected to a refused address: 169.254.169.254 is link-local"),
        (
            "/to/?http://0xa9fea9fe/",
            "redirected to a refused address: 0xa9fea9fe is 169.254.169.254, which is link-local",
        ),
        ("/drip/a.jpg", "not there after 3 s"),
        ("/dripheaders/", "not there after 3 s"),
        ("/status/404", "the server answers 404"),
        ("/status/503", "the server answers 503, 3 times"),
        ("/status/204", "the server answers 204"),
        ("/busy/99/3600/a.jpg", "the server answers 429 and asks to wait 3600 s; 3 of 3 s were left"),
        ("/gzip/a.jpg", "Content-Encoding 'gzip'"),
    ],
)
def test_each_kind_of_trouble_ends_within_the_time_limit_and_says_what_it_was(server, path, detail):
    trouble = rejected(server.url(path))
    assert trouble.reason == "fetch_failed"
    assert detail in trouble.detail
    assert "\n" not in trouble.detail


def test_10_gb_are_refused_as_soon_as_they_are_declared(server):
    trouble = rejected(server.url("/declared/"))
    assert (trouble.reason, trouble.detail) == ("too_large", "declared as 10000.0 MB, over 1")


def test_a_body_without_end_is_left_at_the_limit(server):
    assert rejected(server.url("/endless/")).reason == "too_large"
    assert server.sent["/endless/"] < 30 * LIMIT  # what the system's buffers took


def test_a_refused_answer_is_not_asked_for_again(server):
    rejected(server.url("/status/410"))
    assert server.asked["/status/410"] == 1


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://127.0.0.1:{port}/images/a.jpg", "refused: 127.0.0.1 is loopback; accepted: public addresses"),
        ("http://localhost:{port}/", "refused: localhost is"),
        ("http://2130706433:{port}/", "which is loopback"),
        ("http://0x7f.1:{port}/", "which is loopback"),
        ("http://0177.0.0.1:{port}/", "is no URL"),
        ("http://127.1:{port}/", "which is loopback"),
        ("http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/", "fetch_failed"),
        ("http://public.example@127.0.0.1:{port}/", "refused: 127.0.0.1 is loopback"),
        ("http://127.0.0.1:{port}#@public.example/", "refused: 127.0.0.1 is loopback"),
        ("http://127.0.0.1:{port}\\@public.example/", "fetch_failed"),
        ("http://127.0.0.1:{port}%2f@public.example/", "fetch_failed"),
        ("http://[::127.0.0.1]:{port}/", "is loopback"),
        ("http://[64:ff9b::7f00:1]:{port}/", "is loopback"),
        ("http://127.0.0.1:{port}/ HTTP/1.1\r\nX-Injected: yes\r\n\r\n", "fetch_failed"),
        ("http+unix://%2fvar%2frun%2fdocker.sock/", "fetch_failed"),
        ("http://[::1]:{port}/", "refused: ::1 is loopback"),
        ("http://[::ffff:127.0.0.1]:{port}/", "is loopback"),
        ("http://0.0.0.0:{port}/", "is unspecified"),
        ("ftp://127.0.0.1/a.jpg", "is ftp:// URL; accepted: http and https"),
        ("http://user name@/", "fetch_failed"),
        ("http://nobody.invalid/", "there is no host nobody.invalid"),
        ("http://x" + "y" * 300 + "/", "fetch_failed"),
    ],
)
def test_addresses_that_are_not_public_are_refused_unless_allowed(server, url, detail):
    trouble = rejected(url.format(port=server.port), replace(SETTINGS, allowed_networks=(), retries=0))
    assert detail in str(trouble)


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(server):
    """DNS rebinding: a public address for the check, this machine for the connection."""
    answers = []

    def rebinding(host, port):
        answers.append(host)
        return ["192.0.2.1"] if len(answers) == 1 else ["127.0.0.1"]

    trouble = rejected(server.url("/images/a.jpg", "rebind.example"), replace(SETTINGS, allowed_networks=()), rebinding)
    assert trouble.detail.startswith("refused: rebind.example is 192.0.2.1, which is private")
    assert answers == ["rebind.example"]

    def mixed(host, port):
        answers.append(host)
        return ["10.0.0.1", "127.0.0.1"]

    asked = len(answers)
    assert Fetcher(SETTINGS, mixed).fetch(server.url("/images/a.jpg", "mixed.example"), LIMIT) == IMAGE
    assert len(answers) == asked + 1
    assert server.headers["/images/a.jpg"]["Host"] == f"mixed.example:{server.port}"


def test_a_name_that_is_slow_to_resolve_does_not_hold_up_the_image():
    done = threading.Event()

    def slow(host, port):
        done.wait(20)
        return ["127.0.0.1"]

    settings = replace(SETTINGS, connect_seconds=0.3, retries=0)
    assert "no connection within 0.3 s" in rejected("http://slow.example/", settings, slow).detail
    done.set()


def test_credentials_stay_with_the_host_they_were_given_for(server):
    with awkward_server({"a.jpg": IMAGE}) as other:
        url = server.url(f"/to/?{other.url('/images/a.jpg')}").replace("//", "//me:s%65cret@", 1)
        assert Fetcher(SETTINGS).fetch(url, LIMIT) == IMAGE
        assert server.headers["/to/"]["Authorization"] == "Basic bWU6c2VjcmV0"
        assert "Authorization" not in other.headers["/images/a.jpg"]
        assert "s%65cret" not in rejected(url.replace("/images/a.jpg", "/status/404")).detail


def test_a_host_is_not_asked_more_than_so_often_at_once_while_others_wait_for_their_turn():
    settings = replace(SETTINGS, per_host=2, total_seconds=0.5)
    with awkward_server({"a.jpg": IMAGE}, latency=0.1) as server, ThreadPoolExecutor(16) as threads:
        fetcher = Fetcher(settings)
        urls = [server.url("/images/a.jpg")] * 16
        assert set(threads.map(lambda url: fetcher.fetch(url, LIMIT), urls)) == {IMAGE}
        assert server.most_at_once == 2


def test_tls_checks_the_certificate_against_the_name_and_not_the_address(server, tmp_path, monkeypatch):
    certificate, key = certificate_for("images.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with awkward_server({"a.jpg": IMAGE}) as secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        fetcher = Fetcher(SETTINGS, lambda host, port: ["127.0.0.1"])
        assert fetcher.fetch(f"https://images.example:{secure.port}/images/a.jpg", LIMIT) == IMAGE
        with pytest.raises(ImageRejectedError, match="its certificate is not trusted: Hostname mismatch"):
            fetcher.fetch(f"https://other.example:{secure.port}/images/a.jpg", LIMIT)


def certificate_for(name, folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        *[(one, "private") for one in ("10.0.0.1", "172.16.0.1", "192.168.1.1", "fc00::1", "fec0::1", "192.0.2.1")],
        *[(one, "loopback") for one in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1")],
        *[(one, "link-local") for one in ("169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.1.1")],
        *[(one, "multicast") for one in ("224.0.0.1", "239.255.255.255", "ff02::1")],
        *[(one, "reserved") for one in ("240.0.0.1", "255.255.255.255", "100.64.0.1", "4000::1")],
        *[(one, "unspecified") for one in ("0.0.0.0", "::")],  # noqa: S104
        *[(one, "private") for one in ("2002:0a00:0001::", "64:ff9b::10.0.0.1", "64:ff9b::a00:1")],
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "private"),  # Teredo, with 10.0.0.1 behind it
        ("not an address", "no IP address"),
        *[(one, None) for one in ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8")],
    ],
)
def test_only_public_addresses_may_be_reached(address, kind):
    assert refusal(address, ()) == kind


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_within_ipv6_is_judged_as_it_is_alone(address):
    assert refusal(f"::ffff:{address}", ()) == refusal(str(address), ())
    if refusal(str(address), ()):
        assert refusal(f"64:ff9b::{address}", ())


@given(st.ip_addresses())
def test_no_address_that_python_calls_special_may_be_reached(address):
    address = getattr(address, "ipv4_mapped", None) or address
    special = (
        address.is_private, address.is_loopback, address.is_link_local, address.is_multicast, address.is_reserved
    )  # fmt: skip
    assert refusal(str(address), ()) or not any(special)
    assert refusal(str(address), (ip_network(f"{address}"),)) is None


def test_a_network_that_is_allowed_is_allowed_within_ipv6_too():
    assert refusal("::ffff:10.1.2.3", (ip_network("10.1.0.0/16"),)) is None
    assert refusal("10.2.0.1", (ip_network("10.1.0.0/16"),)) == "private"


def test_names_of_this_machine_resolve_to_its_addresses():
    assert all(ip_address(one).is_loopback for one in resolve_name("localhost", 80))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 0 ", 0), ("Thu, 05 Mar 2026 12:00:30 GMT", 30), ("Thu, 05 Mar 2026 11:00:00 GMT", 0)]
    + [(nothing, None) for nothing in (None, "", "soon", "-3", "1.5", "Thu, 99 Mar 2026", "٣")],
)
def test_a_server_may_ask_to_wait_in_seconds_or_until_a_date(value, seconds):
    assert retry_after(value, datetime(2026, 3, 5, 12, tzinfo=UTC)) == seconds


def test_waits_double_up_to_a_limit_and_are_never_the_same_for_two_clients():
    assert [backoff(attempt, 1.0) for attempt in (1, 2, 3, 99)] == [0.25, 0.5, 1.0, 8.0]
    assert backoff(3, 0.0) == 0.5


def test_only_what_may_pass_is_asked_for_again():
    again = {status for status in range(600) if worth_asking_again(status)}
    assert again == {408, 425, 429, 500, 502, 503, 504}

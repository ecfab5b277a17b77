"""`python -m local`: what it accepts, what it prints, and how it ends."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
import requests

import local.__main__
from local.aws.dynamodb_local import free_port
from local.command_line import Arguments, parse
from local.demo.demo_booking import wrapped
from tests.harness.tables import in_table
from tests.harness.waiting import wait_until

COMMAND = [sys.executable, "-m", "local"]


class Served(NamedTuple):
    process: subprocess.Popen[str]
    printed: str
    url: str


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """`python -m local --port 0`, once it is ready."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = ""
        while not (ready := re.search(r"^ready (http://127\.0\.0\.1:\d+)\n", printed, re.MULTILINE)):
            line = process.stdout.readline()
            assert line, f"it ended after {printed!r}"
            printed += line
        try:
            yield Served(process, printed, ready[1])
        finally:
            process.kill()


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that `python -m local` prints before it exits with code 2."""
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    assert exit_.value.code == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    return output.err.removeprefix("python -m local: ").removesuffix(" (see --help)\n")


def test_it_serves_on_port_8400_unless_told_otherwise() -> None:
    assert parse([]) == Arguments("serve", 8400, {}, None, pulumi=False)
    assert parse(["--port", "8500"]).port == 8500
    assert parse(["--port", "0"]).port == 0
    assert parse(["demo"]) == Arguments("demo", 0, {}, None, pulumi=False)


def test_configuration_keys_are_taken_with_their_values() -> None:
    arguments = parse(["demo", "--set", "holdSeconds=90", "--set", "stripeApiBase=http://127.0.0.1:1/a=b", "--pulumi"])
    assert arguments.config == {"holdSeconds": "90", "stripeApiBase": "http://127.0.0.1:1/a=b"}
    assert arguments.pulumi


@in_table()
def test_a_wrong_setting_is_named_with_what_was_expected(
    capsys: pytest.CaptureFixture[str], assignment: str, message: str
) -> None:
    assert error_of(capsys, "--set", assignment) == f"argument --set: {message}"


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "8400.5", ""])
def test_a_wrong_port_is_named_with_what_was_expected(capsys: pytest.CaptureFixture[str], port: str) -> None:
    expected = f"argument --port: expected a number from 0 (any free port) to 65535, got {port!r}"
    assert error_of(capsys, f"--port={port}") == expected


@in_table()
def test_an_unknown_argument_is_named_with_the_nearest_one(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert error_of(capsys, *arguments) == message


def test_a_port_in_use_is_reported_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"cannot listen on port {port}: it is already in use; choose another with --port, or 0 for any free one\n"
    )


def test_a_sandbox_key_without_its_webhook_secret_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_1")
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET", raising=False)
    assert local.__main__.main([]) == 2
    assert capsys.readouterr().err.startswith("STRIPE_SECRET_KEY is set, but STRIPE_WEBHOOK_SECRET is not: ")


def test_it_prints_where_to_go_next(served: Served) -> None:
    assert re.fullmatch(
        rf"Shop +{served.url}/, for guests\n"
        rf"Console +{served.url}/console, for operators\n"
        rf"Reference +{served.url}/docs, for developers\n"
        rf"API +{served.url}/api\n"
        rf"Pay page +{served.url}/stripe/pay/\{{session_id\}}, .+\n"
        rf"Admin API +{served.url}/local/ .+\n"
        rf"Stripe +the fake, {served.url}/stripe/v1\n"
        r"Log +/.+/build/local/functions-\d+\.log\n"
        r"Docs +README\.md .+\n"
        r"Ctrl-C stops it\.\n"
        rf"ready {served.url}\n",
        served.printed,
    )
    assert not served.url.endswith(":0")


def test_it_says_that_stripe_is_the_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    stack: Any = SimpleNamespace(url="http://127.0.0.1:8400", log="functions.log")
    local.__main__._print_addresses(cast("Any", stack), {"secret_key": "sk_test_1"})
    assert "Stripe      the sandbox of STRIPE_SECRET_KEY\n" in capsys.readouterr().out


def test_the_admin_api_lists_its_addresses(served: Served) -> None:
    addresses = requests.get(f"{served.url}/local/", timeout=10).json()
    assert addresses["GET /local/executions"] == "The executions of a `workflow`, payment or refund, oldest first."
    assert [address for address, description in addresses.items() if not description] == []


@in_table()
def test_the_admin_api_refuses_unknown_query_parameters(
    served: Served, method: str, address: str, message: str
) -> None:
    answer = requests.request(method, f"{served.url}/local/{address}", json={}, timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"error": message})


@in_table()
def test_the_admin_api_says_what_is_wrong(
    served: Served, method: str, address: str, body: str | None, answer: list[Any]
) -> None:
    headers = {"content-type": "application/json"}
    got = requests.request(method, f"{served.url}/local/{address}", data=body, headers=headers, timeout=10)
    assert [got.status_code, got.json()["error"]] == answer


def test_the_admin_api_names_a_missing_content_type(served: Served) -> None:
    answer = requests.post(f"{served.url}/local/reservations", data='{"nights": 2}', timeout=10)
    message = "the body must be a JSON object, sent with the header content-type: application/json"
    assert (answer.status_code, answer.json()) == (422, {"error": message})


def test_the_admin_api_accepts_the_query_parameters_that_it_knows(served: Served) -> None:
    answer = requests.get(f"{served.url}/local/executions?workflow=refund", timeout=10)
    assert (answer.status_code, answer.json()) == (200, [])


def test_ctrl_c_ends_it_without_a_traceback(served: Served) -> None:
    """The last test that uses the process."""
    served.process.send_signal(signal.SIGINT)
    _, errors = served.process.communicate(timeout=60)
    assert (served.process.returncode, errors) == (0, "stopping; press Ctrl-C again to quit immediately\n")


@pytest.mark.parametrize("phase", ["imports", "deployment"])
def test_ctrl_c_during_the_start_ends_it_without_a_traceback(phase: str) -> None:
    port = free_port()
    with subprocess.Popen(
        [*COMMAND, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if phase == "imports":
            time.sleep(0.5)
        else:
            wait_until(lambda: listens(port), f"port {port} to listen, which it does before the deployment")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "stopping; press Ctrl-C again to quit immediately\n")


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_demo_wraps_its_lines_at_the_terminals_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    states = "states: RecordPayment → CreateCheckoutSession → AwaitPayment → VerifyPayment → NextStep?"
    assert wrapped(states, indent=4) == (
        "    states: RecordPayment → CreateCheckoutSession →\n      AwaitPayment → VerifyPayment → NextStep?"
    )

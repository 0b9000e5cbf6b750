"""Requests that schemathesis makes up from /openapi.json, and answers that have to be as it says there."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.soak.service.harness import Check, Outcome, Serve

SECONDS, SECONDS_QUICK = 60, 10
CONFORMANCE = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def schema(serve: Serve, quick: bool) -> Outcome:
    """What schemathesis makes up from /openapi.json, for a minute: status, content type and body have to be as described."""
    if importlib.util.find_spec("schemathesis") is None:
        raise RuntimeError("schemathesis is not installed; pip install 'inkdigits[soak]'")
    with serve() as server, tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        seconds = SECONDS_QUICK if quick else SECONDS
        command = [
            *(
                sys.executable,
                "-m",
                "schemathesis.cli",
                "run",
                f"http://{server.host}:{server.port}/openapi.json",
            ),
            *(
                "--checks",
                ",".join(CONFORMANCE),
                "--continue-on-failure",
                "--no-color",
                "--warnings",
                "off",
            ),
            *("--max-time", str(seconds), "--seed", "1", "--request-timeout", "10"),
            *("--report", "json", "--report-json-path", str(report)),
        ]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=4 * seconds + 60
        )
        if done.returncode not in (0, 1) or not report.is_file():
            raise RuntimeError(
                f"schemathesis did not run: {done.stdout[-500:]}{done.stderr[-500:]}"
            )
        told = json.loads(report.read_text())
    return _outcome(told, done.returncode)


def _outcome(told: dict[str, Any], status: int) -> Outcome:
    cases, operations = told["test_cases"], told["operations"]
    failures = [json.dumps(failure) for failure in told["failures"]]
    if operations["tested"] < operations["total"]:
        failures.append(
            f"only {operations['tested']} of {operations['total']} operations were tried"
        )
    result = f"{cases['with_failures']} failures, {operations['tested']} of {operations['total']} operations"
    wanted = "0 x 5xx; every status, content type and body as described"
    passed = status == 0 and not failures and cases["errored"] == 0
    return Outcome(passed, f"{cases['generated']:,} requests", result, wanted, tuple(failures))


CHECKS = {"schema": Check(schema, "other_answers_than_described")}

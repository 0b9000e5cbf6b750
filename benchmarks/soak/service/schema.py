"""Requests that schemathesis makes up from /openapi.json; answers have to be as it says there."""

import json
import subprocess
import sys

from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import other_answers_than_described
from benchmarks.soak.service.harness import Server

CONFORMANCE = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance"
)
OPTIONS = (
    f"--checks {CONFORMANCE} --continue-on-failure --no-color --warnings off --seed 1 "
    "--request-timeout 10 --report json --report-json-path"
)


def schema(trial: Trial) -> Outcome:
    """Send what schemathesis makes up from /openapi.json, for a minute; compare with it.

    Status, content type and body are compared.
    """
    report = trial.folder / "report.json"
    seconds = trial.choose(60, 10)
    with Server(trial) as server:
        address = f"http://{server.host}:{server.port}/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", address]
        command += [*OPTIONS.split(), str(report), "--max-time", str(seconds)]
        done = subprocess.run(
            command, cwd=trial.folder, capture_output=True, text=True, timeout=4 * seconds + 60
        )

    if done.returncode not in (0, 1) or not report.is_file():
        raise RuntimeError(f"schemathesis did not run: {done.stdout[-500:]}{done.stderr[-500:]}")

    told = json.loads(report.read_text())
    cases = told["test_cases"]
    operations = told["operations"]
    tried = f"{operations['tested']} of {operations['total']} operations"
    failures = [json.dumps(failure) for failure in told["failures"]]
    if operations["tested"] < operations["total"]:
        failures.append(f"only {tried} were tried")

    if done.returncode or cases["errored"]:
        failures.append(f"exit status {done.returncode}, {cases['errored']} errors")

    result = f"{cases['with_failures']} failures, {tried}"
    return Outcome(f"{cases['generated']:,} requests", result, failures)


CHECKS = (
    Check(
        schema,
        "0 x 5xx; every status, content type and body as described",
        other_answers_than_described,
    ),
)

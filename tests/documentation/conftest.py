"""The documentation as pages and as a site, which several files of tests look at."""

import subprocess
import sys
from pathlib import Path

import pytest
from documented import ROOT, build_site


@pytest.fixture(scope="session")
def assembled(tmp_path_factory) -> Path:
    """The pages in Markdown, with all that they include."""
    folder = tmp_path_factory.mktemp("assembled") / "docs"
    command = [sys.executable, "docs/assemble.py", folder]
    subprocess.run(command, check=True, cwd=ROOT, timeout=600)
    return folder


@pytest.fixture(scope="session")
def site(assembled) -> Path:
    """The site. Building it is strict: a dead link, or a page missing in the navigation, fails."""
    folder = assembled.parent / "site"
    done = build_site(assembled, folder)
    assert done.returncode == 0, done.stderr
    return folder

"""The systemd unit: systemd reads it, and its commands exist."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import MEMBERS, ROOT, command, require_or_skip

UNIT = ROOT / "docker" / "its-proxy.service"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        require_or_skip("no systemd-analyze")
    text = UNIT.read_text("utf-8").replace(
        "/opt/its-proxy/bin/its-proxy", shutil.which("true") or ""
    )
    unit = tmp_path / UNIT.name
    unit.write_text(text, "utf-8")
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")


def test_the_unit_says_by_variables_what_the_commands_need(tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8")
    assert "ITS_CONFIG=" in text
    assert "ITS_PORT=" in text
    assert "ExecStart=/opt/its-proxy/bin/its-proxy serve\n" in text
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", "http://127.0.0.1:9"), "utf-8")
    ended = command("proxy", "check", "--quiet", env={"ITS_CONFIG": str(file)})
    assert ended.returncode == 0
    assert "panel vote3" in ended.stdout

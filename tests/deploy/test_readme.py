"""The page of `deploy/`: it names every file, links lead somewhere, a shell takes its commands."""

from __future__ import annotations

import re
import subprocess

import pytest
import ray
import yaml

from tests.pages import ROOT, anchors

FOLDER = ROOT / "deploy"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
FILES = sorted(path.name for path in FOLDER.iterdir() if path.name != "README.md")


def console() -> list[str]:
    """Return the commands that a reader would type."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    prompts = (re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] for block in blocks)
    return [command.strip() for commands in prompts for command in commands]


@pytest.mark.parametrize("name", FILES)
def test_each_file_has_a_row_that_says_what_was_checked_and_what_was_not(name: str) -> None:
    (row,) = re.findall(rf"^\| [^|]+ \| \[{name}\]\({name}\) \|(.*)\|$", PAGE, re.MULTILINE)
    checked, unchecked = row.split(" | ")
    assert checked.strip()
    assert unchecked.strip()


def test_its_links_and_those_to_it_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        assert (FOLDER / file).exists(), target
        assert not anchor or anchor in anchors((FOLDER / file).read_text(encoding="utf-8"))
    for page in ("README.md", "docs/sweeps.md"):
        assert "deploy/README.md)" in (ROOT / page).read_text(encoding="utf-8"), page


def test_a_shell_takes_every_command_and_every_file_is_used_by_one() -> None:
    assert len(console()) >= 6
    for command in console():
        parsed = subprocess.run(
            ["bash", "-n"], input=command, capture_output=True, text=True, check=False
        )
        assert (parsed.returncode, parsed.stderr) == (0, ""), command
    for name in FILES:
        assert any(f"deploy/{name}" in command for command in console()), name


def test_image_and_secret_are_those_of_the_job() -> None:
    _, job = yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text(encoding="utf-8"))
    cluster = job["spec"]["rayClusterSpec"]
    assert f"FROM rayproject/ray:{cluster['rayVersion']}-py311-gpu" in PAGE
    secret = cluster["authOptions"]["secretName"]
    assert any(f"secret generic {secret} --from-file=auth_token=" in c for c in console())


def test_the_ray_that_it_asks_for_is_that_of_these_tests() -> None:
    assert f"`ray` {ray.__version__} and" in PAGE

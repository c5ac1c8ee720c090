"""What surrounds the package: what is installed, what is pinned, what is published, where things are."""

import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import flit_core.buildapi
import pytest
import yaml
from bs4 import BeautifulSoup
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rnn_notes

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def files(pattern):
    return {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.is_file()}


def test_a_reader_installs_the_package_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    wheel = flit_core.buildapi.build_wheel(tmp_path)
    installed = {name for name in zipfile.ZipFile(tmp_path / wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in installed} == {"rnn_notes"}
    expected = {name for name in files("rnn_notes/**/*") if "/__pycache__/" not in name}
    assert installed == expected
    needed = {"__init__.py", "py.typed", "data/experiments.json", "figures/LectureSerif-Regular.otf"}
    assert {f"rnn_notes/{name}" for name in needed} <= installed


def test_versions_and_authors_agree(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # conf.py adds to it
    citation = yaml.safe_load(read("CITATION.cff"))
    config = runpy.run_path(str(ROOT / "conf.py"))
    places = {
        "CITATION.cff": citation["version"],
        "conf.py": config["release"],
        "the installed package": version("rnn-notes"),
    }
    assert places == dict.fromkeys(places, rnn_notes.__version__)
    assert citation["license"] == PROJECT["project"]["license"]
    authors = [author["name"] for author in PROJECT["project"]["authors"]]
    assert [author["name"] for author in citation["authors"]] == authors
    assert config["author"] == ", ".join(authors)
    entry = dict(re.findall(r"^  (\w+) = \{(.*)\},$", read("docs/teaching.md"), re.MULTILINE))
    assert entry == {
        "author": " and ".join(f"{{{author}}}" for author in authors),
        "title": citation["title"],
        "year": config["copyright"][:4],
        "note": f"Executable lectures, version {rnn_notes.__version__}",
    }


def test_versions_of_python_agree():
    """The oldest Python, wherever it is said, and all from it on in the tests of the host."""
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    for place in ("README.md", "docs/index.md", "Makefile"):
        assert set(re.findall(r"Python (3\.\d+) or newer", read(place))) == {oldest}, place
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in read("Makefile")
    assert f"--python-version {oldest} " in read("requirements.txt").splitlines()[1]
    tested = yaml.safe_load(read(".github/workflows/site.yml"))["jobs"]["test"]["strategy"]["matrix"][
        "python"
    ]
    minors = [int(python.removeprefix("3.")) for python in tested]
    assert tested[0] == oldest
    assert minors == list(range(minors[0], minors[-1] + 1))


def test_what_make_installs_is_pinned_with_hashes():
    lines = read("requirements.txt").replace("\\\n", " ").splitlines()
    command = lines[1]
    pins = {}
    for line in lines:
        if not line.startswith("#"):
            requirement = Requirement(line.partition("--hash")[0])
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            assert re.search(r"--hash=sha256:[0-9a-f]{64}( |$)", line), f"{requirement} has no hash"
            pins[canonicalize_name(requirement.name)] = pin.version
    groups = re.findall(r"--group (\w+)", command)
    assert {"site", "test", "cluster"} <= set(groups)
    wanted = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    wanted += [requirement for group in groups for requirement in PROJECT["dependency-groups"][group]]
    for requirement in map(Requirement, wanted):
        pin = pins.get(canonicalize_name(requirement.name), "")
        assert pin and requirement.specifier.contains(pin), requirement


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_actions_are_pinned_by_commit():
    uses = [line for workflow in WORKFLOWS for line in re.findall(r"uses: *(.+)", read(workflow))]
    assert uses
    for line in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    assert len(set(uses)) == len({line.partition("@")[0] for line in uses}), "one action in two versions"


def test_code_runs_without_write_permissions_and_publishing_waits_for_the_tests():
    writing = []
    for workflow in (yaml.safe_load(read(path)) for path in WORKFLOWS):
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            if "write" in job.get("permissions", {}).values():
                writing.append(name)
                assert "test" in job["needs"]
                lines = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
                commands = [line.split() for line in lines if line.strip() and not line.startswith("#")]
                assert {command[0] for command in commands} <= {"gh", "git", "tar"}
                assert not re.findall(r"[;&|`<>]|\$\(", "".join(map(" ".join, commands)))  # no other command
                assert not [step for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert writing == ["publish", "notebooks"]


def test_notebooks_go_where_links_lead():
    """The branch, and the folder in the site, are those of docs/_extensions/downloads.py."""
    constants = re.search(r'^FOLDER, BRANCH = "(\w+)", "(\w+)"$', read("docs/_extensions/downloads.py"), re.M)
    steps = yaml.safe_load(read(".github/workflows/site.yml"))["jobs"]["notebooks"]["steps"]
    commands = "".join(step["run"] for step in steps)
    folder, branch = constants.groups()
    assert f" './{folder}/*.ipynb'\n" in commands
    assert f"--initial-branch {branch} {folder}\n" in commands
    assert commands.endswith(f'$GITHUB_REPOSITORY" {branch}\n')


@pytest.mark.skipif(sys.platform != "linux", reason="the commands are those of the runner, GNU's")
def test_of_the_site_notebooks_alone_reach_the_token(tmp_path):
    """A hook in the artifact would run with it: by name, below a notebook, or through a link."""
    hook = b"#!/bin/sh\ntouch $RAN\n"
    names = ("a.ipynb", ".git/hooks/pre-commit", ".git/hooks/b.ipynb", "c.ipynb", "c.ipynb/hooks/pre-commit")
    with tarfile.open(tmp_path / "artifact.tar", "w") as site:
        for name in ("index.html", *(f"notebooks/{name}" for name in names)):
            entry = tarfile.TarInfo(f"./{name}")
            entry.mode, entry.size = 0o755, len(hook)
            if name == "notebooks/c.ipynb":
                entry.type, entry.size, entry.linkname = tarfile.SYMTYPE, 0, ".git"
            site.addfile(entry, io.BytesIO(hook))
    (step,) = yaml.safe_load(read(".github/workflows/site.yml"))["jobs"]["notebooks"]["steps"]
    address = "https://x-access-token:t@github.com/someone/notes"
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{tmp_path / 'there'}.insteadOf"}
    names = {"GITHUB_ACTOR": "someone", "GITHUB_SHA": "1", "GITHUB_REPOSITORY": "someone/notes"}
    variables = (
        settings | names | {"GIT_CONFIG_VALUE_0": address, "GH_TOKEN": "t", "RAN": str(tmp_path / "ran")}
    )
    (tmp_path / "gh").symlink_to("/bin/true")  # the artifact is here

    def run(*command):
        own = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": os.devnull}
        environment = os.environ | variables | own
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("git", "init", "--quiet", "--bare", "there")
    run("bash", "-e", "-c", step["run"])
    assert not (tmp_path / "ran").exists()
    assert run("git", "-C", "there", "ls-tree", "--name-only", "-r", "notebooks").split() == [
        "a.ipynb",
        "c.ipynb",
    ]


def tables(text):
    """Return the cells of all tables of a Markdown text as lists of rows."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("| ").split("|")] for row in block.splitlines()]
        for block in blocks
    ]


def named(text):
    return re.findall(r"`([^`\n]+)`", text)


def test_contributing_says_where_everything_is():
    text = read("CONTRIBUTING.md")
    head, _, *rows = tables(text)[0]
    folders = [named(cell)[0] for cell in head]
    rows = [
        [[folder + name for name in named(cell)] for folder, cell in zip(folders, row, strict=True)]
        for row in rows
    ]
    for (page,), modules, drawing, tests in rows:
        stem = Path(page).stem
        assert drawing == [f"rnn_notes/figures/{stem}.py"]
        assert tests == [f"tests/test_{Path(module).stem}.py" for module in modules]
        words = set(re.findall(r"\w+", read(page)))
        for module in modules:
            module = import_module(module.removesuffix(".py").replace("/", "."))
            own = {
                name
                for name in rnn_notes.__all__
                if getattr(getattr(rnn_notes, name), "__module__", "") == module.__name__
            }
            assert own & words, f"{page} uses nothing of {module.__name__}"
    said = {name for row in rows for cell in row for name in cell} | set(named(text))
    there = {
        name
        for pattern in ("docs/*.md", "docs/*.py", "docs/_extensions/*.py", "rnn_notes/**/*.py", "tests/*.py")
        for name in files(pattern)
    }
    assert there - said == set(), "not in the tables"
    paths = {name for name in said if re.fullmatch(r"(docs|rnn_notes|tests)/[\w./]+", name)}
    assert {name for name in paths if not (ROOT / name).exists()} == set()


def test_links_of_contributing_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", read(name)):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("address", [None, "https://github.com/someone/rnn-notes"])
def test_the_address_of_the_repository_is_one_setting(address, tmp_path):
    """Set, every page links to its source and to a new issue; not set, there is no link."""
    project = re.sub(
        r"^# (?=\[project\.urls\])|^# (?=Repository = )", "", read("pyproject.toml"), flags=re.MULTILINE
    )
    if address:
        project = re.sub(r'(?<=\nRepository = ").*(?=")', address, project)
        assert tomllib.loads(project)["project"]["urls"] == {"Repository": address}
    else:
        project = re.sub(r"\n(\[project\.urls\]|Repository = ).*", "", project)
        assert "urls" not in tomllib.loads(project)["project"]
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    for name in ("conf.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("docs/_extensions", "docs/_static", "docs/_templates", "rnn_notes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "docs" / "references.bib", tmp_path / "docs")
    (tmp_path / "docs" / "index.md").write_text("# Home\n\nText.\n", encoding="utf-8")
    command = [
        "-m",
        "sphinx",
        "-c",
        ".",
        "-q",
        "--fail-on-warning",
        "--builder",
        "html",
        "docs",
        "_build/html",
    ]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    pages = {}
    for name in ("index", "genindex", "search"):
        text = Path(tmp_path, "_build", "html", f"{name}.html").read_text(encoding="utf-8")
        links = BeautifulSoup(text, "html.parser").select(".repository a")
        pages[name] = {link.text: link["href"] for link in links}
    if not address:
        assert pages == {"index": {}, "genindex": {}, "search": {}}
        return
    for name, links in pages.items():
        assert links.pop("Report a mistake") == f"{address}/issues/new?title={name}"
    source = {"Source of this page": f"{address}/blob/main/docs/index.md?plain=true"}
    assert pages == {"index": source, "genindex": {}, "search": {}}

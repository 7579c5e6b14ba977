"""The documentation is true: commands, templates, signals, links and examples are those that exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml

from rbnb.cli import app
from rbnb.policy import load_policy
from rbnb.templates import load_template
from rbnb.workspace import Workspace

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEMPLATES = sorted(path.stem for path in (ROOT / "notebook_templates").glob("*.ipynb"))


def text_of(name):
    """Return the text of a page under docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def leaves(command, path=()):
    """Yield every command of the program that does something, with its words."""
    for name, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from leaves(below, (*path, name))
        else:
            yield " ".join((*path, name)), below


COMMANDS = dict(leaves(typer.main.get_command(app)))


def section(page, heading):
    """Return what stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def blocks(page, language):
    """Return the fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def table(body):
    """Return the rows of the tables in a text, without their heads."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines() if line[:1] == "|"]
    return [row for head, row in pairwise([[], *rows]) if not set("".join(row)) <= set("-| ") and head is not None]


def test_the_commands_were_found():
    """The tests below see the whole command line."""
    assert {"run", "list", "show", "verify", "decide", "lab", "init", "doctor", "models check"} <= set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_and_has_help(name):
    """Each command has help of its own and a section, with every option and argument, and none that is not there."""
    command = COMMANDS[name]
    assert command.help
    body = section(text_of("commands.md"), f"rbnb {name}")
    told = set(re.findall(r"`(--?[a-z-]+|[A-Z]+)`", "\n".join(row[0] for row in table(body))))
    known = set()
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"
        options = [*parameter.opts, *parameter.secondary_opts]
        known |= {parameter.name.upper()} if parameter.param_type_name == "argument" else set(options)
    assert told - {"NAME"} == known - {"NAME"}
    assert ("NAME" in known) <= ("NAME" in told)


def test_no_command_is_documented_that_is_not_there():
    """A section of docs/commands.md stands for a command that exists."""
    told = re.findall(r"^## rbnb (.+)$", text_of("commands.md"), re.MULTILINE)
    assert sorted(told) == sorted(COMMANDS)


def typed():
    """Yield each rbnb command line in a block of code, with the page it is on."""
    for page in PAGES:
        for _, body in re.findall(
            r"^```([a-z]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            for line in body.splitlines():
                found = re.match(r"\s*(?:\$ )?(rbnb [a-z].*)", line)
                if found:
                    yield page.name, found[1]
        for quoted in re.findall(r"(?<!`)`(rbnb [a-z][^`]*)`(?!`)", page.read_text(encoding="utf-8")):
            yield page.name, quoted.replace("\n", " ")


def test_what_can_be_typed_exists():
    """Every `rbnb …` in the documentation is a command that exists, with options that it has."""
    seen = list(typed())
    assert len(seen) > 20
    for page, line in seen:
        words = shlex.split(line.replace("…", ""), comments=True)[1:]
        name = next((n for n in (" ".join(words[:2]), words[0]) if n in COMMANDS), None)
        assert name or words in (["models"], ["templates"]), f"{page}: there is no `{line}`"
        options = {o for p in COMMANDS[name].params for o in (*p.opts, *p.secondary_opts)} if name else set()
        unknown = [w for w in words if re.match(r"--?[a-z]", w) and w.partition("=")[0] not in options | {"--help"}]
        assert unknown == [], f"{page}: `{line}`"


def test_exit_codes_are_those_of_the_program():
    """The tables of exit codes name every code that an error leaves behind."""
    from rbnb import errors

    codes = {getattr(errors, name).exit_code for name in errors.__all__} | {0, 3, 8, 130}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for body in (section(text_of("commands.md"), "For every command"), section(readme, "Commands")):
        first = [row[0] for row in table(body)]
        told = [int(number) for cell in first if cell[:1].isdigit() for number in cell.split(", ")]
        assert sorted(told) == sorted(codes)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_documented(name):
    """A template has a page with its stages, its parameters and their defaults, and every signal its policy knows."""
    page = text_of(f"{name.replace('_', '-')}.md")
    template = load_template(name, [ROOT / "notebook_templates"])
    assert template.version in page
    told = [row[1] for row in table(section(page, "Stages"))[1:]]
    assert told == list(template.stages)
    parameters = {row[0].strip("`"): row[1].strip("`") for row in table(section(page, "Parameters"))[1:]}
    assert list(parameters) == [p.name for p in template.parameters]
    for parameter in template.parameters:
        if parameter.name != "model":
            assert parameters[parameter.name] == (str(parameter.default) or '""'), parameter.name


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_signal_is_documented(name):
    """A reader of a finding can look up its signal; none is documented that does not exist."""
    policy = load_policy(ROOT / "policies" / f"{name}.yaml")
    known = {*policy.thresholds, *yaml.safe_load((ROOT / "policies" / f"{name}.yaml").read_text())["context"]}
    body = section(text_of(f"{name.replace('_', '-')}.md"), "Signals")
    told = {found for row in table(body) for found in re.findall(r"`([a-z0-9_]+)`", row[0])}
    assert told == known


def test_every_verdict_and_status_is_in_the_glossary():
    """The words a record uses are defined."""
    schema = json.loads((DOCS / "run-record.schema.json").read_text(encoding="utf-8"))
    words = set(schema["properties"]["verdict"]["enum"]) | set(schema["properties"]["status"]["enum"])
    words |= set(schema["$defs"]["finding"]["properties"]["status"]["enum"])
    words |= set(schema["$defs"]["cause"]["properties"]["status"]["enum"])
    page = text_of("glossary.md")
    assert sorted(word for word in words if f"`{word}`" not in page) == []


def test_no_word_is_defined_twice():
    """A word has one definition."""
    words = re.findall(r"\*\*([^*]+)\*\*", text_of("glossary.md"))
    assert sorted({word for word in words if words.count(word) > 1}) == []
    assert len(words) > 100


def anchors(page):
    """Return the anchors of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every link to a file of this repository, and to a heading in it, resolves."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_pages_named_in_the_code_exist():
    """A module, a policy or the build that sends a reader to docs/ sends them to a page that exists."""
    sources = [*(ROOT / "rbnb").rglob("*.py"), *(ROOT / "policies").glob("*.yaml"), ROOT / "pyproject.toml"]
    named = {name for path in sources for name in re.findall(r"docs/[a-z-]+\.md", path.read_text(encoding="utf-8"))}
    assert len(named) >= 3
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_page_is_found_from_the_readme():
    """Nobody has to guess where something is documented."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in readme) == []


def test_make_targets_exist():
    """Every `make …` in the documentation is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        told |= set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "test", "check"} <= told <= targets


def test_every_room_is_on_the_plan():
    """docs/architecture.md draws the rooms that exist, and no other."""
    drawn = set(re.findall(r"^ {6}.{10}([a-z]+)(?:\.py|/) ", text_of("architecture.md"), re.MULTILINE))
    built = {path.stem for path in (ROOT / "rbnb").iterdir() if path.stem.isalpha()}
    assert drawn == built


def test_dependencies_are_told_with_their_bounds():
    """docs/dependencies.md lists exactly the packages that are installed with rbnb, with the same bounds."""
    declared = {}
    for line in PROJECT["project"]["dependencies"]:
        name, bound = re.fullmatch(r"([A-Za-z0-9-]+)(?:\[[a-z]+\])?(.*)", line).groups()
        declared[name] = bound
    rows = table(section(text_of("dependencies.md"), "To run"))[1:]
    assert {row[0].strip("`"): row[1].strip("`") for row in rows} == declared
    groups = {re.match(r"[A-Za-z0-9-]+", line)[0] for line in PROJECT["dependency-groups"]["dev"]}
    told = table(section(text_of("dependencies.md"), "To develop"))[1:]
    assert {name for row in told for name in re.findall(r"`([A-Za-z0-9-]+)`", row[0])} == groups


def test_the_page_on_policies_holds_a_policy_that_loads(tmp_path):
    """The complete example of docs/policy.md is one."""
    path = tmp_path / "example.yaml"
    path.write_text(blocks(text_of("policy.md"), "yaml")[0], encoding="utf-8")
    assert load_policy(path).name == "example"


OWN = text_of("your-own-model.md")
MODELS = {yaml.safe_load(body)["name"]: body for body in blocks(OWN, "yaml")}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Follow docs/your-own-model.md: a workspace, its CSV file, its model files."""
    folder = tmp_path_factory.mktemp("own") / "my-workspace"
    Workspace.init(folder)
    (script,) = blocks(OWN, "python")
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    for name, body in MODELS.items():
        (folder / "models" / f"{name}.yaml").write_text(body, encoding="utf-8")
    return folder


def rbnb(folder, *words):
    """Run the program as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "rbnb.cli", *words],
        cwd=folder,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_shortest_model_file_is_short():
    """Ten lines are enough, and the README shows the same ones."""
    assert len(MODELS["checkout"].strip().splitlines()) <= 10
    (body,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "yaml")
    assert yaml.safe_load(body) == yaml.safe_load(MODELS["checkout"])


def test_the_models_of_the_page_can_be_read(workspace):
    """Every model file in docs/your-own-model.md passes `rbnb models check`, as the page says."""
    assert set(MODELS) == {"checkout", "payments"}
    done = rbnb(workspace, "models", "check", "--json")
    assert json.loads(done.stdout)["ok"], done.stdout
    assert done.returncode == 0


def test_two_columns_are_enough(workspace):
    """The ten-line model file finds the slow hour that the page put into the series, and says what it lacked."""
    done = rbnb(workspace, "run", "latency_spike", "--model", "checkout", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["verdict"], record["ongoing"]) == ("genuine", True)
    absent = {item["what"] for item in record["not_measured"]}
    assert absent == {row[2] for row in table(section(OWN, "3. Everything else"))[1:]} | {"load"}


UNLOCKED = table(section(OWN, "3. Everything else"))[1:]
ASK = """
import json, sys
from rbnb.case import Case
from rbnb.diagnoses.latency import LatencySpike
def absent(name):
    return [item.what for item in Case.open("latency_spike", model=name).diagnose(LatencySpike).not_measured]
print(json.dumps({name: absent(name)
                  for name in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def absent(workspace):
    """Return what is not measured with the full model file ("full"), and with each key taken out of it in turn."""
    variants = {"full": "", **{f"v{number}": row[0].strip("`") for number, row in enumerate(UNLOCKED)}}
    for name, key in variants.items():
        model = yaml.safe_load(MODELS["payments"]) | {"name": name}
        model["logs"]["predictions"]["columns"]["payload_size"] = "amount"
        holder = model if key.startswith(("logs.", "slo.")) else model["logs"]["predictions"]
        *way, last = key.split(".")
        for step in way:
            holder = holder[step]
        holder.pop(last, None)
        (workspace / "models" / f"{name}.yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ASK, *variants], cwd=workspace, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in variants:
        (workspace / "models" / f"{name}.yaml").unlink()
    return {variants[name]: set(what) for name, what in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.parametrize("row", UNLOCKED, ids=lambda row: row[0].strip("`"))
def test_a_key_unlocks_what_the_page_says(absent, row):
    """Taking a key out of the full model file puts what the page says under "not measured", and nothing unrelated."""
    key, what = row[0].strip("`"), row[2]
    assert absent[""] == set()
    assert what in absent[key]
    assert absent[key] <= {what, "availability burn rate"}


def test_the_readme_shows_what_is_printed(workspace):
    """What the README shows under the run command is what the run command prints."""
    shown = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "text")[0]
    done = rbnb(workspace, "run", "latency_spike", "--model", "fraud-v3")
    assert done.returncode == 0, done.stderr
    printed, expected = (re.sub(r"INC-\d{8}-\d{2}", "INC-20261122-01", text) for text in (done.stdout, shown))
    assert printed == expected, "paste the output of the command into README.md"


def test_a_key_that_is_wrong_is_refused_as_shown(workspace):
    """The mistake that docs/your-own-model.md shows is told in these words."""
    told = blocks(OWN, "text")[0].strip().removeprefix("rbnb: …/models/checkout.yaml: ")
    path = workspace / "models" / "wrong.yaml"
    path.write_text(MODELS["checkout"].replace("checkout", "wrong") + "slo: {availability: 99.9}\n", encoding="utf-8")
    done = rbnb(workspace, "models", "show", "wrong")
    path.unlink()
    assert done.returncode == 2
    assert done.stderr.strip().endswith(told)


def test_every_kind_of_entry_is_told():
    """The page on the ledger lists every kind of entry that the story of an incident knows, and no other."""
    from rbnb.incidents.sentences import TELLERS

    rows = table(section(text_of("ledger.md"), "What is recorded"))[1:]
    told = {kind for row in rows for kind in re.findall(r"`([a-z]+\.[a-z]+)`", row[0])}
    assert {kind for kind in told if not kind.endswith(".refused")} == set(TELLERS)

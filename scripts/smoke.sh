#!/usr/bin/env bash
# Does the wheel work for somebody who has only the wheel? It is built, installed with the locked run-time
# packages and nothing else into a fresh environment, and used outside the repository: what a test run inside
# the checkout cannot see is a package that is used but not declared, or a template that is not in the wheel.
#
#   scripts/smoke.sh [PYTHON]     a Python that has hatchling; `make smoke` hands over the one of .venv
set -Eeuo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${1:-$repository/.venv/bin/python}
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") # not resolved: a link is what makes it a venv's
place=$(mktemp -d -t rbnb-smoke-XXXXXX)
doing="starting"

step() { doing=$*; echo "smoke: $doing"; }
trap 'echo "smoke: FAILED while $doing (line $LINENO)" >&2' ERR
trap 'rm -rf "$place"' EXIT

# Nothing of the caller's may leak in: neither modules nor a workspace nor settings of Jupyter.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV RBNB_WORKSPACE RBNB_RUN_FOLDER JUPYTER_PATH JUPYTER_CONFIG_DIR
export PIP_DISABLE_PIP_VERSION_CHECK=1

step "building the wheel"
cd "$repository"
"$python" -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir "$place/dist" .

step "installing it with requirements/run.lock into a fresh environment"
cd "$place"
"$python" -m venv fresh
clean=$place/fresh/bin
"$clean/python" -m pip install -qq --no-compile --no-deps --require-hashes -r "$repository/requirements/run.lock"
"$clean/python" -m pip install -qq --no-compile --no-deps --no-index "$place"/dist/rbnb-*.whl
"$clean/python" -m pip check
export PATH=$clean:$PATH

step "checking that it is the installed one, and that no development package came along"
"$clean/python" - "$place" <<'PYTHON'
import importlib.util
import sys

import rbnb

assert rbnb.__file__.startswith(sys.argv[1]), f"rbnb came from {rbnb.__file__}"
unwanted = [name for name in ("pytest", "mypy", "hypothesis", "importlinter") if importlib.util.find_spec(name)]
assert not unwanted, f"{unwanted} are installed"
PYTHON

step "rbnb --version"
rbnb --version
step "rbnb --help"
rbnb --help >/dev/null
step "rbnb init ws"
rbnb init ws
cd ws
step "rbnb models check"
rbnb models check
step "rbnb templates list"
rbnb templates list | tee templates.txt
grep -q '^latency_spike' templates.txt
step "rbnb run latency_spike --model fraud-v3 --json"
rbnb run latency_spike --model fraud-v3 --json >run.json
incident=$(python - run.json <<'PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    record = json.load(file)
found = record["status"], record["verdict"]
assert found == ("completed", "infrastructure"), f"the sample run says {found}: {record['because']}"
print(record["incident"])
PYTHON
)
step "rbnb verify $incident"
rbnb verify "$incident"
step "rbnb show $incident"
rbnb show "$incident"
echo "smoke: passed"

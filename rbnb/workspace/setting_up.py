"""Making a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["init"]


def init(folder: Path, *, samples: bool = True) -> list[Path]:
    """Make a workspace, with the sample fleet unless told otherwise; nothing that exists is overwritten.

    Raises
    ------
    UsageError
        If the folder already is a workspace, or cannot be written.
    """
    if (folder / "rbnb.toml").exists():
        raise UsageError(f"{folder} is a workspace already", hint="choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [name for name in _taken_by_samples() if (folder / name).exists()] if samples else []
        if taken:
            raise UsageError(
                f"{folder / taken[0]} exists already", hint="choose another folder, or leave out --samples"
            )
        (folder / "reports").mkdir(exist_ok=True)
        (folder / "models").mkdir(exist_ok=True)
        written = [folder / "rbnb.toml", folder / "models", folder / "reports"]
        if samples:
            from rbnb.simulate import write_fleet

            written += write_fleet(folder)
        (folder / "rbnb.toml").write_text(_WORKSPACE_FILE, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}", hint="choose another folder") from None
    return written


def _taken_by_samples() -> list[str]:
    from rbnb.simulate import NAMES

    return ["truth", *NAMES, *(f"models/{name}.yaml" for name in NAMES)]


_WORKSPACE_FILE = """\
# An rbnb workspace. Paths are relative to this file.
[workspace]
models = "models"
reports = "reports"
# templates = "notebook_templates"   # your own runbooks, found before those that come with rbnb
# policies = "policies"              # your own thresholds, response times and actions, likewise
# baselines = "baselines"            # thresholds that `rbnb baseline` has learned

# Who takes part. While nobody is named here, whoever is logged in is responder and incident commander,
# and nobody can approve. An alias is another spelling of the same person.
# [people.ada]
# aliases = ["ada@example.com"]
# [people.ben]

[roles]
incident_commander = { people = [] }
responder = { people = [] }
approver = { people = [] }
scribe = { people = [] }
stakeholder = { people = [] }

# To whom it goes up when nobody has contained it in time; severities may have their own chain.
[escalation]
chain = []

# Who reviews findings and rules about security, privacy and ethics.
[owners]
# security = "ada"

# SSH keys with which approvals are signed, one "person key" a line, as ssh-keygen reads them.
# [identity]
# allowed_signers = "allowed_signers"

# rbnb shows the commands of an action, and people run them. With true it runs them itself, once they are approved.
[actions]
execute = false

# Where `rbnb update --send` goes; the address is a secret, so it stands in the environment.
# [communication.stakeholders]
# webhook = "${STAKEHOLDERS_WEBHOOK}"
# format = "slack"
"""

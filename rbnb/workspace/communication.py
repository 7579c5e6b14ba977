"""Telling those concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from rbnb.communication import Patience, Sent, Told, UpdateDue

__all__ = ["Communication"]


class Communication(Pages):
    """Telling those concerned."""

    def update(
        self,
        name: str,
        audience: str,
        *,
        note: str = "",
        next_step: str = "",
        send: bool = False,
        patience: Patience | None = None,
    ) -> Told:
        """Fill an audience's update from the record, record it, and if asked to, send it.

        Parameters
        ----------
        audience
            One of `policies/communication.yaml`.
        note, next_step
            What the author adds in their own words.
        send
            Through the audience's channel of rbnb.toml, with what failed to arrive before.

        Raises
        ------
        NotFoundError
            If there is no such incident or audience.
        UsageError
            If what the author adds is too long, or names what this audience may not hear.
        ConfigError
            If communication.yaml or the text is wrong.
        RefusedError
            If they may not write updates.

        Notes
        -----
        A ledger that cannot be written is no error here: telling fails open, and the result says that the record
        lacks it.
        """
        from rbnb.communication import draft_update, tell

        channels = self.places.file.communication
        with self.changing(name) as incident:
            actor = incident.allow("update", subject=audience)
            state = incident.state()
            draft = draft_update(self.places, incident, state, audience, actor, note=note, next_step=next_step)
            return tell(incident, draft, by=actor.id, channels=channels, sending=send, patience=patience)

    def updates_due(self, name: str) -> list[UpdateDue]:
        """Return which audience of an incident is to be told next, by whom and by when, soonest first.

        Raises
        ------
        NotFoundError
            If there is no such incident.
        ConfigError
            If communication.yaml is wrong.
        """
        from rbnb.communication import load_communication, updates_due

        table = load_communication(self.places.policy_file("communication"))
        return updates_due(self.incident(name).state(), table)

    def resend(self, name: str, audience: str = "", *, patience: Patience | None = None) -> list[Sent]:
        """Send the updates of an incident that were to be sent and did not arrive, oldest first.

        Raises
        ------
        NotFoundError
            If there is no such incident or audience.
        RefusedError
            If they may not send updates.
        """
        from rbnb.communication import load_communication, resend

        if audience:
            load_communication(self.places.policy_file("communication")).audience(audience)
        channels = self.places.file.communication
        with self.changing(name) as incident:
            actor = incident.allow("update", subject=audience)
            return resend(incident, by=actor.id, channels=channels, audience=audience, patience=patience)

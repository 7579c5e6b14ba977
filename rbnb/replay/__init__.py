"""Ask two versions of a model the same logged requests, in a process of its own, and compare the answers.

An endpoint is an HTTP address that speaks the Open Inference Protocol v2 or MLflow's ``/invocations``, or a local
ONNX or skops file. Rules:

- **Nothing is unpickled.** A skops file is opened only if all it holds is of types that skops itself trusts.
- **It asks in a process of its own** (`rbnb.replay.worker`), with an environment of a few names, a deadline, and a
  cap on how much is read; a model that crashes takes nobody with it.
- **It is asked for.** Replay sends real requests to a live endpoint, so it is off unless a person sets a number.
- **Silence is no answer.** An endpoint that is down or says something else than scores gives `Answers.problem`.
- HTTP goes straight to the address given: no proxy, no redirect, no credentials of the environment.
"""

from rbnb.replay.asking import Answers, ask
from rbnb.replay.minimal import MinimalPair, minimise

__all__ = ["Answers", "MinimalPair", "ask", "minimise"]

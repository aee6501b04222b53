"""The registry: versions, the aliases `champion` and `challenger`, promotion through gates, and the way back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from leadlight.errors import InputError, LeadlightError
from leadlight.features import build_features
from leadlight.moments import Duration
from leadlight.qualifier import LeadQualifier
from leadlight.tracking.comparison import Comparison, Gate, compare, unseen_rows
from leadlight.tracking.quiet import environment, quiet
from leadlight.tracking.record import redacted
from leadlight.tracking.run import default_uri, places
from leadlight.tracking.sending import CHALLENGER, CHAMPION, check_database

if TYPE_CHECKING:
    from leadlight.community import Community

PREVIOUS: Final = "leadlight.previous_champions"
EXACT: Final = 1e-12
_CHECKED_ROWS: Final = 200


@dataclass(frozen=True)
class Verdict:
    """What `promote` found and did.

    Attributes
    ----------
    name, version : str
        The version that was judged.
    champion : str or None
        The version that was champion before.
    gates : tuple of Gate
    comparison : Comparison
    promoted : bool
    """

    name: str
    version: str
    champion: str | None
    gates: tuple[Gate, ...]
    comparison: Comparison
    promoted: bool

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that failed."""
        return tuple(gate.name for gate in self.gates if not gate.passed)

    def __str__(self) -> str:
        c = self.comparison
        before = "no champion" if self.champion is None else f"champion version {self.champion}"
        lines = [
            f"{self.name} version {self.version}, {before}: {c.rows} rows of {c.cutoffs} dates, {c.first} to {c.last}, "
            f"{c.buyers} buyers",
            *map(str, self.gates),
            f"Promoted: version {self.version} is the champion."
            if self.promoted
            else f"Not promoted: {', '.join(self.failed) or 'nothing was to be moved'}.",
        ]
        return "\n".join(lines)


@contextmanager
def registry(tracking_uri: str | None) -> Iterator[Any]:
    """Give a client of the tracking server and its registry; what MLflow raises becomes an `InputError`."""
    uri, _ = places(default_uri(tracking_uri))
    with environment(), quiet():
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            check_database(uri)
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except LeadlightError:
            raise
        except MlflowException as error:
            raise InputError(f"MLflow at {redacted(uri)} says: {redacted(str(error))[:500]}") from error
        except Exception as error:
            if type(error).__module__.split(".")[0] in ("requests", "urllib3", "sqlalchemy"):
                raise InputError(
                    f"MLflow at {redacted(uri)} cannot be reached: {redacted(str(error))[:300]}"
                ) from error
            raise


def version_of(client: Any, name: str, wanted: str) -> Any:
    """Return a version by its number or alias.

    Raises
    ------
    InputError
        There is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        if wanted.isdigit():
            return client.get_model_version(name, wanted)
        return client.get_model_version_by_alias(name, wanted)
    except MlflowException as error:
        raise InputError(f"There is no version {wanted!r} of {name!r}: {str(error)[:300]}") from error


def fetch(client: Any, version: Any, folder: Path) -> Path:
    """Download a version's model folder; return it."""
    import mlflow.artifacts

    location = client.get_model_version_download_uri(version.name, str(version.version))
    target = folder / f"version-{version.version}"
    target.mkdir()
    found = mlflow.artifacts.download_artifacts(
        artifact_uri=location, dst_path=str(target), tracking_uri=client.tracking_uri
    )
    return Path(found)


def qualifier_in(model: Path) -> LeadQualifier:
    """Return the qualifier of a model folder."""
    inner = model / "data" / "bundle"
    return LeadQualifier.load(inner if inner.exists() else model / "data" / "bundle.zip")


@contextmanager
def opened(
    model: str, tracking_uri: str | None = None, registered_model: str = "leadlight"
) -> Iterator[tuple[LeadQualifier, str]]:
    """Give the qualifier of a bundle path, a version or an alias, and what to call it.

    Parameters
    ----------
    model : str
        A path, or "@champion", "@3": of the registered model.
    """
    if not model.startswith("@"):
        yield LeadQualifier.load(model), str(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        with registry(tracking_uri) as client:
            version = version_of(client, registered_model, model[1:])
            found = qualifier_in(fetch(client, version, Path(folder)))
        yield found, f"{registered_model} version {version.version}"


def promote(
    community: Community,
    *,
    registered_model: str = "leadlight",
    version: str = CHALLENGER,
    tracking_uri: str | None = None,
    share: float | None = None,
    every: Duration = "30d",
    rounds: int = 500,
    excuse: tuple[str, ...] = (),
) -> Verdict:
    """Move the alias `champion` to a version, if it passes every gate of `docs/promotion.md`.

    Parameters
    ----------
    community : Community
        With mature windows later than what the version, and the champion, were trained on.
    registered_model : str
    version : str
        A number or an alias.
    tracking_uri : str, optional
        By default MLFLOW_TRACKING_URI, else the SQLite database in the current directory.
    share, every, rounds, excuse
        As in `compare`.

    Returns
    -------
    Verdict
        Also written to the version's tags, passed or not.

    Raises
    ------
    ImmatureLabelError
        No window that neither has seen has ended: there is no verdict.
    InputError
        There is no such version, or the server cannot be reached.
    """
    with registry(tracking_uri) as client, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judged = version_of(client, registered_model, version)
        present = _champion(client, registered_model)
        champion = None
        if present is not None and present.version != judged.version:
            champion = qualifier_in(fetch(client, present, folder))
        model = fetch(client, judged, folder)
        try:
            challenger = qualifier_in(model)
        except LeadlightError as error:
            raise InputError(
                f"The bundle of version {judged.version} is not sound, so it is not judged: {error}"
            ) from error
        compared = compare(
            challenger, champion, community, share=share, every=every, rounds=rounds, excuse=excuse
        )
        gates = (*compared.gates(), _verified(model, challenger, judged, community, every))
        done = all(gate.passed for gate in gates)
        before = None if present is None else str(present.version)
        for gate in gates:
            key = f"gate.{gate.name.replace(' ', '_')}"
            client.set_model_version_tag(registered_model, judged.version, key, str(gate)[:4000])
        said = "promoted" if done else "not promoted"
        client.set_model_version_tag(registered_model, judged.version, "verdict", said)
        if done and before != str(judged.version):
            _remember(client, registered_model, before)
            client.set_registered_model_alias(registered_model, CHAMPION, judged.version)
        return Verdict(registered_model, str(judged.version), before, gates, compared, done)


def rollback(*, registered_model: str = "leadlight", tracking_uri: str | None = None) -> tuple[str, str]:
    """Give the alias `champion` back to the version that had it before; return (from, to).

    Raises
    ------
    InputError
        There is no champion, or none before it.
    """
    with registry(tracking_uri) as client:
        present = _champion(client, registered_model)
        if present is None:
            raise InputError(f"{registered_model!r} has no champion to take back.")
        history = _history(client, registered_model)
        if not history:
            raise InputError(
                f"Before version {present.version} no version of {registered_model!r} was champion."
            )
        to = history[-1]
        version_of(client, registered_model, to)
        # The alias first: a failure in between leaves a history that names the champion itself, which is harmless.
        client.set_registered_model_alias(registered_model, CHAMPION, to)
        client.set_registered_model_tag(registered_model, PREVIOUS, json.dumps(history[:-1]))
        client.set_model_version_tag(registered_model, present.version, "verdict", "rolled back")
        return str(present.version), to


def _champion(client: Any, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        return client.get_model_version_by_alias(name, CHAMPION)
    return None


def _history(client: Any, name: str) -> list[str]:
    try:
        found = json.loads(client.get_registered_model(name).tags.get(PREVIOUS, "[]"))
    except ValueError:
        return []
    return [str(v) for v in found] if isinstance(found, list) else []


def _remember(client: Any, name: str, version: str | None) -> None:
    if version is not None:
        history = [*_history(client, name), version]
        client.set_registered_model_tag(name, PREVIOUS, json.dumps(history[-50:]))


def _verified(
    model: Path, challenger: LeadQualifier, version: Any, community: Community, every: Duration
) -> Gate:
    """The bundle has the digest that was registered, and MLflow's model says what the Scorer says."""
    import mlflow.pyfunc

    wanted, found = version.tags.get("model_digest", ""), challenger.scorer_.digest
    if wanted != found:
        text = f"its digest is {found[:12]}, {wanted[:12] or 'none'} was registered"
        return Gate("bundle verified", False, text)
    rows = unseen_rows(community, [challenger], every)
    X = build_features(community, rows.take(np.arange(min(_CHECKED_ROWS, len(rows)))), challenger.plan_)
    served = mlflow.pyfunc.load_model(str(model)).predict(X, params={"reasons": 0})["probability"].to_numpy()
    worst = float(np.abs(served - challenger.predict_proba(X)[:, 1]).max())
    text = f"digest {found[:12]}; its golden rows replay; MLflow's model differs by at most {worst:.1g}"
    return Gate("bundle verified", worst <= EXACT, text)

"""What a search leaves in its run folder beside its rows: the plans of the front, and front.json that tells of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from fxnorm.planning import storage
from fxnorm.searching.search import Found
from fxnorm.searching.trials import Trial
from fxnorm.study import Study

PLANS: Final = "plans"
FRONT: Final = "front.json"


def write_front(found: Found, study: Study, folder: str | Path) -> list[Path]:
    """Write every plan of the front, from the cheapest on: RUN/plans/01, …; they replace those of an earlier search of the folder.

    Returns
    -------
    Folders of the plans, in the order of the front.
    """
    place = Path(folder) / PLANS
    for stale in sorted(place.glob("[0-9]*")):
        if storage.is_plan(stale):
            shutil.rmtree(stale)
    place.mkdir(exist_ok=True)
    digits = len(str(len(found.front)))
    paths = []
    for number, trial in enumerate(found.front, 1):
        paths.append(storage.save(study.plan(trial.configuration.made()), place / f"{number:0{max(2, digits)}d}"))
    fresh = Path(folder) / f".{FRONT}.{os.getpid()}"
    fresh.write_text(json.dumps(front_record(found, paths), indent=1, allow_nan=False) + "\n", encoding="ascii")
    fresh.replace(Path(folder) / FRONT)
    return paths


def front_record(found: Found, plans: list[Path]) -> dict[str, Any]:
    """Plain data of what a search came to; `plans` are paths of the front's plans."""
    places = {trial.configuration.id: str(path) for trial, path in zip(found.front, plans, strict=True)}

    def record(trial: Trial | None) -> dict[str, Any] | None:
        if trial is None:
            return None
        return {
            "name": trial.configuration.name,
            "id": trial.configuration.id,
            "plan": places.get(trial.configuration.id),
            "plan_digest": trial.metrics["plan_digest"],
            "choice": dict(trial.choice),
            "meets_gate": trial.passed,
            "accuracy": trial.metrics["accuracy"],
            "sqnr_db": trial.metrics["sqnr_db"],
            "agreement": trial.metrics["agreement"],
            "overflow_count": trial.metrics["overflow_count"],
            "cost": dict(trial.cost),
            "command": trial.configuration.command,
        }

    return {
        "best": record(found.best),
        "uniform": record(found.uniform),
        "front": [record(trial) for trial in found.front],
        "points": len(found.trials),
        "integer_bits": found.space.integer_bits,
        "sensitivities": [
            {
                "layer": group.name,
                "shared_by": list(group.layers),
                "noise": {str(width): point.noise for width, point in points.items()},
            }
            for group, points in found.sensitivities.items()
        ],
    }

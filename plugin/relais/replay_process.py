"""Judge past studies in a process of its own (`relais.apart`)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from relais.apart import Apart, serve
from relais.domain.residency import Restriction
from relais.replay_judge import Answer, Judge, load_bare, restriction_from_json, restriction_to_json


class JudgeApart(Apart):
    """A judge in another process, for one block."""

    MODULE = "relais.replay_process"

    def __init__(
        self,
        interpreter: str | None,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        *,
        restrictions: Iterable[Restriction],
        directory: Path,
        stopping: threading.Event,
    ) -> None:
        begun = {
            "Before": before,
            "After": after,
            "Restrictions": [restriction_to_json(each) for each in restrictions],
            "Directory": str(directory),
        }
        super().__init__(interpreter, begun, stopping)

    def page(self, text: str) -> Answer:
        """The answer to a page; raises StoppingError when Relais ends meanwhile, ApartError when the process did."""
        answer: Answer = json.loads(self.ask(text.encode()))
        return answer


def main() -> None:
    """The process's own side."""
    serve(_begin)


def _begin(begun: Mapping[str, Any]) -> Callable[[str], Answer]:
    directory = Path(begun["Directory"])
    judge = Judge(
        load_bare(begun["Before"], directory),
        load_bare(begun["After"], directory),
        [restriction_from_json(each) for each in begun["Restrictions"]],
    )
    return judge.page

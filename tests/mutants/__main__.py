"""Change the code that decides in one place at a time, and count the changes that no test notices.

    python -m tests.mutants [module …] [--least 95] [--sample 100 --seed 1]

Works in a copy below the folder for temporary files, which is removed at the end. mutmut makes the mutants and runs
the tests that reach each of them; what survives is asked again in a process of its own with all tests, because what is
computed while modules are imported, or kept from one question to the next, is out of reach of a forked one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name

from tests.mutants.equivalent import EQUIVALENT

ROOT = Path(__file__).parents[2]
KERNEL = ("domain/residency", "domain/labels", "judgement")
EVALUATOR = tuple(
    f"domain/{name}"
    for name in ("conditions", "operators", "questions", "outcomes", "routing", "look", "urgency", "examples")
)
TESTS = (
    "test_residency",
    "test_judgement",
    "test_return",
    "test_routing",
    "test_rules",
    "test_rules_answers",
    "test_rules_examples",
    "test_rules_hostile",
    "test_rules_limits",
)
ARGUMENTS = (
    "--assert=plain",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:warnings",
    "-p",
    "no:logging",
    "-p",
    "no:unraisableexception",
)
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""No plugin but pytest's own: to load them takes longer than to ask a mutant."""
LONGEST = 60.0
"""Seconds for all tests over one mutant; many times what they take."""

CONFTEST = '''"""Few examples, always the same; one that fails is enough, as small as it happens to be."""
from hypothesis import Phase, settings
settings.register_profile(
    "mutants", derandomize=True, max_examples=30, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("mutants")
'''


@dataclass
class Score:
    """What became of the mutants of one module."""

    killed: int = 0
    timed_out: int = 0
    equivalent: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def counted(self) -> int:
        """Mutants that a test can notice."""
        return self.killed + self.timed_out + len(self.survivors)

    @property
    def percent(self) -> float:
        """How many of them were noticed; a test that never ends is noticed too."""
        return 100 * (self.killed + self.timed_out) / self.counted if self.counted else 100.0


def prepare(folder: Path, modules: tuple[str, ...]) -> None:
    """Copy what the tests need, and tell mutmut what to change and what to run."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "plugin", folder / "plugin", ignore=unwanted)  # for tests that read source
    shutil.copytree(ROOT / "plugin/relais", folder / "relais", ignore=unwanted)
    (folder / "tests").mkdir()
    (folder / "tests/__init__.py").touch()
    (folder / "tests/conftest.py").write_text(CONFTEST)
    shutil.copytree(ROOT / "tests/domain", folder / "tests/domain", ignore=unwanted)
    tests = [f"tests/domain/{name}.py" for name in TESTS if (ROOT / f"tests/domain/{name}.py").exists()]
    lists = {
        "source_paths": ["relais"],
        "also_copy": ["plugin"],
        "only_mutate": [f"relais/{name}.py" for name in modules],
        "pytest_add_cli_args": [*ARGUMENTS],
        "pytest_add_cli_args_test_selection": tests,
    }
    (folder / "pyproject.toml").write_text(
        '[tool.pytest]\npythonpath = ["."]\nstrict = true\n\n[tool.mutmut]\n'
        + "".join(f"{name} = {json.dumps(values)}\n" for name, values in lists.items())
        + "use_setproctitle = false\nuse_git_change_detection = false\ntrack_dependencies = false\n"
        + 'process_isolation = "forkserver"\ntimeout_constant = 10.0\n'
    )


def some_of(folder: Path, modules: tuple[str, ...], count: int, seed: int) -> list[str]:
    """So many mutants of all, chosen by chance: the same ones for the same code and seed."""
    names = []
    with contextlib.chdir(folder):  # where mutmut looks for what it is told
        for path in (f"relais/{module}.py" for module in modules):
            made = mutate_file_contents(path, Path(path).read_text()).mutant_names
            names += [get_mutant_name(Path(path), name) for name in made]
    return random.Random(seed).sample(names, min(count, len(names)))


def outcomes(folder: Path, modules: tuple[str, ...]) -> Iterator[tuple[str, str, int | None]]:
    """Module, name and exit code of each mutant, as mutmut stored them."""
    for module in modules:
        stored = json.loads((folder / f"mutants/relais/{module}.py.meta").read_text())
        for name, code in stored["exit_code_by_key"].items():
            yield module, name, code


def survives(folder: Path, name: str) -> bool:
    """Whether all tests pass over this mutant in a process of its own."""
    environment = {**os.environ, **ENVIRONMENT, "MUTANT_UNDER_TEST": name}
    tests = [f"tests/domain/{each}.py" for each in TESTS if (folder / f"tests/domain/{each}.py").exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--rootdir=.", *ARGUMENTS, *tests]
    try:
        done = subprocess.run(
            command, cwd=folder / "mutants", env=environment, capture_output=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1, 2):  # passed, failed, could not even be imported
        sys.exit(f"pytest ended with {done.returncode}:\n{done.stdout.decode()[-4000:]}")
    return done.returncode == 0


def change(folder: Path, name: str) -> str:
    """What the mutant changes: the lines taken out and put in, without blanks around."""
    command = [sys.executable, "-m", "mutmut", "show", name]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    return " ".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def judge_survivors(folder: Path, names: dict[str, Score], workers: int) -> None:
    """Sort what was not noticed at first: noticed by all tests together, equivalent, or a survivor."""
    with ThreadPoolExecutor(workers) as pool:
        for name, alive in zip(names, pool.map(lambda each: survives(folder, each), names), strict=True):
            score = names[name]
            if not alive:
                score.killed += 1
                continue
            function = name.rpartition("__mutmut_")[0]
            told = f"{function}: {change(folder, name)}"
            if told in EQUIVALENT:
                score.equivalent += 1
            else:
                score.survivors.append(told)


def run(modules: tuple[str, ...], workers: int, count: int | None, seed: int) -> dict[str, Score]:
    """The scores by module, of all mutants or of so many."""
    scores = {module: Score() for module in modules}
    with tempfile.TemporaryDirectory(prefix="relais-mutants-") as place:
        folder = Path(place)
        prepare(folder, modules)
        chosen = [] if count is None else some_of(folder, modules, count, seed)
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(workers), *chosen]
        environment = {**os.environ, **ENVIRONMENT}
        ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if ended.returncode != 0:
            sys.exit(f"mutmut ended with {ended.returncode}:\n{ended.stdout[-4000:]}")
        open_ones: dict[str, Score] = {}
        told: Counter[int | None] = Counter()
        for module, name, code in outcomes(folder, modules):
            if chosen and name not in chosen:
                continue
            told[code] += 1
            if code in (1, 3):
                scores[module].killed += 1
            elif code in (-24, 24, 36, 152, 255):
                scores[module].timed_out += 1
            else:
                open_ones[name] = scores[module]
        print(f"{sum(told.values())} mutants; {len(open_ones)} to be asked again with all tests", flush=True)
        judge_survivors(folder, open_ones, workers)
    return scores


def report(scores: dict[str, Score], least: float) -> bool:
    """Print the table and the survivors; whether every module has the score that is asked for."""
    print(f"{'module':24}{'mutants':>9}{'killed':>8}{'timeout':>9}{'survived':>10}{'equivalent':>12}{'score':>8}")
    for module, score in scores.items():
        columns = f"{score.counted + score.equivalent:9}{score.killed:8}{score.timed_out:9}{len(score.survivors):10}"
        print(f"{module:24}{columns}{score.equivalent:12}{score.percent:7.1f}%")
    for module, score in scores.items():
        for each in sorted(score.survivors):
            print(f"survived in {module}: {each}")
    low = [module for module, score in scores.items() if score.percent < least]
    if low:
        print(f"below {least:g} %: {', '.join(low)}")
    return not low


def main() -> int:
    """Run over what is asked for; 1 where a module's score is too low."""
    parser = argparse.ArgumentParser(prog="make mutants", description="How many mutants the tests notice.")
    parser.add_argument("modules", nargs="*", metavar="module", help="kernel, evaluator, or modules as domain/routing")
    parser.add_argument("--least", type=float, default=95.0, help="the score that is asked of every module, in percent")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants chosen by chance instead of all")
    parser.add_argument("--seed", type=int, default=1, help="the chance of --sample")
    asked = parser.parse_args()
    groups = {"kernel": KERNEL, "evaluator": EVALUATOR, **{name: (name,) for name in (*KERNEL, *EVALUATOR)}}
    unknown = [name for name in asked.modules if name not in groups]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(groups)}")
    modules = tuple(dict.fromkeys(each for name in asked.modules or ("kernel", "evaluator") for each in groups[name]))
    return 0 if report(run(modules, asked.workers, asked.sample, asked.seed), asked.least) else 1


if __name__ == "__main__":
    sys.exit(main())

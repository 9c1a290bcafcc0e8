"""Write the lists of exact versions that .venv is made from, out of what pyproject.toml asks for.

Run by `make pins` after a change there, with the oldest Python supported.
"""

import subprocess
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = "# Written by `make pins` out of pyproject.toml.\n"


def resolve(requirements: list[str]) -> set[str]:
    """Return `name==version` of all that pip installs for these requirements in an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", *requirements], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    return set(frozen.splitlines())


def write(name: str, lines: set[str], first: str = "") -> None:
    """Write one list, in the order of the alphabet."""
    content = HEADER + first + "\n".join(sorted(lines, key=str.lower)) + "\n"
    (ROOT / "docker" / name).write_text(content)


def main() -> None:
    """Write both lists; the tests' one includes the other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run = resolve(project["dependencies"])
    everything = resolve([*sorted(run), *project["optional-dependencies"]["test"]])
    write("requirements.txt", run)
    write("requirements-test.txt", everything - run, "-r requirements.txt\n")


if __name__ == "__main__":
    main()

"""Runs inside Orthanc: an application that shows what the bridge hands it, and answers what it is asked to."""

import json
import site
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
site.addsitedir(str(ROOT / ".venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"))
sys.path.insert(0, str(ROOT / "plugin"))

import orthanc  # noqa: E402 - the paths come first
from werkzeug.wrappers import Request, Response  # noqa: E402

from relais.web.bridge import PATTERN, callback_of  # noqa: E402

HEADERS = {"X-Test": "1", "ETag": '"abc"', "Content-Security-Policy": "default-src 'none'", "Allow": "GET, POST"}


@Request.application
def probe(request: Request) -> Response:
    """Answer by the last parts of the path."""
    match request.path.split("/")[2:]:
        case ["raise"]:
            raise ValueError("Tremblay")  # as a database's error may hold a patient's name
        case ["status", status]:
            body = "" if request.args.get("empty") else '{"été": 1}'
            return Response(body, int(status), HEADERS, content_type="application/json; charset=utf-8")
        case ["binary"]:
            return Response(bytes(range(256)) * 4, content_type="image/jpeg")
        case ["nested"]:
            try:
                json.loads(request.get_data())
            except RecursionError:
                return Response("too deep", 400)
            return Response("read")
        case _:
            seen = {
                "Method": request.method,
                "Path": request.path,
                "Query": dict(request.args),
                "Body": request.get_data().decode("latin-1"),
                "Headers": dict(request.headers),
            }
            return Response(json.dumps(seen), content_type="application/json")


orthanc.RegisterRestCallback(PATTERN, callback_of(probe))

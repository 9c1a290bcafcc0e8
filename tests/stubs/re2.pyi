"""What Relais uses of google-re2, which has no types of its own."""

class Options:
    log_errors: bool

class error(Exception):
    args: tuple[bytes | str]

class _Regexp:
    def search(self, text: str) -> object | None: ...
    def fullmatch(self, text: str) -> object | None: ...

def compile(pattern: str, options: Options | None = None) -> _Regexp: ...
def escape(pattern: str) -> str: ...

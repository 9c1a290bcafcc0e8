"""API routes: each declares its permission and models once; requests are checked and described by that."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, request
from pydantic import TypeAdapter

from relais.domain.document import Document
from relais.web.composition import current_call
from relais.web.permissions import Permission, requires
from relais.web.requests import read_body, read_query

Handler = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route: what it asks for and what it answers."""

    method: str
    path: str
    permission: Permission
    handler: Handler
    answer: Any
    media: str
    query: type[Document] | None
    body: type[Document] | None
    statuses: dict[int, str]

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]

    @property
    def description(self) -> str:
        """The rest of the handler's docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[2].strip()

    def view(self, **arguments: Any) -> Response:
        """Answer one request."""
        if self.query is not None:
            arguments["query"] = read_query(request, self.query)
        if self.body is not None:
            arguments["body"] = read_body(request, self.body)
        answer = self.handler(current_call(), **arguments)
        if isinstance(answer, Response):
            return answer
        return json_answer(self.answer, answer)


@dataclass(frozen=True)
class Routes:
    """A group of routes, under one prefix."""

    prefix: str
    routes: list[Route] = field(default_factory=list)

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def get(
        self,
        path: str,
        permission: Permission,
        answer: Any,
        *,
        query: type[Document] | None = None,
        media: str = "application/json",
        statuses: dict[int, str] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a read."""
        return self._add("GET", path, permission, answer, query=query, media=media, statuses=statuses)

    def post(
        self,
        path: str,
        permission: Permission,
        answer: Any,
        *,
        body: type[Document],
        statuses: dict[int, str] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a write, or a question that does not fit into a URL."""
        return self._add("POST", path, permission, answer, body=body, statuses=statuses)

    def put(
        self,
        path: str,
        permission: Permission,
        answer: Any,
        *,
        body: type[Document],
        statuses: dict[int, str] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a write that replaces something."""
        return self._add("PUT", path, permission, answer, body=body, statuses=statuses)

    def delete(
        self, path: str, permission: Permission, answer: Any, *, statuses: dict[int, str] | None = None
    ) -> Callable[[Handler], Handler]:
        """Register a write that takes something away; it has no body."""
        return self._add("DELETE", path, permission, answer, statuses=statuses)

    def register(self, application: Flask) -> None:
        """Add every route to the application."""
        for route in self.routes:
            view = requires(route.permission)(lambda route=route, **arguments: route.view(**arguments))
            endpoint = f"{route.method} {route.path}".replace(".", "-")
            application.add_url_rule(route.path, endpoint, view, methods=[route.method])

    def _add(
        self,
        method: str,
        path: str,
        permission: Permission,
        answer: Any,
        *,
        query: type[Document] | None = None,
        body: type[Document] | None = None,
        media: str = "application/json",
        statuses: dict[int, str] | None = None,
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.routes.append(
                Route(
                    method=method,
                    path=self.prefix + path,
                    permission=permission,
                    handler=handler,
                    answer=answer,
                    media=media,
                    query=query,
                    body=body,
                    statuses=statuses or {},
                )
            )
            return handler

        return add


def json_answer(model: Any, answer: Any, status: int = 200) -> Response:
    """An answer of this type as JSON."""
    adapter = TypeAdapter(model)
    return Response(adapter.dump_json(answer, by_alias=True), status, content_type="application/json; charset=utf-8")


def template_of(path: str) -> str:
    """A Flask rule as OpenAPI and metrics write it: `/studies/{StudyInstanceUID}`."""
    return re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", path)

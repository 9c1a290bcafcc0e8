"""The editor of one part of the configuration: a form, its JSON, what is wrong with it, and who refers to it."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Response, make_response, render_template, request, url_for
from pydantic import Field

from relais.configuration.differences import differences
from relais.domain.document import Document, DocumentError
from relais.domain.json_text import read_shallow
from relais.errors import StateError
from relais.web.composition import current_call
from relais.web.errors import RefusedError
from relais.web.pages import network_draft as draft
from relais.web.pages import network_edits as edits
from relais.web.pages.network_editing import (
    Editing,
    PostedForm,
    Standing,
    fresh,
    opened,
    place_in_form,
    refused,
    standing,
    typed,
    worded,
)
from relais.web.pages.network_edits import ABSENT
from relais.web.pages.network_forms import Field as FormField
from relais.web.pages.network_values import Posted, text
from relais.web.pages.network_words import FIRST, GENERAL, GROUPS, MANY, REST, group_of, label
from relais.web.pages.reasons import KINDS
from relais.web.pages.shell import pages, say
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.requests import read_body, read_query


class NewQuery(Document):
    """What a new one is made from."""

    copied: str = Field("", alias="Copy", description="The one it is like.")


class Undoing(Document):
    """An edit to take back."""

    number: int
    digest: str
    changes: str


class Reference(NamedTuple):
    """Somebody who names what is edited."""

    where: str
    name: str
    url: str


@pages.get("/network/new/<name:Slug>")
@requires(Permission.ChangeConfiguration)
def network_new(Slug: str) -> str:  # noqa: N803
    """The editor of something new."""
    return _page(fresh(Slug, copied=read_query(request, NewQuery).copied))


@pages.get("/network/<name:Slug>/<path:Key>")
@requires(Permission.ViewConfiguration)
def network_part(Slug: str, Key: str) -> str:  # noqa: N803
    """The editor of what there is."""
    read_query(request, Nothing)
    return _page(opened(Slug, Key))


@pages.post("/network/form")
@requires(Permission.ViewConfiguration)
def network_form() -> str:
    """The form anew: as JSON or as fields, or for another kind; what was typed stays."""
    posted = _posted()
    if not draft.may_edit():  # a browser sends nothing of a form that is disabled but for this
        return _editor(
            editing := opened(text(posted, "@part"), text(posted, "@key")),
            standing(editing),
            mode=text(posted, "@show"),
        )
    editing = typed(posted)
    wanted = text(posted, "@show") or editing.mode
    return _editor(
        editing, standing(editing) if editing.broken else None, mode=editing.mode if editing.broken else wanted
    )


@pages.post("/network/check")
@requires(Permission.ViewConfiguration)
def network_check() -> str:
    """What is wrong with what is typed."""
    editing = typed(_posted())
    return render_template("network-problems.html", **_standing(editing, standing(editing)))


@pages.post("/network/save")
@requires(Permission.ChangeConfiguration)
def network_save() -> Response:
    """Keep what is typed in the draft, whatever is wrong with it."""
    posted = _posted()
    editing = typed(posted)
    found = standing(editing)
    named = not editing.part or bool(editing.name)
    taken = editing.name != editing.key and edits.part(editing.version.document, editing.steps) is not ABSENT
    if editing.broken or not named or (editing.part and taken):
        clash = say("Another one has this name already") if editing.part and taken else ""
        return make_response(_editor(editing, found, clash=clash))
    try:
        edit = draft.apply(
            lambda document: _kept(editing, document),
            digest=text(posted, "@digest"),
            path=(editing.top, editing.key) if editing.part else (editing.top,),
            base=editing.base,
        )
    except DocumentError as error:
        return make_response(_editor(editing, refused(error, editing)))
    except StateError as error:
        if error.code != "draft-changed":
            raise
        return make_response(_conflict(editing, found))
    slug = editing.part.slug if editing.part else GENERAL
    address = url_for("pages.network_part", Slug=slug, Key=editing.name)
    saved = opened(slug, editing.name)
    more = {"edit": edit, "back": _back(editing), "address": address}
    return make_response(_editor(saved, found, mode=editing.mode, **more))


@pages.post("/network/remove")
@requires(Permission.ChangeConfiguration)
def network_remove() -> str:
    """Take it out of the draft; without "@sure", say first who refers to it and what would follow."""
    posted = _posted()
    editing = typed(posted)
    everywhere = text(posted, "@everywhere") == "true"
    if not text(posted, "@sure"):
        return render_template("network-remove.html", editing=editing, label_of=label, **_consequences(editing))
    edit = draft.remove(
        (editing.top, editing.key), digest=text(posted, "@digest"), base=editing.base, everywhere=everywhere
    )
    return render_template("network-edited.html", edit=edit, back=_back(editing), go=url_for("pages.network"))


@pages.post("/network/undo")
@requires(Permission.ChangeConfiguration)
def network_undo() -> dict[str, Any]:
    """Take back the last edit."""
    body = read_body(request, Undoing)
    draft.undo(body.number, body.digest, _changes(body.changes))
    return {}


def _changes(written: str) -> edits.Patch:
    try:
        changes = read_shallow(written)
    except (ValueError, RecursionError):
        changes = None
    if not isinstance(changes, list) or not all(map(edits.is_change, changes)):
        raise RefusedError(400, "The page is broken; load it again")
    return changes


def _posted() -> Posted:
    form: Posted = read_body(request, PostedForm).model_extra or {}
    return form


def _kept(editing: Editing, document: Any) -> Any:
    if editing.part and editing.key and editing.key != editing.name:
        document = edits.renamed(document, editing.top, editing.key, editing.name)
    return editing.put(document)


def _back(editing: Editing) -> str:
    """Where an undo leads: to what there was before."""
    if not editing.key:
        return url_for("pages.network")
    return url_for("pages.network_part", Slug=editing.part.slug if editing.part else GENERAL, Key=editing.key)


def _page(editing: Editing) -> str:
    found = None if draft.may_edit() else standing(editing)
    return render_template("network-part.html", **_context(editing, found))


def _editor(editing: Editing, found: Standing | None, **more: Any) -> str:
    return render_template("network-editor.html", **{**_context(editing, found), **more})


def _conflict(editing: Editing, found: Standing) -> str:
    """The same form, made from the draft as it is now, with what somebody else changed in it."""
    path = (editing.top, editing.key) if editing.part else (editing.top,)
    now = edits.part(editing.version.document, path)
    before = {"": None if editing.base is ABSENT else editing.base}
    changes = [each.to_problem() for each in differences(before, {"": None if now is ABSENT else now})]
    current = Editing(**{**vars(editing), "base": now})
    return _editor(current, found, theirs=worded(changes))


def _context(editing: Editing, found: Standing | None) -> dict[str, Any]:
    form = editing.form
    return {
        "editing": editing,
        "mode": editing.mode,
        "unknown": form.unknown,
        "groups": _groups(editing, form.fields),
        "may_edit": draft.may_edit(),
        "references": _references(editing),
        "label": label,
        "kind_words": {**KINDS, "Pool": "Pool"},
        "slug": editing.part.slug if editing.part else GENERAL,
        "edit": None,
        "theirs": (),
        "clash": "",
        "back": "",
        "checked": found is not None,
        **_standing(editing, found or Standing()),
    }


def _standing(editing: Editing, found: Standing) -> dict[str, Any]:
    return {
        "problems": found.problems,
        "warnings": found.warnings,
        "elsewhere": found.elsewhere,
        "place": lambda told: place_in_form(told, editing.shape),
    }


def _groups(editing: Editing, fields: tuple[FormField, ...]) -> list[tuple[str, tuple[FormField, ...]]]:
    """The fields under their headings; few need none."""
    if len(fields) < MANY or editing.top != "Destinations":
        return [("", fields)]
    kind = [each for each in fields if each.alias == "Kind"]
    must = [each for each in fields if each.required and each.alias != "Kind"]
    others = [each for each in fields if not each.required]
    found = {title: [each for each in others if group_of(each.alias) == title] for title, _ in (*GROUPS, (REST, ()))}
    found[FIRST] = [*kind, *must, *found[FIRST]]
    return [(title, tuple(several)) for title, several in found.items() if several]


def _references(editing: Editing) -> list[Reference]:
    if not editing.part or not editing.key:
        return []
    document = editing.version.document
    found = edits.references(document, editing.top, editing.key)
    return [_reference(document, steps) for steps in found if steps[:2] != (editing.top, editing.key)]


def _reference(document: Any, steps: edits.Steps) -> Reference:
    top, key, *rest = steps if len(steps) > 1 else (*steps, "")
    inside = ".".join(str(step) for step in rest if isinstance(step, str))
    if isinstance(key, int):
        name = edits.part(document, (top, key, "Name"))
        url = f"{url_for('pages.network')}/rules/{key}"
        return Reference(str(top), f"{name if name is not ABSENT else key + 1} · {inside}", url)
    slug = str(top).lower()
    url = url_for("pages.network_part", Slug=slug if rest else GENERAL, Key=key if rest else top)
    return Reference(str(top), f"{key} · {inside}" if inside else str(key), url)


def _consequences(editing: Editing) -> dict[str, Any]:
    """What a deletion would make wrong: as it is, and with every reference taken out."""
    document = dict(editing.version.document)
    check = current_call().relais.versions.check
    gone = edits.removed(document, (editing.top, editing.key))
    known = set(_lines(check(document).problems))
    left = [each for each in worded(check(gone).problems) if (each.path, each.message) not in known]
    clean = check(edits.unreferred(gone, editing.top, editing.key)).problems
    followed = [each for each in worded(clean) if (each.path, each.message) not in known]
    return {"references": _references(editing), "left": left, "followed": followed}


def _lines(problems: Any) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in worded(problems)]

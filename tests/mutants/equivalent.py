"""Mutants that no test can notice, each with the reason; `make mutants` prints survivors as they are written here."""

EQUIVALENT: dict[str, str] = {
    (
        "relais.judgement.x_case_of: - known = configuration.clinics.get(clinic) if clinic else None "
        "+ known = configuration.clinics.get(clinic) if (clinic) or True else None"
    ): "no clinic is called None or nothing, so that looking for it finds none",
    **dict.fromkeys(
        (
            "relais.domain.residency.x_demands_of: "
            "- purpose: tuple(article for each in both for article in each.deidentification.get(purpose, ())) "
            f"+ purpose: tuple(article for each in both for article in each.deidentification.get(purpose, {default}))"
            for default in ("None", "")
        ),
        "both regimes name the same purposes, so that the default is never taken",
    ),
    (
        "relais.domain.residency.x__permit: - raise ValueError(label) + raise ValueError(None)"
    ): "the label is None there",
    (
        "relais.domain.residency.x__permit: - raise ValueError(name) + raise ValueError(None)"
    ): "a document that is missing was an objection before; and of an error judge() tells the class alone",
    **dict.fromkeys(
        (
            f'relais.domain.conditions.x__find_{what}: - key = ("{part}", name) + key = ("{other}", name)'
            for what, part in (("set", "Sets"), ("condition", "Conditions"))
            for other in (part.lower(), part.upper(), f"XX{part}XX")
        ),
        "under what a set or condition that was read is kept; sets and conditions are still kept apart",
    ),
    (
        "relais.domain.questions.x_explained: "
        "- return held, (because(node.outcome(look)) if found is None else (found,)) "
        "+ return held, (because(node.outcome(look)) if (found is None) or True else (found,))"
    ): "of an answer that settles everything by itself because() says the same: a matter of time",
    **dict.fromkeys(
        (
            "relais.domain.outcomes.x_because: "
            "- if len(found) > 1 and any(child.is_group for child in outcome.children) and _repeats(outcome): "
            f"+ if {condition} _repeats(outcome):"
            for condition in (
                "len(found) > 1 and any(child.is_group for child in outcome.children) or",
                "len(found) > 1 or any(child.is_group for child in outcome.children) and",
                "len(found) >= 1 and any(child.is_group for child in outcome.children) and",
            )
        ),
        "nothing can be left out of one answer, without groups inside, or if no answer stands twice: a matter of time",
    ),
    (
        "relais.domain.outcomes.x__repeats: - return len(set(answers)) < len(answers) "
        "+ return len(set(answers)) <= len(answers)"
    ): "where no answer stands twice, none can be left out: a matter of time",
    **dict.fromkeys(
        (
            f"relais.domain.look.xǁLookǁshown: - found = self._shown.get(name) + found = {never}"
            for never in ("None", "self._shown.get(None)")
        ),
        "the values are made anew, and are the same: a matter of time",
    ),
    (
        "relais.domain.look.xǁ_OneSeriesǁ__missing__: "
        "- values = self[name] = read_field(name, self.facts, self.local) if is_dicom(name) else self._whole[name] "
        "+ values = self[name] = read_field(name, self.facts, None) if is_dicom(name) else self._whole[name]"
    ): "what images say does not depend on the time of day",
    (
        "relais.domain.routing.x__ask: - stopped = False + stopped = None"
    ): "the one is as false as the other, and nobody else sees it",
    **dict.fromkeys(
        (
            "relais.domain.routing.x__with_outcomes: "
            f'- answers = document.get("Answers", ()) + answers = document.get("Answers", {default})'
            for default in ("None", "")
        ),
        "a decision is written without Answers only if no rule has a place among them",
    ),
    (
        "relais.domain.examples.x_run_examples: - example.facts, rules, otherwise, clinics=clinics, unknown=unknown, "
        "now=at, explain=Explain.Nothing + example.facts, rules, otherwise, clinics=clinics, unknown=unknown, now=at, "
        "explain=None"
    ): "an example shows no reasons: a matter of time",
    (
        "relais.domain.examples.x_run_examples: - example.facts, rules, otherwise, clinics=clinics, unknown=unknown, "
        "now=at, explain=Explain.Nothing - ) + example.facts, rules, otherwise, clinics=clinics, unknown=unknown, "
        "now=at, )"
    ): "an example shows no reasons: a matter of time",
}

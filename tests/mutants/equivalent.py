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
}

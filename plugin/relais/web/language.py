"""What the web layer says, in the caller's language."""

from __future__ import annotations

from relais.configuration import Language
from relais.domain.document import Problem
from relais.texts import PROBLEMS, _, gettext_for, word

LANGUAGES = tuple(language.value for language in Language)

LANGUAGE_COOKIE = "relais-language"
"""Remembers the language that was chosen on the pages."""

REQUEST_PROBLEMS = {
    "bad-text": _("has a character or a number that cannot be kept"),
    "bad-page": _("is not the Next of a page"),
    "ids-or-filter": _("give either Ids or Filter"),
    "destination-with-redirect": _("give Destination with redirect, and with nothing else"),
    "too_long": _("must have at most {max_length} items"),
    "studies-or-days": _("give either Studies or Days"),
    "study-or-patient": _("give either StudyInstanceUID or PatientID"),
    "issuer-without-patient": _("give PatientID with it"),
    "ends-too-early": _("must lie after the beginning, and in the future"),
    "facts-or-study": _("give either Facts or StudyInstanceUID"),
    "crm-id-differs": _("must be the CrmId of the address, or be left out"),
    "clinic-not-yours": _("must be one of your clinics"),
    "file-or-source": _("give either File or Source, or neither"),
    "patient-of-another-clinic": _("another clinic has a patient of this CrmId"),
    "line-not-json": _("is not JSON from column {column} on"),
    "line-not-utf8": _("is not UTF-8"),
    "line-repeats-key": _("has a key more than once in one object"),
    "line-too-long": _("must have at most {limit} bytes"),
    "file-changed": _("the file changed while it was read; import it again"),
    "file-unreadable": _("the file cannot be read"),
    "fhir-pages-repeat": _("the server repeats its pages"),
    "fhir-elsewhere": _("the server's next page lies at another server"),
    "fhir-not-json": _("the server's answer is not JSON"),
    "fhir-not-bundle": _("the server's answer is not a FHIR Bundle"),
    "fhir-page-too-large": _("the server's page is too large; set a smaller PageSize"),
    "fhir-refused": _("the server refuses the token"),
    "fhir-deletes-many": _("more patients were deleted on the server than MostDeletions allows; nobody was forgotten"),
    "fhir-failed": _("the server answers with an error"),
    "fhir-timeout": _("the server does not answer in time"),
    "fhir-unreachable": _("the server cannot be reached"),
    "string_pattern_mismatch": _("does not look as it should: {pattern}"),
    "string_too_long": _("must have at most {max_length} characters"),
    "int_parsing": _("must be a whole number"),
    "int_parsing_size": _("must be a whole number"),
    "int_from_float": _("must be a whole number"),
}
"""What is wrong with a request, beyond what can be wrong with a configuration."""


class Texts:
    """Words of one language."""

    def __init__(self, language: str) -> None:
        self.language = str(language)
        self._translations = gettext_for(self.language)
        self._translate = self._translations.gettext

    def say(self, message: str, **values: object) -> str:
        """The message, translated, with its {placeholders} filled."""
        return self._translate(message).format(**values)

    def count(self, one: str, many: str, count: int, shown: str, **values: object) -> str:
        """The message for so many things, {count} being how the number is `shown`."""
        return self._translations.ngettext(one, many, count).format(count=shown, **values)

    def problem(self, problem: Problem) -> str:
        """What is wrong, without the path."""
        if problem.code in REQUEST_PROBLEMS and problem.code not in PROBLEMS:
            return self.say(REQUEST_PROBLEMS[problem.code], **problem.values)
        return word(Problem("", problem.code, problem.values), self.language)

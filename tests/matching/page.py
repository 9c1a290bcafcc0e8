"""The page of the manual that keeps what was measured of matching."""

from collections.abc import Mapping

from tests.bench.figures import table
from tests.bench.report import environment
from tests.matching.parts import SIZES, Part
from tests.matching.senders import SLIPS

_PAGE = """\
# Quality of matching

Written by `make bench-matching`, which takes {minutes:.0f} minutes. How a decision is made, and in which words it is
told, is in [how patients are matched](../explanation/matching.md); how a model is trained on studies of one's own is in
[train the matching model](../how-to/train-matching.md).

{figures}

## How it was measured

Every question goes the way of production, one at a time: DICOM attributes are read into a person, the database's keys
find candidates, the kernel decides. The CRM's patients are stored as the REST interface stores them. Every question
and its answer are written as JSON, read again and asked again; the answers must be equal to the last digit.

**Hard pairs**, asked in CRMs of {sizes} sizes, are twins, brothers, fathers and sons, spouses, relatives' cards,
recycled numbers, damaged, cut and swapped names, written by hand, each with the answer that it must have. A pair that
chance alone makes in a large CRM is asked in a large one only. They are in `tests/domain/matching`.

**FEBRL** are four public data sets of invented Australians, with typing errors, swapped fields, and given names,
surnames, numbers and birth dates that were replaced by others. There are no twins and no relatives in them, so bits may
overrule a name that differs: the model `febrl` says so. Its weights are learnt from FEBRL 3 without its answers; its
thresholds, the weight of an address and the keys were chosen on FEBRL 1 to 3. FEBRL 4 was opened three times: first
with an address that counted less and without two of the keys by address (0 wrong; automatic recall .9960, .9548 and
.8512), then without the keys of a home and of those who have no birth date, and with an address that still counted
less (0 wrong; .9990, .9798 and .8512), and last with what FEBRL 1 to 3 showed to be missing; which of its pairs were
missed was never looked at. The model `first` is the one that Relais comes with: it never lets bits overrule another
given name or birth date, for such are a twin's or a relative's, and sends them to a person. Splink and recordlinkage
run on the same two files and fields in the same run, with their own blocking on all pairs at once, Splink with p ≥ 0.99
and recordlinkage's ECM with p ≥ 0.5; of each duplicate the best pair counts.

**Fictional households** are those that the package pseudopeople brings along: some ten thousand people of the United
States. The CRM has four in five of them as the census of 2020 found them. Asked is whoever was counted in 2020, and in
2030, when people had moved, married, and had children, with the package's usual noise: slips, names and birth dates of
others who live there, left out fields. There are no numbers and no telephones. Who is not in the CRM has parents,
children, brothers and sisters in it, so this measures above all what is wrong.

**Quebec** is a generator of households: names as common as in Quebec, Marie- and Jean- compounds, double names, wives
under a husband's name, twins, sons named after their fathers, shared telephones and addresses. No two have one NAM.
One person in five is not in the CRM, but relatives are. The CRM has a NAM of 85 % of its people and a clinic's number
of 60 %. Of the studies, 45 % have a NAM, 17 % a clinic's number, 28 % a number of another system, the rest none; one in
four has a telephone, one in seven an address. This goes wrong, as often as this table says; it was written apart from
the weights, and not changed for them:

{slips}

*Wrong* is an automatic match to somebody else. *At most* is the upper bound of its share with 95 % confidence (Clopper
and Pearson). *False nobody* is the share of people in the CRM whose study is said to be nobody's. *The right person
shown* counts reviews in which the right person is among the three candidates; for people who are not in the CRM, no
review can be.

{tables}

## What it does not show

All are invented people. How often senders err differs from clinic to clinic; what counts is the second looks that a
running installation takes, and their figures on *Reviews*. Nothing here knows how often two people share a card.

## Where

| | |
|---|---|
{environment}

```console
$ make bench-matching                          # everything, and writes this page
$ make bench-matching MATCHING=febrl           # one part, printed only
$ make bench-matching MATCHING=--quick         # few people, to see that it works
```
"""


def page(parts: Mapping[str, Part], seconds: float) -> str:
    """The whole page."""
    slips = "\n".join(["| What goes wrong | of those it can happen to |", "|---|---|", *map(_slip, SLIPS.items())])
    return _PAGE.format(
        minutes=seconds / 60,
        figures=table([figure for part in parts.values() for figure in part.figures]),
        sizes=len(SIZES),
        slips=slips,
        tables="\n\n".join(each for part in parts.values() for each in part.tables),
        environment="\n".join(f"| {name} | {value} |" for name, value in environment()),
    )


def _slip(slip: tuple[str, float]) -> str:
    name, share = slip
    return f"| {name} | {100 * share:g} % |"

"""Splink and recordlinkage on FEBRL 4, with the same fields: run by the interpreter that has them, apart from ours.

`python peers.py FOLDER` writes one JSON object. Both are set up as their own manuals do for this data set: Splink with
term frequencies, trained without labels; recordlinkage with its comparisons and its EM classifier (ECM). One best
match of each duplicate counts, as ours does.
"""

import importlib
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

FIELDS = {
    "all fields": ("soc_sec_id", "address"),
    "without soc_sec_id": ("address",),
    "name and birth date": (),
}
SPLINK_SURE, ECM_SURE = 0.99, 0.5
"""From which probability on a pair counts; ECM's own rule is the likelier of the two."""


def main(folder: Path) -> None:
    """Every set of fields, one program after the other."""
    found = {
        program: {name: measured(folder, fields) for name, fields in FIELDS.items()}
        for program, measured in (("Splink", splink), ("recordlinkage", recordlinkage))
    }
    json.dump(found, sys.stdout)


def frames(folder: Path) -> list[Any]:
    """Originals and duplicates."""
    pandas = importlib.import_module("pandas")
    read = []
    for name in ("dataset4a.csv", "dataset4b.csv"):
        frame = pandas.read_csv(folder / name, skipinitialspace=True, dtype=str)
        frame["truth"] = frame["rec_id"].str.extract(r"rec-(\d+)")[0]
        read.append(frame.rename(columns={"rec_id": "unique_id"}))
    return read


def scored(pairs: dict[str, tuple[float, bool]], seconds: float, known: int, sure: float) -> dict[str, Any]:
    """What the best pairs that are sure come to; `pairs` are scores, and whether right, by duplicate."""
    taken = [is_right for score, is_right in pairs.values() if score >= sure]
    right = sum(taken)
    return {
        "Recall": right / known,
        "Wrong": len(taken) - right,
        "Seconds": seconds,
    }


def splink(folder: Path, fields: tuple[str, ...]) -> dict[str, Any]:
    """Splink on DuckDB: u from random pairs, m by EM over two blockings."""
    package = importlib.import_module("splink")
    compare = importlib.import_module("splink.comparison_library")
    originals, duplicates = frames(folder)
    comparisons = [
        compare.JaroWinklerAtThresholds("given_name", [0.92, 0.85]).configure(term_frequency_adjustments=True),
        compare.JaroWinklerAtThresholds("surname", [0.92, 0.85]).configure(term_frequency_adjustments=True),
        compare.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
    ]
    blocking = [
        package.block_on("given_name", "surname"),
        package.block_on("date_of_birth"),
        package.block_on("surname", "substr(date_of_birth, 1, 4)"),
        package.block_on("given_name", "substr(date_of_birth, 1, 4)"),
    ]
    if "soc_sec_id" in fields:
        comparisons.append(compare.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]))
        blocking.append(package.block_on("soc_sec_id"))
    if "address" in fields:
        comparisons += [
            compare.DamerauLevenshteinAtThresholds("address_1", [1, 3]).configure(term_frequency_adjustments=True),
            compare.DamerauLevenshteinAtThresholds("suburb", [1, 3]).configure(term_frequency_adjustments=True),
            compare.DamerauLevenshteinAtThresholds("postcode", [1, 2]).configure(term_frequency_adjustments=True),
            compare.ExactMatch("street_number"),
            compare.ExactMatch("state"),
        ]
        blocking.append(package.block_on("street_number", "address_1"))
        blocking.append(package.block_on("postcode", "surname"))
    settings = package.SettingsCreator(
        link_type="link_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=blocking,
        probability_two_random_records_match=1 / len(originals),
        retain_intermediate_calculation_columns=False,
        additional_columns_to_retain=["truth"],
    )
    began = perf_counter()
    engine = importlib.import_module("splink.backends.duckdb").DuckDBAPI()
    registered = [
        engine.register(each, dataset_display_name=name) for each, name in ((originals, "a"), (duplicates, "b"))
    ]
    linker = package.Linker(registered, settings, log_level="ERROR")
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    linker.training.estimate_parameters_using_expectation_maximisation(package.block_on("date_of_birth"))
    linker.training.estimate_parameters_using_expectation_maximisation(package.block_on("given_name", "surname"))
    found = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    seconds = perf_counter() - began
    pairs: dict[str, tuple[float, bool]] = {}
    columns = ("unique_id_r", "match_probability", "truth_l", "truth_r")
    for duplicate, score, left, right in zip(*(found[name] for name in columns), strict=True):
        pairs[duplicate] = max(pairs.get(duplicate, (0.0, False)), (score, left == right))
    return scored(pairs, seconds, len(duplicates), SPLINK_SURE)


def recordlinkage(folder: Path, fields: tuple[str, ...]) -> dict[str, Any]:
    """The package with its manual's comparisons for FEBRL, classified by ECM."""
    package = importlib.import_module("recordlinkage")
    originals, duplicates = (each.set_index("unique_id") for each in frames(folder))
    began = perf_counter()
    index = package.Index()
    for block in ("given_name", "surname", "date_of_birth", *(each for each in fields if each == "soc_sec_id")):
        index.block(block)
    candidates = index.index(originals, duplicates)
    compare = package.Compare()
    compare.string("given_name", "given_name", method="jarowinkler", threshold=0.85, label="given_name")
    compare.string("surname", "surname", method="jarowinkler", threshold=0.85, label="surname")
    compare.exact("date_of_birth", "date_of_birth", label="date_of_birth")
    if "soc_sec_id" in fields:
        compare.exact("soc_sec_id", "soc_sec_id", label="soc_sec_id")
    if "address" in fields:
        compare.string("address_1", "address_1", threshold=0.85, label="address_1")
        compare.exact("suburb", "suburb", label="suburb")
        compare.exact("postcode", "postcode", label="postcode")
        compare.exact("state", "state", label="state")
    features = compare.compute(candidates, originals, duplicates)
    scores = package.ECMClassifier()
    scores.fit(features)
    probabilities = scores.prob(features)
    seconds = perf_counter() - began
    pairs: dict[str, tuple[float, bool]] = {}
    for (left, right), score in probabilities.items():
        is_right = bool(originals.at[left, "truth"] == duplicates.at[right, "truth"])
        pairs[right] = max(pairs.get(right, (0.0, False)), (float(score), is_right))
    return scored(pairs, seconds, len(duplicates), ECM_SURE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""check_profile_schema.py SCHEMA FOLDER: the schema is sound, every profile in the folder validates, and what
the reader refuses by its form the schema refuses too. Exit 77: the jsonschema package is missing."""

import copy
import json
import pathlib
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError as fault:
    print(fault)
    sys.exit(77)

GOOD = {"$schema": "x", "name": "p", "description": "", "extends": "cold", "min_samples": 5,
        "thresholds": ["latency_ms mean <= 1",
                       {"bound": "latency_ms p(95) <= 1", "label": "l", "description": "", "when": ["top_attach"],
                        "missing": "skip", "on_noise": "pass", "severity": "warning", "min_samples": 0}]}
# Values of the wrong kind for every key.
WRONG = {"$schema": [1], "name": ["", 1, "a\nb"], "description": [None], "extends": ["", 2],
         "min_samples": [-1, 2.5, "5", 1000001, None], "thresholds": [[], {}, "x", [True], [""]],
         "bound": ["", 1, []], "label": ["", "a\x7fb"], "when": ["top_attach", [1], [""], ["a"] * 5],
         "missing": ["ignore", None], "on_noise": ["error", 1], "severity": ["fail", []]}


def changes():
    """Profiles with one fault each."""
    for place in (lambda p: p, lambda p: p["thresholds"][1]):
        for key in place(GOOD):
            for value in WRONG[key]:
                changed = copy.deepcopy(GOOD)
                place(changed)[key] = value
                yield changed
        changed = copy.deepcopy(GOOD)
        place(changed)["unknown"] = 1
        yield changed
    for where, key in ((lambda p: p, "name"), (lambda p: p["thresholds"][1], "bound")):
        changed = copy.deepcopy(GOOD)
        del where(changed)[key]
        yield changed
    yield {"name": "p"}
    yield []


def main():
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    files = sorted(pathlib.Path(sys.argv[2]).glob("*.json"))
    if len(files) < 4:
        sys.exit(f"only {len(files)} profiles")
    for file in files:
        for fault in validator.iter_errors(json.loads(file.read_text(encoding="utf-8"))):
            sys.exit(f"{file}: {list(fault.absolute_path)}: {fault.message}")
    for good in (GOOD, {"name": "p", "extends": "x"}, {"name": "p", "thresholds": ["a"]}):
        for fault in validator.iter_errors(good):
            sys.exit(f"{good}: {fault.message}")
    refused = 0
    for changed in changes():
        if validator.is_valid(changed):
            sys.exit(f"valid: {json.dumps(changed)}")
        refused += 1
    print(f"{len(files)} profiles, {refused} faults")


main()

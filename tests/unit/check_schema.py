"""check_schema.py SCHEMA DOCUMENT: the schema is sound, the document validates, and no longer does once any
single key of it is taken away or any number made a string. Exit 77: the jsonschema package is missing."""

import copy
import json
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError as fault:
    print(fault)
    sys.exit(77)

# Objects whose keys the schema leaves open.
OPEN = {"environment", "data", "queue_cancel_metrics", "queue_cancel_datapoints", "unavailable",
        "attributes", "lost", "machine"}
# Objects whose keys are names from outside, but not what stands under them.
NAMED = {"otel_metrics", "marks", "phases", "verdicts"}
# Keys that are not always there.
OPTIONAL = {"conflicting", "marks", "phases", "machine", "verdicts", "verdict", "verdict_detail", "until",
            "teardown_ms", "boot", "disk_clone_ms"}


def places(value, path=()):
    """The path of every object member below `value` that the schema must know, and whether it must be there."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield path + (key,), key not in OPTIONAL and not (path and path[-1] in NAMED)
            if key not in OPEN:
                yield from places(member, path + (key,))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from places(member, path + (index,))


def parent_of(document, path):
    for step in path[:-1]:
        document = document[step]
    return document


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        document = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for fault in validator.iter_errors(document):
        sys.exit(f"{list(fault.absolute_path)}: {fault.message}")
    checked = 0
    for path, required in list(places(document)):
        changed = copy.deepcopy(document)
        parent = parent_of(changed, path)
        del parent[path[-1]]
        if required and validator.is_valid(changed):
            sys.exit(f"valid without {path}")
        if isinstance(parent_of(document, path)[path[-1]], (int, float)):
            parent[path[-1]] = "text"
            if validator.is_valid(changed):
                sys.exit(f"valid with a string in {path}")
        checked += 1
    print(f"{checked} keys")


main()

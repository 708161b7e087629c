"""values.yaml as the one source: README's table of values and values.schema.json are made from it.

A value is described by a comment `# -- …` above it; what its default does not tell of its type stands in
a comment `# @schema {…}`, which is laid over the schema that the default gives.
"""

import functools
import json
import operator
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import reference

BEGIN = "<!-- values: begin (made from values.yaml; mend with UPDATE_DOCS=1 scripts/charts) -->"
END = "<!-- values: end -->"

# What several values share.
DEFINITIONS = {
    "amounts": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"type": ["string", "number"]} for name in ("cpu", "memory", "ephemeral-storage")
        },
    },
    "mount": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "mountPath"],
        "properties": {
            "name": {"type": "string"},
            "mountPath": {"type": "string"},
            "mountPropagation": {"type": "string"},
            "readOnly": {"type": "boolean"},
            "recursiveReadOnly": {"type": "string"},
            "subPath": {"type": "string"},
            "subPathExpr": {"type": "string"},
        },
    },
    "peer": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "podSelector": {"$ref": "#/$defs/selector"},
            "namespaceSelector": {"$ref": "#/$defs/selector"},
            "ipBlock": {
                "type": "object",
                "additionalProperties": False,
                "required": ["cidr"],
                "properties": {"cidr": {"type": "string"}, "except": {"type": "array"}},
            },
        },
    },
    "selector": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"matchLabels": {"type": "object"}, "matchExpressions": {"type": "array"}},
    },
    "variable": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "value": {"type": "string"},
            "valueFrom": {"type": "object"},
        },
    },
}


@dataclass
class Value:
    path: str
    default: object
    description: str | None
    schema: dict = field(default_factory=dict)


def read(chart: Path) -> list[Value]:
    """Every value, in the order of the file. One without a description has values below it."""
    text = (chart / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    values, stack, description, schema = [], [], None, {}
    for line in text.splitlines():
        if found := re.match(r"\s*# -- (.*)", line):
            description = found[1]
        elif found := re.match(r"\s*# @schema (.*)", line):
            schema = json.loads(found[1])
        elif found := re.match(r"( *)([A-Za-z]\w*):", line):
            stack = [*stack[: len(found[1]) // 2], found[2]]
            path = ".".join(stack)
            if not any(v.description and path.startswith(f"{v.path}.") for v in values):
                default = functools.reduce(operator.getitem, stack, defaults)
                values.append(Value(path, default, description, schema))
            description, schema = None, {}
    return values


def leaves(chart: Path) -> list[Value]:
    """The values that somebody sets."""
    return [value for value in read(chart) if value.description is not None]


def table(chart: Path) -> str:
    lines = ["| value | default | what it does |", "|---|---|---|"]
    for value in leaves(chart):
        default = json.dumps(value.default, ensure_ascii=False)
        text = value.description.replace("|", "\\|")
        lines.append(f"| `{value.path}` | `{default}` | {text} |")
    return "\n".join(lines)


def readme(chart: Path) -> str:
    """README.md with the table as it should be."""
    text = (chart / "README.md").read_text()
    assert BEGIN in text and END in text, f"{chart}/README.md has no place for its table"
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table(chart)}\n{END}{rest.split(END)[1]}"


def schema(chart: Path) -> str:
    """values.schema.json as it should be."""
    root = _object({})
    root["$schema"] = "http://json-schema.org/draft-07/schema#"
    root["title"] = f"Values of the chart {chart.name}"
    places = {"": root}
    for value in read(chart):
        above, _, key = value.path.rpartition(".")
        if value.description is None:
            below = _object({})
        else:
            below = {"description": value.description, **_type(value.default), **value.schema}
            if "$ref" in value.schema:
                below = value.schema
        places[above]["properties"][key] = places[value.path] = below
        if "null" not in below.get("type", ""):
            # All have defaults: what is missing was set to null.
            places[above].setdefault("required", []).append(key)
    # Helm hands these to every chart that is a part of another one.
    root["properties"]["global"] = {"type": "object"}
    definitions = DEFINITIONS | {"config": _config()}
    used = _used(root, definitions)
    root["$defs"] = {name: definitions[name] for name in sorted(used)}
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _type(default) -> dict:
    if isinstance(default, bool):
        return {"type": "boolean"}
    if isinstance(default, int):
        return {"type": "integer", "minimum": 0}
    if isinstance(default, str):
        return {"type": "string"}
    if isinstance(default, list):
        return {"type": "array"}
    return {"type": "object"}


def _object(properties: dict) -> dict:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _used(schema: object, definitions: dict) -> set[str]:
    names = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    for name in list(names):
        names |= _used(definitions[name], {k: v for k, v in definitions.items() if k != name})
    return names


def _config() -> dict:
    """callgate.toml as far as the chart leaves it to its user. What a value may be, the gate says."""
    leaf = {"type": ["string", "number", "boolean"]}
    texts = {"type": "array", "items": {"type": "string"}}
    root = _object({})
    for key in sorted(reference.server_keys() - reference.set_by_the_chart()):
        place = root
        *tables, last = key.split(".")
        for name in tables:
            place = place["properties"].setdefault(name, _object({}))
        place["properties"][last] = leaf
    profile = _object({key: leaf for key in sorted(reference.profile_keys() | {"extends"})})
    number = _object({key: leaf for key in sorted(reference.number_keys())})
    client = _object({key: texts for key in sorted(reference.client_keys())})
    for name, entry in (("profiles", profile), ("numbers", number), ("clients", client)):
        root["properties"][name] = {"type": "object", "additionalProperties": entry}
    return root

"""The JSON Schema of the configuration, for editors: made of the types that read it, so that both say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema as core

from callcenter.config import schema, shape

FILE = "schema.json"
"""Its name, beside the YAML files."""

COMMENT = f"# yaml-language-server: $schema={FILE}"
"""The first line of a YAML file that has editors read it: https://github.com/redhat-developer/yaml-language-server."""

# What editors know best; the newer drafts say nothing that is needed here.
DRAFT = "http://json-schema.org/draft-07/schema#"

# Sections whose things are one field of their model: a flow is its steps.
WITHIN = {"flows": "steps", "prompts": "languages"}


def json_schema() -> dict[str, Any]:
    """The schema of one file: any of the sections, each as :func:`callcenter.config.load` reads it.

    What a single value does not show (names of nothing, numbers given twice) it cannot tell: ``callcenter check`` does.
    """
    fields: dict[str, Any] = {name: (model | None, None) for name, model in schema.SECTIONS.items()}
    for section in schema.THINGS:
        key = schema.KEY_TYPES.get(section, shape.Slug)
        fields[section] = (dict[key, _thing(section)] | None, None)  # type: ignore[valid-type, misc]
    fields["customers"] = (str | None, None)
    whole = create_model("Configuration", __base__=shape.Shape, **fields)
    made = whole.model_json_schema(schema_generator=_Generator)
    made["title"] = "The configuration of callcenter"
    made.pop("description", None)
    return {"$schema": DRAFT, **_tidy(made)}


def _thing(section: str) -> Any:
    model = schema.THINGS[section]
    if section not in WITHIN:
        return model
    field: FieldInfo = model.model_fields[WITHIN[section]]
    return Annotated[(field.annotation, *field.metadata)]


class _Generator(GenerateJsonSchema):
    """Tells of our validators what stands in ``shape.TOLD``, and nothing of titles and defaults."""

    def function_before_schema(self, schema_: core.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """What is read in short forms too."""
        return self._told(schema_, super().function_before_schema(schema_))

    def function_after_schema(self, schema_: core.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        """What must have a form."""
        return self._told(schema_, super().function_after_schema(schema_))

    def model_schema(self, schema_: core.ModelSchema) -> JsonSchemaValue:
        """A mapping, and what stands for it in short."""
        made = super().model_schema(schema_)
        also = shape.ALSO.get(schema_["cls"])
        return also(made) if also is not None else made

    def str_schema(self, schema_: core.StringSchema) -> JsonSchemaValue:
        """A number may stand for a text."""
        return {**super().str_schema(schema_), "type": ["string", "number"]}

    def dict_schema(self, schema_: core.DictSchema) -> JsonSchemaValue:
        """Keys have their form too."""
        made: JsonSchemaValue = {"type": "object"}
        if "keys_schema" in schema_:
            made["propertyNames"] = self.generate_inner(schema_["keys_schema"])
        if "values_schema" in schema_:
            made["additionalProperties"] = self.generate_inner(schema_["values_schema"])
        return made

    def default_schema(self, schema_: core.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults are seconds and objects here, and stand in the shipped files as they are written."""
        return self.generate_inner(schema_["schema"])

    def field_title_should_be_set(self, schema_: Any) -> bool:
        """A key says it already."""
        return False

    def _told(self, schema_: Any, made: JsonSchemaValue) -> JsonSchemaValue:
        told = shape.TOLD.get(schema_["function"]["function"])
        return told(made) if told is not None else made


def _tidy(node: Any) -> Any:
    """As it may be written: a key without a value is as if it were not there."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _tidy(value) for key, value in node.items()}
    if "anyOf" in made:
        made["anyOf"] = [
            inner for each in made["anyOf"] for inner in (each["anyOf"] if each.keys() == {"anyOf"} else [each])
        ]
    if "enum" in made:
        made.pop("type", None)
    if made.get("type") == "object" and isinstance(made.get("properties"), dict):
        made.pop("title", None)
        required = made.get("required", [])
        made["properties"] = {
            key: value if key in required else _or_nothing(value) for key, value in made["properties"].items()
        }
    return made


def _or_nothing(told: dict[str, Any]) -> dict[str, Any]:
    choices = told["anyOf"] if told.keys() == {"anyOf"} else [told]
    return told if {"type": "null"} in choices else {"anyOf": [*choices, {"type": "null"}]}


def write(folder: Path) -> Path:
    """Write the schema into a folder of YAML files. Raises OSError."""
    file = folder / FILE
    file.write_text(as_text(), "utf-8")
    return file


def as_text() -> str:
    """The schema as it is written to files."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"

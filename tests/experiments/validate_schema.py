"""validate_schema.py SCHEMA DOCUMENT: holds a JSON document against a JSON Schema."""
import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as schema_file:
    schema = json.load(schema_file)
with open(sys.argv[2], encoding="utf-8") as document_file:
    document = json.load(document_file)
jsonschema.Draft202012Validator.check_schema(schema)
errors = list(jsonschema.Draft202012Validator(schema).iter_errors(document))
for error in errors:
    print("/".join(str(part) for part in error.absolute_path), error.message)
sys.exit(1 if errors else 0)

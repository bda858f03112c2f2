"""A run's files, as docs/run-format.md describes them."""
import json


class BadRecords(Exception):
    """The raw records cannot be read; says which and why."""


def read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BadRecords(f"{path}: not JSON: {error}") from error


def read_lines(path):
    """The records of an ndjson file; None if absent. A last line cut off is left out."""
    if not path.exists():
        return None
    lines = path.read_bytes().split(b"\n")
    last = lines.pop()  # empty when the file ends as it should
    records = []
    for number, line in enumerate(lines, 1):
        if line:
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise BadRecords(f"{path}:{number}: {error}") from error
    if last:
        try:
            records.append(json.loads(last))
        except ValueError:
            pass
    return records

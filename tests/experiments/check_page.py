"""check_page.py PAGE: every element of the page is closed in order, every id is its own,
every link has its target (in the page, or a file beside it), data for the script is JSON."""
import html.parser
import json
import pathlib
import sys
import urllib.parse

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.problems, self.ids, self.targets = [], [], set(), []
        self.script, self.data = None, 0  # the attributes of the script we are in

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.script = attributes if tag == "script" else None
        if "id" in attributes and attributes["id"] in self.ids:
            self.problems.append(f"id {attributes['id']} twice")
        self.ids.add(attributes.get("id"))
        if tag == "a":
            self.targets.append(attributes["href"].removeprefix("#"))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes something else")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            if self.script.get("type") == "application/json":
                self.data += 1
                self.check_json(data)
            return
        if "nan" in data.lower().split() or "inf" in data.lower().split():
            self.problems.append(f"not a number at {self.getpos()}")

    def check_json(self, data):
        def refuse(constant):
            raise ValueError(f"{constant} is no number")

        try:
            json.loads(data, parse_constant=refuse)
        except ValueError as error:
            self.problems.append(f"the script's data: {error}")


checker = Checker()
with open(sys.argv[1], encoding="utf-8") as page:
    text = page.read()
checker.feed(text)
checker.close()
problems = checker.problems + [f"never closed: {tag}" for tag in checker.open]
for name in checker.targets:
    if name.startswith("./"):
        found = (pathlib.Path(sys.argv[1]).parent / urllib.parse.unquote(name)).is_file()
    else:
        found = name in checker.ids
    if not found:
        problems.append(f"no target for {name}")
if text.count('type="application/json"') != checker.data:
    problems.append("not all of the script's data was found as such")
print("\n".join(problems))
sys.exit(1 if problems else 0)

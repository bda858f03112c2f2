"""check_bundle.py PAGE_FOLDER: the script that the binary carries was built from the sources
beside it (experiments/report/page/build.mjs writes both hashes). Needs no Node."""
import base64
import hashlib
import pathlib
import sys

root = pathlib.Path(sys.argv[1])
FIXED = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"]
names = FIXED + [str(path.relative_to(root)) for path in (root / "src").rglob("*") if path.is_file()]
digest = hashlib.sha256()
for name in sorted(names):
    digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")

problems = []
if digest.hexdigest() != (root / "bundle/sources.sha256").read_text().strip():
    problems.append("bundle/page.js is older than its sources: run scripts/build-page and commit bundle/")
script = hashlib.sha256((root / "bundle/page.js").read_bytes()).digest()
if base64.b64encode(script).decode() != (root / "bundle/page.js.sha256").read_text().strip():
    problems.append("bundle/page.js is not what page.js.sha256 says: browsers would not run it")
print("\n".join(problems))
sys.exit(1 if problems else 0)

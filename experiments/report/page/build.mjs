// Builds src/ and its libraries into bundle/page.js, which is kept in the repository so that
// building indoubt needs neither Node nor npm (docs/adr).
//
//   npm run build              writes bundle/
//   node build.mjs OTHER       writes there instead, to compare
//
// Beside page.js: page.js.sha256, what a content security policy names it by, and sources.sha256
// over all it was built from, by which a test without Node finds a stale bundle.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(root, "bundle");

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** Each file's name and text, in the order of their names; check_bundle.py does the same. */
function sourcesHash() {
  const fixed = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
  const paths = [...fixed.map((name) => join(root, name)), ...filesUnder(join(root, "src"))];
  const names = paths.map((path) => relative(root, path)).sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(name).update("\0").update(readFileSync(join(root, name))).update("\0");
  return hash.digest("hex");
}

/** The packages that the bundle carries, with what their licences want to see in every copy. */
function notices(inputs) {
  const names = new Set();
  for (const input of Object.keys(inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) names.add(found[1]);
  }
  return [...names].sort().map((name) => {
    const folder = join(root, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((each) => join(folder, each)).find(existsSync);
    if (!file) throw new Error(`${name}: no licence file; its notice cannot be kept`);
    return { name, version, license, text: readFileSync(file, "utf8").trim() };
  });
}

const options = {
  absWorkingDir: root,
  entryPoints: ["src/main.ts"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
  logLevel: "warning",
};
const result = await build(options);
const carried = notices(result.metafile.inputs);
const banner =
  "/*! indoubt's report page. Carries, under the licences that LICENSES.txt beside this file quotes: " +
  carried.map(({ name, version, license }) => `${name} ${version} (${license})`).join(", ") +
  "; (c) Observable, Inc., Mike Bostock and the other authors named there */\n";
const script = banner + result.outputFiles[0].text;
if (/<\/script|<!--|\)page-script"/i.test(script)) {
  throw new Error("the bundle would end the element or the literal that holds it");
}

mkdirSync(target, { recursive: true });
writeFileSync(join(target, "page.js"), script);
writeFileSync(join(target, "page.js.sha256"), createHash("sha256").update(script).digest("base64") + "\n");
writeFileSync(join(target, "sources.sha256"), sourcesHash() + "\n");
writeFileSync(join(target, "LICENSES.txt"),
  carried.map(({ name, version, text }) => `${name} ${version}\n\n${text}\n`).join("\n----\n\n"));
console.log(`${relative(process.cwd(), join(target, "page.js"))}: ${(script.length / 1024).toFixed(0)} KiB`);

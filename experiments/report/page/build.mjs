// Builds each page of src/ and its libraries into one script, and its hash, by which a content
// security policy names it: page.js and page.js.sha256 of the report, live.js and live.js.sha256
// of the live page. scripts/build-page calls it.
//
//   node build.mjs FOLDER      writes there
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2];
if (!target) throw new Error("build.mjs: name the folder to write to");

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

async function bundle(entry, name, what) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2020",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
    logLevel: "warning",
  });
  const banner =
    `/*! ${what}. Carries, under these licences:\n\n` +
    notices(result.metafile.inputs)
      .map((each) => `${each.name} ${each.version}\n\n${each.text.replaceAll("*/", "* /")}\n`).join("\n") +
    "*/\n";
  const script = banner + result.outputFiles[0].text;
  if (/<\/script|<!--|\)page-script"/i.test(script)) {
    throw new Error(`${name}: the bundle would end the element or the literal that holds it`);
  }
  writeFileSync(join(target, name), script);
  writeFileSync(join(target, `${name}.sha256`), createHash("sha256").update(script).digest("base64") + "\n");
  console.log(`${relative(process.cwd(), join(target, name))}: ${(script.length / 1024).toFixed(0)} KiB`);
}

mkdirSync(target, { recursive: true });
await bundle("src/main.ts", "page.js", "indoubt's report page");
await bundle("src/live/main.ts", "live.js", "indoubt's live page");

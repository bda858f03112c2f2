// Opens the live page of a real run in a browser and does what its readers do: watches, pulls
// the plug on the coordinator and on the CDC worker, and sees what comes of it.
//
//   node check/live.mjs BINARY SCENARIO.toml OUT [--pictures FOLDER]
//
// Starts BINARY run SCENARIO.toml --live --out OUT, whose paths are 2pc and cdc. No request goes
// to anybody but the page's server, nothing is written to the console; every panel has lines and
// words; what cannot be done says why; axe finds nothing serious, in light and dark; it works by
// keyboard, on a narrow screen and without motion; a reloaded page shows the same; the end is
// told with the report's path; the run's records have both deaths. Exit 1 names what is wrong.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { pictures: { type: "string" } },
});
const [binary, scenario, out] = positionals;
const browserPath = process.env.INDOUBT_CHROMIUM ?? "/usr/bin/chromium";
if (!out || !existsSync(binary) || !existsSync(scenario)) {
  console.error("live: name the binary, a scenario and a folder for the run");
  process.exit(2);
}
if (!existsSync(browserPath)) {
  console.error(`live: no ${browserPath}: install Debian's chromium with scripts/setup --page`);
  process.exit(3);
}
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const expect = (holds, problem) => holds || problems.push(problem);
const long = { timeout: 150_000 };

function startRun() {
  const run = spawn(binary, ["run", scenario, "--live", "--out", out], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ended = new Promise((resolve) => run.on("close", (code) => resolve({ code, said })));
  const url = new Promise((resolve, reject) => {
    run.stderr.on("data", (data) => {
      said += data;
      const found = /live page: (http:\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    ended.then(() => reject(new Error(`the run ended before it served a page: ${said}`)));
  });
  run.stdout.on("data", (data) => { said += data; });
  return { run, url, ended };
}

/** A page that keeps what it asked the network for and what it complained of. */
async function open(browser, url, settings = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, ...settings });
  const page = await context.newPage();
  page.on("request", (request) => expect(request.url().startsWith(url) || request.url().startsWith("data:"),
    `it asked for ${request.url()}`));
  page.on("console", (message) => problems.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  await page.goto(url);
  await page.waitForSelector("html[data-live=ready]", { state: "attached", timeout: 10_000 });
  return page;
}

async function shoot(page, name) {
  if (options.pictures) await page.screenshot({ path: join(options.pictures, `live-${name}.png`), fullPage: true, timeout: 90_000 });
}

async function checkAccess(page, scheme) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of violations.filter(({ impact }) => impact === "serious" || impact === "critical")) {
    problems.push(`axe, ${scheme}: ${violation.id} at ${violation.nodes.slice(0, 3).map((node) => `${node.target}: ${node.any[0]?.message ?? ""}`).join("; ")}`);
  }
}

const button = (page, action, target) => page.locator(`[data-act="${action} ${target}"]`);
const enabled = (page, action, target) => page.waitForSelector(`[data-act="${action} ${target}"]:not([aria-disabled])`, long);
const reason = (page, action, target) => page.textContent(`#why-${target}-${action}`);
const logged = (page, text) => page.waitForFunction((wanted) => document.querySelector(".log").textContent.includes(wanted), text, long);

async function checkPanels(page, when) {
  const panels = await page.$$eval(".panel", (all) => all.map((panel) => ({
    id: panel.dataset.panel,
    lines: panel.querySelectorAll("svg g[data-mark=line] path").length,
    named: panel.querySelector(".picture > *")?.getAttribute("role") === "img" && panel.querySelector(".picture > *").getAttribute("aria-label").length > 10,
    text: panel.textContent,
    cut: [...panel.querySelectorAll("svg text")].filter((text) => {
      const box = text.getBoundingClientRect(), frame = text.closest("svg").getBoundingClientRect();
      const below = /[gjpqy,]/.test(text.textContent) ? 1 : 4; // a line of digits ends above its box
      return box.width > 0 && (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + below);
    }).map((text) => text.textContent),
  })));
  expect(panels.length === 7, `${when}: ${panels.length} panels`);
  for (const panel of panels) {
    expect(panel.lines > 0, `${when}: panel ${panel.id} has no line`);
    expect(panel.cut.length === 0, `${when}: panel ${panel.id} has cut words: ${panel.cut.join(", ")}`);
    expect(panel.named, `${when}: panel ${panel.id} has no words for a screen reader`);
    expect(!/\b(NaN|undefined|null|Infinity)\b/.test(panel.text), `${when}: panel ${panel.id} shows a value that is none`);
  }
}

/** By keyboard: Tab to the button, Enter. */
async function press(page, action, target) {
  await page.evaluate(() => document.activeElement.blur());
  for (let i = 0; i < 40; ++i) {
    await page.keyboard.press("Tab");
    if (await button(page, action, target).evaluate((element) => element === document.activeElement)) {
      return page.keyboard.press("Enter");
    }
  }
  problems.push(`by keyboard the button to ${action} the ${target} is not reached`);
}

/** Until the last line of a panel says more than this. */
const figureAbove = (page, panel, least, patience = long) => page.waitForFunction(([id, above]) => {
  const words = document.querySelector(`[data-panel="${id}"] .words`).textContent.split(", ").pop();
  const [, last] = /\s([\d.,]+)[^(]*\(most/.exec(words) ?? [];
  return last !== undefined && Number(last.replaceAll(",", "")) > above;
}, [panel, least], patience);

/** Until a death leaves something in doubt: at some moments nothing is prepared. */
async function killWhatHoldsLocks(page) {
  for (let kills = 1; kills <= 3; ++kills) {
    await press(page, "kill", "coordinator");
    await enabled(page, "restart", "coordinator");
    if (await figureAbove(page, "oldest", 2, { timeout: 6000 }).then(() => true, () => false)) return;
    await button(page, "restart", "coordinator").click();
    await enabled(page, "kill", "coordinator");
  }
  problems.push("three deaths of the coordinator left nothing in doubt");
}

async function breakCoordinator(page) {
  await enabled(page, "kill", "coordinator");
  expect((await reason(page, "kill", "cdc-worker")).includes("has no CDC worker"), "nothing says why the CDC worker cannot be killed on 2pc");
  expect((await reason(page, "restart", "coordinator")).includes("it is running"), "nothing says why a running coordinator cannot be started");
  await press(page, "restart", "coordinator");
  await page.waitForFunction(() => document.querySelector(".said").textContent.startsWith("Not now"), null, long);
  await killWhatHoldsLocks(page);
  await logged(page, "coordinator killed by hand");
  await figureAbove(page, "in-doubt", 0); // what is prepared stays so
  await figureAbove(page, "waiters", 0);
  await page.waitForSelector(".panel svg g[data-mark=rect] rect", { state: "attached", timeout: 10_000 });
  await shoot(page, "coordinator-dead");
  await page.reload(); // whoever comes anew sees the same
  await logged(page, "coordinator killed by hand");
  await enabled(page, "restart", "coordinator");
  await button(page, "restart", "coordinator").click();
  await logged(page, "coordinator restarted by hand");
  await checkAccess(page, "light");
}

async function breakWorker(page) {
  await enabled(page, "kill", "cdc-worker");
  expect((await reason(page, "kill", "coordinator")).includes("has no coordinator"), "nothing says why no coordinator can be killed on cdc");
  await button(page, "kill", "cdc-worker").click();
  await logged(page, "cdc-worker killed by hand");
  await figureAbove(page, "lag", 2);
  await figureAbove(page, "lag-bytes", 0);
  await shoot(page, "worker-dead");
}

async function checkOtherReaders(browser, url) {
  const dark = await open(browser, url, { colorScheme: "dark", reducedMotion: "reduce" });
  await dark.waitForSelector(".panel svg", { state: "attached" });
  const [red] = await dark.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
  expect(red < 64, "dark mode is not dark");
  await checkAccess(dark, "dark");
  await shoot(dark, "dark");
  await dark.context().close();
  const narrow = await open(browser, url, { viewport: { width: 390, height: 844 } });
  await narrow.waitForSelector(".panel svg", { state: "attached" });
  const wide = await narrow.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide <= 0, `on a narrow screen the page is ${wide} pixels too wide`);
  await shoot(narrow, "narrow");
  await narrow.context().close();
}

async function checkFreeze(page) {
  const freeze = page.getByRole("button", { name: "Freeze the charts" });
  await freeze.click();
  const before = await page.textContent(".panel .words");
  expect((await freeze.getAttribute("aria-pressed")) === "true", "nothing says that the charts are frozen");
  await page.waitForTimeout(1500);
  expect((await page.textContent(".panel .words")) === before, "frozen charts move");
  await freeze.click();
}

function checkRecords() {
  const folder = join(out, readdirSync(out).find((name) => name.startsWith("20")));
  for (const [cell, target] of [["2pc", "coordinator"], ["cdc", "cdc-worker"]]) {
    const { faults } = JSON.parse(readFileSync(join(folder, `cells/${cell}/rep-1/rep.json`), "utf8"));
    expect(faults.length > 0 && faults.every((fault) => fault.by_hand && fault.target === target && fault.healed_at_ns !== null),
      `${cell}: its records have ${JSON.stringify(faults)}`);
  }
  const report = readFileSync(join(folder, "report.html"), "utf8");
  expect(report.includes("disturbed by hand"), "the report does not say that the run was disturbed by hand");
  return join(folder, "report.html");
}

if (options.pictures) mkdirSync(options.pictures, { recursive: true });
const { run, url: found, ended } = startRun();
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const url = await found;
  const page = await open(browser, url);
  // Which path is the first is the seed's business.
  const first = await page.waitForSelector('[data-act^="kill "]:not([aria-disabled])', long);
  const steps = [breakCoordinator, breakWorker];
  if ((await first.getAttribute("data-act")) !== "kill coordinator") steps.reverse();
  for (const step of steps) await step(page);
  await page.waitForTimeout(1500); // the next pictures
  await checkPanels(page, "both paths");
  await checkOtherReaders(browser, url);
  await checkFreeze(page);
  await logged(page, "cdc-worker killed by hand: mended, as the load has ended");
  await page.waitForSelector(".verdict:not([hidden]) .says", { timeout: 240_000 });
  const { code, said } = await ended;
  expect(code === 12, `the run ended with ${code}: ${said}`);
  const report = checkRecords();
  expect((await page.textContent(".verdict")).includes(report), "the end does not name the report");
  expect((await page.textContent(".verdict")).includes("INCONCLUSIVE"), "the end does not say what the run came to");
  expect((await reason(page, "kill", "coordinator")).includes("has ended"), "after the end something can still be killed");
  await shoot(page, "ended");
} finally {
  run.kill("SIGTERM");
  await browser.close();
}
for (const problem of problems) console.error(`live: ${problem}`);
console.log(`the live page: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);

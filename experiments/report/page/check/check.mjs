// Opens a report in a browser and looks at it as its readers do.
//
//   node check/check.mjs REPORT.html [--all-charts] [--hostile TEXT] [--pictures FOLDER]
//
// No request leaves the file, nothing is written to the console; every chart has data, labels,
// a finding and a table; axe finds nothing serious, in light and dark; it prints; it can be read
// without JavaScript, on a narrow screen, by keyboard; the file is below 1 MB.
// --all-charts: each chart that there is must be drawn. --hostile: this text stands in the
// heading, as text. Exit 1 names what is wrong.
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const everyChart = [
  "price-of-failure", "timelines", "varied-workload-zipf", "survival-of-blocking", "survival-of-staleness",
  "latency", "crash-points", "divergence", "recovery", "quiet-day", "repeats", "transaction",
];
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { "all-charts": { type: "boolean" }, hostile: { type: "string" }, pictures: { type: "string" } },
});
const report = resolve(positionals[0] ?? "");
const browserPath = process.env.INDOUBT_CHROMIUM ?? "/usr/bin/chromium";
if (positionals.length !== 1 || !existsSync(report)) {
  console.error("check: name one report.html that exists");
  process.exit(2);
}
if (!existsSync(browserPath)) {
  console.error(`check: no ${browserPath}: install Debian's chromium with scripts/setup --page`);
  process.exit(3);
}
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const expect = (holds, problem) => holds || problems.push(problem);

/** A page that keeps what it asked the network for and what it complained of. */
async function open(browser, settings = {}, hash = "") {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...settings });
  const page = await context.newPage();
  const url = pathToFileURL(report).href + hash;
  page.on("request", (request) => {
    if (request.url().split("#")[0] !== url.split("#")[0] && !request.url().startsWith("blob:"))
      problems.push(`it asked for ${request.url()}`);
  });
  page.on("console", (message) => problems.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
  await page.goto(url);
  if (settings.javaScriptEnabled !== false)
    await page.waitForSelector("html[data-charts=ready]", { state: "attached", timeout: 10_000 });
  return page;
}

const picture = (name) => options.pictures && join(options.pictures, `${name}.png`);

async function shoot(page, name) {
  if (options.pictures) await page.screenshot({ path: picture(name), fullPage: true, timeout: 90_000 });
}

/** What a chart shows, measured in the page. */
function measureCharts() {
  /** The words of a picture that reach out of it. A line of digits ends above its box. */
  const cutTexts = (svg) => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter((text) => {
      const box = text.getBoundingClientRect(), below = /[gjpqy,]/.test(text.textContent) ? 1 : 4;
      return box.width > 0 && (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + below);
    }).map((text) => text.textContent);
  };
  const marks = "path, circle, rect, line, use";
  return [...document.querySelectorAll("section.chart")].map((section) => {
    const pictures = [...section.querySelectorAll(".picture svg")].filter((svg) => !svg.parentElement.closest("svg"));
    const drawn = pictures.flatMap((svg) => [...svg.querySelectorAll(`g[data-mark]:not([data-mark*=axis]):not([data-mark*=grid]) :is(${marks})`)]);
    return {
      id: section.dataset.chart,
      pictures: pictures.length,
      named: [...section.querySelectorAll(".picture > *")].every((each) => each.getAttribute("role") === "img" && each.getAttribute("aria-label")),
      marks: drawn.filter((mark) => { const box = mark.getBoundingClientRect(); return box.width + box.height > 0; }).length,
      words: pictures.flatMap((svg) => [...svg.querySelectorAll("text")].map((text) => text.textContent)).filter((text) => /[a-z]/i.test(text)).length,
      finding: section.querySelector(".finding").textContent,
      notes: section.querySelectorAll(".notes p").length,
      cut: pictures.flatMap(cutTexts),
      rows: section.querySelectorAll(".tools tbody tr").length,
      text: section.textContent,
    };
  });
}

async function checkCharts(page) {
  const charts = await page.evaluate(measureCharts);
  for (const chart of charts) {
    const say = (holds, what) => expect(holds, `chart ${chart.id}: ${what}`);
    say(chart.pictures > 0 && chart.marks > 0, `${chart.pictures} pictures with ${chart.marks} marks`);
    say(chart.words > 0, "no words in the picture");
    say(chart.cut.length === 0, `cut words: ${chart.cut.join(", ")}`);
    say(chart.named, "a picture without words for a screen reader");
    say(chart.finding.length > 10 && chart.notes === 2, "no finding, or not how to read it and what would mislead");
    say(chart.rows > 0, "no data table");
    say(!/\b(NaN|undefined|null|Infinity)\b/.test(chart.text), "a value that is none");
  }
  if (options["all-charts"]) {
    for (const id of everyChart) expect(charts.some((chart) => chart.id === id), `chart ${id} is not there`);
  } else {
    expect(charts.length > 0, "no chart at all");
  }
  return charts.length;
}

async function checkAccess(page, scheme) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of violations.filter(({ impact }) => impact === "serious" || impact === "critical")) {
    problems.push(`axe, ${scheme}: ${violation.id} at ${violation.nodes.slice(0, 3).map((node) => `${node.target}: ${node.any[0]?.message ?? ""}`).join("; ")}`);
  }
}

/** What is decided from is all seen at once on a usual screen. */
async function checkTable(page) {
  const hidden = await page.$$eval("table.decision", (tables) => tables.map((table) => table.scrollWidth - table.parentElement.clientWidth));
  expect(hidden.every((pixels) => pixels <= 0), `of the table of what each path paid ${hidden} pixels are hidden`);
}

/** Chromium drops what a page downloads beyond ten files a second: such a one is asked for again. */
async function download(page, button) {
  for (let attempt = 1; ; ++attempt) {
    const waiting = page.waitForEvent("download", { timeout: 2000 }).catch((error) => error);
    await button.click();
    const answer = await waiting;
    if (!(answer instanceof Error)) return answer;
    if (attempt === 5) throw answer;
  }
}

async function checkDownloads(page) {
  for (const button of await page.$$("section.chart button")) {
    const saved = await download(page, button);
    const text = readFileSync(await saved.path(), "utf8");
    expect(text.startsWith("<svg") && /<(path|rect|circle|line)/.test(text), `${saved.suggestedFilename()}: no picture`);
    expect(!text.includes("var("), `${saved.suggestedFilename()}: a colour that only the page knows`);
  }
}

async function checkKeyboard(page) {
  const wanted = await page.$$eval("section.chart summary, section.chart button", (all) => all.length);
  await page.evaluate(() => document.activeElement.blur());
  const seen = new Set();
  for (let i = 0; i < 400 && seen.size < wanted; ++i) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element.matches("section.chart summary, section.chart button")) return null;
      return `${element.closest("section").id} ${element.tagName}`;
    });
    if (at) seen.add(at);
  }
  expect(seen.size === wanted, `by keyboard ${seen.size} of ${wanted} controls are reached`);
  const summary = page.locator("section.chart summary").first();
  await summary.focus();
  await page.keyboard.press("Enter");
  expect(await summary.evaluate((element) => element.parentElement.open), "Enter does not open a data table");
  await page.keyboard.press("Enter");
}

async function checkLink(page, browser) {
  const link = await page.$eval("[data-chart=transaction] select option:last-child", (option) => option.value).catch(() => null);
  if (link === null) return;
  const linked = await open(browser, {}, link);
  const finding = await linked.textContent("[data-chart=transaction] .finding");
  expect(finding.startsWith(decodeURIComponent(link.slice("#tx=".length))), `${link} does not show its transaction`);
  await linked.context().close();
}

async function checkNarrow(browser) {
  const page = await open(browser, { viewport: { width: 390, height: 844 } });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide <= 0, `on a narrow screen the page is ${wide} pixels too wide`);
  await checkCharts(page);
  await shoot(page, "narrow");
  await page.context().close();
}

async function checkDark(browser) {
  const page = await open(browser, { colorScheme: "dark" });
  const [red] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
  expect(red < 64, "dark mode is not dark");
  await checkAccess(page, "dark");
  await shoot(page, "dark");
  await page.context().close();
}

async function checkPrint(page) {
  await page.emulateMedia({ media: "print" });
  const file = options.pictures ? join(options.pictures, "print.pdf") : undefined;
  const printed = await page.pdf({ format: "A4", path: file, margin: { top: "14mm", bottom: "14mm", left: "12mm", right: "12mm" } });
  expect(printed.length > 20_000, "printing gives nothing");
  const hidden = await page.$$eval(".picture svg", (all) => all.filter((svg) => svg.getBoundingClientRect().width === 0).length);
  expect(hidden === 0, `${hidden} pictures are not printed`);
  await page.emulateMedia({ media: "screen" });
}

async function checkWithoutScript(browser) {
  const page = await open(browser, { javaScriptEnabled: false });
  const text = await page.textContent("main");
  for (const part of ["What each path paid", "This flips if", "What this run cannot tell", "How good the evidence is", "Run it again"])
    expect(text.includes(part), `without JavaScript there is no '${part}'`);
  expect(await page.locator("noscript").first().isVisible(), "without JavaScript nothing says where the charts are");
  await shoot(page, "without-script");
  await page.context().close();
}

async function checkHostile(page) {
  if (!options.hostile) return;
  expect((await page.textContent(".kicker")).includes(options.hostile), "the hostile name is not shown as it is");
  expect((await page.title()).includes(options.hostile), "the hostile name is not the title");
  expect(await page.evaluate(() => window.hostile === undefined), "the hostile name was run");
  expect((await page.$$("article img")).length === 0, "the hostile name became an element");
}

if (options.pictures) mkdirSync(options.pictures, { recursive: true });
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-gpu"] });
let charts = 0;
try {
  const page = await open(browser);
  charts = await checkCharts(page);
  await checkHostile(page);
  await checkTable(page);
  await checkAccess(page, "light");
  await checkDownloads(page);
  await checkKeyboard(page);
  await shoot(page, "light");
  await checkPrint(page);
  await checkLink(page, browser);
  await checkDark(browser);
  await checkNarrow(browser);
  await checkWithoutScript(browser);
} finally {
  await browser.close();
}
const size = statSync(report).size;
expect(size < 1_000_000, `the file has ${size} bytes`);
for (const problem of problems) console.error(`check: ${problem}`);
console.log(`${charts} charts, ${Math.round(size / 1024)} KiB, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);

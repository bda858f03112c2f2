// The live page of a run: listens to its server, shows what it hears, asks it to break things.
import { element, tableElement } from "../dom";
import { dash } from "../format";
import { colour, dashesOf } from "../theme";
import { Controls } from "./controls";
import { blocking, Column, figure, lagging } from "./panels";
import { LiveState, type Ended, type Happening, type RunInfo, type Sample, type Trace } from "./state";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const drawEveryMs = () => (still.matches ? 5000 : 1000);
const wordsEveryMs = 500;
const silentAfterMs = 3000;

const state = new LiveState();
let connected = false;
let frozen = false;
let gone = false; // somebody else answers there by now: the browser asks no more

const kicker = element("p", { class: "kicker" }, "indoubt · live");
const heading = element("h1", {}, "Waiting for the run");
const where = element("p", { class: "where" });
const said = element("p", { class: "said", role: "status" });
const ending = element("section", { class: "verdict", "aria-label": "How it ended", hidden: "" });
const controls = new Controls(state, (text) => { said.textContent = text; });
const legend = element("ul", { class: "legend", "aria-label": "Legend" });
const freeze = element("button", { type: "button", "aria-pressed": "false" }, "Freeze the charts");
const left = new Column("Blocking", "Branches that are prepared and undecided hold their locks; whoever wants one of their keys waits.", blocking);
const right = new Column("Lag, and what gets through", "Derived stores follow their source later; nobody waits, and readers see what was.", lagging);
const nowTable = element("div");
const log = element("ol", { class: "log", reversed: "", tabindex: "0", "aria-label": "What happened, the latest first" });

function swatch(trace: Trace): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [name, value] of [["width", "26"], ["height", "10"], ["aria-hidden", "true"]]) svg.setAttribute(name!, value!);
  const line = document.createElementNS(space, "path");
  for (const [name, value] of [["d", "M1 5H25"], ["stroke", colour(trace)], ["stroke-width", "3"],
    ["stroke-dasharray", dashesOf(trace, state.traces)]]) line.setAttribute(name!, value!);
  svg.append(line);
  return svg;
}

function showLegend(): void {
  const last = state.traces.length - 1;
  legend.replaceChildren(...state.traces.map((trace, i) =>
    element("li", {}, swatch(trace), `${trace.cell}, repetition ${trace.rep}${i === last && !state.ended ? " (under way)" : ""}`)));
}

/** What a sample says, in words, of every cell that is drawn. */
function showTable(): void {
  const measures = [...blocking, ...lagging];
  const made = tableElement({
    header: ["path", ...measures.map(({ title }) => title)],
    rows: state.traces.map((trace) => {
      const last = trace.samples[trace.samples.length - 1];
      return [trace.cell, ...measures.map((measure) => (last ? figure(measure.value(last)) : dash))];
    }),
  }, "Last figures of each path");
  // The part that scrolls stays: somebody may be in it with the keyboard.
  if (nowTable.firstElementChild) nowTable.firstElementChild.replaceChildren(...made.children);
  else nowTable.append(made);
}

function whereText(now: Sample): string {
  const rest = now.left_s === null ? "" : `, ${now.phase === "drain" ? "at most " : ""}${Math.max(0, Math.ceil(now.left_s))} s left`;
  const broken = now.fault === "" ? "" : ` · ${now.fault}`;
  return `${now.cell}, repetition ${now.rep} of ${now.reps} (${now.done + 1} of ${now.total}) · ${now.phase}${rest}${broken}`;
}

function showWords(): void {
  const now = state.latest;
  const silence = performance.now() - state.heardAt;
  if (state.ended) where.textContent = "The run is over.";
  else if (gone) where.textContent = "The run's server is gone: it was stopped, or it ended while this page did not listen.";
  else if (!connected) where.textContent = "The connection to the run is lost; trying again every second.";
  else if (now && silence > silentAfterMs) where.textContent = `${whereText(now)} · no news for ${Math.floor(silence / 1000)} s`;
  else where.textContent = now ? whereText(now) : "The run gets its stores ready.";
  if (state.leftOut > 0) where.textContent += ` · ${state.leftOut} samples left out: this browser was too slow`;
  controls.show(connected);
}

function showPictures(): void {
  if (document.hidden) return;
  showLegend();
  showTable();
  left.show(state);
  right.show(state);
}

function showRun(run: RunInfo): void {
  kicker.textContent = `indoubt · live · ${run.scenario}`;
  heading.textContent = run.question;
  document.title = `indoubt live: ${run.scenario}`;
}

function showHappening(happening: Happening): void {
  log.prepend(element("li", {}, `${happening.elapsed_s.toFixed(1)} s · ${happening.cell}: ${happening.text}`));
  while (log.children.length > 100) log.lastElementChild?.remove();
  said.textContent = `${happening.cell}: ${happening.text}`;
}

function showEnding(ended: Ended): void {
  ending.hidden = false;
  ending.replaceChildren(element("p", { class: "says" }, ended.text));
  if (ended.report) {
    ending.append(element("p", {}, "Its report, to be opened from the disk: ", element("code", {}, ended.report)));
  }
}

function listen(): void {
  const events = new EventSource("events");
  const on = <T>(kind: string, act: (data: T) => void) =>
    events.addEventListener(kind, (event) => act(JSON.parse((event as MessageEvent<string>).data) as T));
  events.onopen = () => { connected = true; };
  events.onerror = () => {
    connected = false;
    gone = events.readyState === EventSource.CLOSED;
    showWords();
  };
  on<RunInfo>("run", (run) => {
    state.begin(run);
    log.replaceChildren();
    showRun(run);
  });
  on<Sample>("sample", (sample) => {
    state.addSample(sample);
    controls.show(connected);
  });
  on<Happening>("happened", (happening) => { if (state.addHappening(happening)) showHappening(happening); });
  on<{ samples: number }>("left-out", ({ samples }) => { state.leftOut += samples; });
  on<Ended>("ended", (ended) => {
    events.close();
    state.ended = ended;
    showEnding(ended);
    showWords();
    showPictures();
  });
}

freeze.addEventListener("click", () => {
  frozen = !frozen;
  freeze.setAttribute("aria-pressed", String(frozen));
  if (!frozen) showPictures();
});

document.getElementById("live")?.replaceChildren(
  element("header", {}, kicker, heading, where, said), ending, controls.root,
  element("div", { class: "bar" }, legend, freeze),
  element("div", { class: "columns-live" }, left.root, right.root),
  element("section", {}, element("h2", {}, "Last figures of each path"), nowTable),
  element("section", {}, element("h2", {}, "What happened"), log),
);
listen();
showWords();
showPictures();
window.setInterval(showWords, wordsEveryMs);
const again = () => {
  if (!frozen && !state.ended) showPictures();
  window.setTimeout(again, drawEveryMs());
};
again();
window.addEventListener("resize", () => { if (!frozen) showPictures(); });
document.documentElement.dataset.live = "ready";

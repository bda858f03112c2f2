// The pictures: blocking on the left, lag on the right, one time axis, all cells that were seen
// last over each other.
import * as Plot from "@observablehq/plot";
import { describe } from "../chart";
import { element } from "../dom";
import { count, dash } from "../format";
import { nameOffset, style } from "../marks";
import { colour, dashesOf, dim, grid } from "../theme";
import { lagOf, type LiveState, type Sample, type Trace } from "./state";

export interface Measure {
  id: string;
  title: string;
  unit: string; // after a number
  value: (sample: Sample) => number | null;
}

export const blocking: Measure[] = [
  { id: "in-doubt", title: "Branches in doubt", unit: "", value: (s) => s.in_doubt },
  { id: "oldest", title: "Age of the oldest in doubt, seconds", unit: " s", value: (s) => s.oldest_s },
  { id: "waiters", title: "Outside writers that wait", unit: "", value: (s) => s.waiters },
];
export const lagging: Measure[] = [
  { id: "lag", title: "Oldest commit not yet in every store, seconds", unit: " s", value: lagOf },
  { id: "lag-bytes", title: "Source's log not confirmed by the slot, bytes", unit: " bytes", value: (s) => s.lag_bytes },
  { id: "rate", title: "Operations committed per second", unit: " per s", value: (s) => s.committed_per_s },
  { id: "errors", title: "Errors per second", unit: " per s", value: (s) => s.errors_per_s },
];

interface Point {
  x: number;
  y: number | null;
}

interface Band {
  from: number;
  to: number;
  label: string;
  colour: string;
}

/** From when something was broken until it was not any more. */
export function bandsOf(trace: Trace): Band[] {
  const bands: Band[] = [];
  let open: Band | null = null;
  for (const { since_s: at, fault: broken } of trace.samples) {
    if (at === null) continue;
    const label = `${trace.cell}: ${broken}`;
    if (open && (broken === "" || open.label !== label)) {
      open.to = at;
      open = null;
    }
    if (broken !== "" && !open) bands.push((open = { from: at, to: at, label, colour: colour(trace) }));
    if (open) open.to = at;
  }
  return bands;
}

const timesOf = (traces: Trace[]) => traces.flatMap(({ samples }) => samples.flatMap((s) => (s.since_s === null ? [] : [s.since_s])));

/** The time that there is, and what is left of the measured span. */
function domainOf(state: LiveState): [number, number] {
  const times = timesOf(state.traces);
  const now = state.latest;
  if (now?.since_s != null && now.left_s !== null && now.phase === "measure") times.push(now.since_s + now.left_s);
  return times.length === 0 ? [0, 1] : [Math.min(...times), Math.max(...times, Math.min(...times) + 1)];
}

function lineMarks(points: Point[], trace: Trace, traces: Trace[], underWay: boolean): Plot.Markish {
  return Plot.lineY(points, {
    x: "x", y: "y", stroke: colour(trace), strokeWidth: underWay ? 2.4 : 1.4,
    strokeDasharray: dashesOf(trace, traces),
  });
}

/** Three figures at most: "0.02", "3.1", "871,024". */
export function figure(value: number | null): string {
  return value !== null && value > 0 && value < 1 ? String(Number(value.toFixed(2))) : count(value);
}

const compact = new Intl.NumberFormat("en-US", { notation: "compact" });
const tick = (value: number) => (value >= 10_000 ? compact.format(value) : value.toLocaleString("en-US"));

/** "2pc most 7, cdc 3 (most 4)", the last one under way: also what a screen reader is told. */
export function wordsOf(measure: Measure, traces: Trace[]): string {
  const words = traces.map((trace, i) => {
    const seen = trace.samples.flatMap((s) => measure.value(s) ?? []);
    if (seen.length === 0) return `${trace.cell} ${dash}`;
    const most = `most ${figure(Math.max(...seen))}`;
    if (i < traces.length - 1) return `${trace.cell} ${most}${measure.unit}`;
    return `${trace.cell} ${figure(seen[seen.length - 1]!)}${measure.unit} (${most})`;
  });
  return words.join(", ");
}

function draw(measure: Measure, state: LiveState, width: number, last: boolean): SVGSVGElement | HTMLElement {
  const traces = state.traces;
  const bands = traces.flatMap(bandsOf);
  const lines = traces.map((trace) => trace.samples.map((s) => ({ x: s.since_s ?? 0, y: measure.value(s) })));
  const top = Math.max(1, ...lines.flat().map(({ y }) => y ?? 0));
  const nothing = lines.flat().every(({ y }) => y === null);
  const picture = Plot.plot({
    width,
    height: last ? 148 : 122,
    style,
    marginLeft: 52,
    marginRight: 10,
    marginTop: 12,
    marginBottom: last ? 40 : 20,
    x: { domain: domainOf(state), label: null },
    y: { domain: [0, top], nice: true, ticks: 3, label: null, tickFormat: tick },
    marks: [
      Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 3 }),
      Plot.rect(bands, { x1: "from", x2: "to", fill: "colour", fillOpacity: 0.13 }),
      Plot.ruleX(bands, { x: "from", stroke: "colour", strokeWidth: 1 }),
      Plot.ruleX(bands, { x: "to", stroke: "colour", strokeWidth: 1, strokeDasharray: "2 2" }),
      Plot.ruleY([0], { stroke: "var(--axis)" }),
      Plot.axisX({ ticks: Math.max(2, Math.floor(width / 80)), color: dim, tickSize: 3, labelAnchor: "center", labelOffset: nameOffset(40),
                   label: last ? "seconds since the measured span began →" : null } as Plot.AxisXOptions),
      ...traces.map((trace, i) => lineMarks(lines[i] ?? [], trace, traces, i === traces.length - 1)),
      nothing
        ? Plot.text(["not measured yet, or not there on these paths"], { frameAnchor: "middle", fill: dim, fontStyle: "italic" })
        : null,
    ],
    color: { type: "identity" },
  } as Plot.PlotOptions);
  describe(picture, `${measure.title}. ${wordsOf(measure, traces)}`);
  return picture;
}

/** A column of pictures, made once and filled again and again. */
export class Column {
  readonly root: HTMLElement;
  private readonly pictures: HTMLElement[];
  private readonly words: HTMLElement[];

  constructor(title: string, note: string, private readonly measures: Measure[]) {
    this.pictures = measures.map(() => element("div", { class: "picture" }));
    this.words = measures.map(() => element("p", { class: "words" }));
    this.root = element("section", { class: "column", "aria-label": title },
      element("h2", {}, title), element("p", { class: "note-p" }, note));
    measures.forEach((measure, i) => {
      this.root.append(element("div", { class: "panel", "data-panel": measure.id },
        element("h3", {}, measure.title), this.words[i]!, this.pictures[i]!));
    });
  }

  show(state: LiveState): void {
    const width = Math.max(260, Math.floor(this.root.clientWidth));
    this.measures.forEach((measure, i) => {
      this.words[i]!.textContent = wordsOf(measure, state.traces) || "nothing yet";
      this.pictures[i]!.replaceChildren(draw(measure, state, width, i === this.measures.length - 1));
    });
  }
}

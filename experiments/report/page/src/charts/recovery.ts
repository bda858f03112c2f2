// The way back: what lasted how long, counted from when the fault acted.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { seriesOf, type Cell, type Stage } from "../data";
import { nameOffset, style } from "../marks";
import { colour, dim, grid } from "../theme";

// Narrower, there is no place between the names and the words beside the bars.
const narrowest = 560;

interface Step extends Stage {
  cell: Cell;
  from_s: number;
  row: string;
}

/** Each stage begins where the outage ended, as nothing can heal before. */
function stepsOf(cell: Cell, stages: Stage[]): Step[] {
  const healed = stages[0]?.to_s ?? 0;
  return stages.map((stage, i) => ({
    ...stage, cell, from_s: i === 0 ? 0 : healed, row: `${i} ${stage.name}`,
  }));
}

const after = (step: Step) => (step.to_s === null ? null : Math.max(0, step.to_s - step.from_s));
const seconds = (value: number) => `${value.toFixed(value < 1 ? 2 : 1)} s`;

function panel(cell: Cell, steps: Step[], end: number, room: number, last: boolean) {
  const width = Math.max(room, narrowest);
  const known = steps.filter((step) => step.to_s !== null);
  return Plot.plot({
    width,
    height: 34 + 24 * steps.length + (last ? 40 : 10),
    style,
    marginLeft: 190,
    marginRight: 190,
    marginTop: 28,
    marginBottom: last ? 40 : 10,
    x: { domain: [0, end], label: "seconds since the fault acted →", labelAnchor: "center", labelOffset: nameOffset(40),
         axis: last ? "bottom" : null, ticks: 8 },
    y: { type: "band", domain: steps.map((step) => step.row), label: null, tickSize: 0, padding: 0.25,
         tickFormat: (row: string) => row.slice(2) },
    color: { type: "identity" },
    marks: [
      Plot.gridX({ stroke: grid, strokeOpacity: 1, ticks: 8 }),
      Plot.text([cell.name], { frameAnchor: "top-left", dx: -190, dy: -22, fontWeight: 700, fontSize: 13,
                               fill: colour(cell), textAnchor: "start" }),
      Plot.barX(known, { x1: "from_s", x2: (s: Step) => Math.max(s.to_s!, s.from_s), y: "row",
                         fill: (s: Step) => (s.row.startsWith("0") ? "var(--fault-edge)" : colour(cell)) }),
      Plot.text(steps, {
        x: (s: Step) => Math.max(s.to_s ?? 0, s.from_s), y: "row", dx: 6, textAnchor: "start",
        fill: (s: Step) => (s.to_s === null ? dim : "var(--ink)"),
        text: (s: Step) => s.to_s === null ? (s.reason ?? "not measured")
          : s.row.startsWith("0") ? seconds(s.to_s) : `+${seconds(after(s)!)}` }),
    ],
  } as Plot.PlotOptions);
}

/** The longest of what was seen to end, and what was not. */
function lastOf(steps: Step[]): string {
  const seen = steps.map(after).filter((time) => time !== null);
  const rest = steps.filter((step) => step.to_s === null).map((step) => `${step.name}: ${step.reason ?? "not measured"}`);
  return [...(seen.length > 0 ? [seconds(Math.max(...seen))] : []), ...rest].join(", ") || "not measured";
}

export const recovery: Chart = {
  id: "recovery",
  title: "The way back",
  make: (run, shown) => {
    const paths = shown.flatMap((cell) => {
      const stages = seriesOf(run, cell)?.recovery ?? [];
      return stages.length > 0 ? [{ cell, steps: stepsOf(cell, stages) }] : [];
    });
    if (paths.length === 0) return { absent: "no fault acted and was healed" };
    const end = Math.max(...paths.flatMap(({ steps }) => steps.map((step) => step.to_s ?? 0)));
    return {
      finding: `How long after the healing the last thing came right: ${paths.map(({ cell, steps }) =>
        `${cell.name} ${lastOf(steps.slice(1))}`).join("; ")}.`,
      how:
        "The first bar is the outage. The others begin where it ends and say how much longer it took " +
        "until the last branch was decided, the last outside writer let through and the derived stores " +
        "had caught up.",
      mislead:
        "One repetition, the first that ended. An observer that polls sees each end some milliseconds " +
        "late. A path without a bar does not do that at all, or was not watched: the words say which.",
      draw: (width) => paths.map(({ cell, steps }, i) =>
        panel(cell, steps, end, width, i === paths.length - 1)),
      table: {
        header: ["path", "stage", "after the fault acted", "after it was healed"],
        rows: paths.flatMap(({ cell, steps }) => steps.map((step, i) => [
          cell.name, step.name, step.to_s === null ? (step.reason ?? "not measured") : seconds(step.to_s),
          i === 0 || step.to_s === null ? "–" : seconds(after(step)!),
        ])),
      },
    };
  },
};

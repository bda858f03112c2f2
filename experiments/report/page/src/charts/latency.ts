// Response and service times by percentile.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { seriesOf, valueOf, type Cell, type Line, type Run } from "../data";
import { decades, duration, durationTick } from "../format";
import { endLabels, style } from "../marks";
import { colour, dashesOf, grid } from "../theme";

interface Curve {
  cell: Cell;
  response: Line;
  service: Line;
}

const percentiles: [number, string][] = [
  [1, "fastest"], [0.5, "p50"], [0.1, "p90"], [0.01, "p99"], [0.001, "p99.9"],
];

function plot(curves: Curve[], shown: Cell[], width: number) {
  const all = curves.flatMap(({ response, service }) => [...response, ...service]);
  const values = all.flatMap(([, ms]) => (ms === null ? [] : [ms]));
  const [low, high] = [Math.max(0.01, Math.min(...values)), Math.max(...values)];
  const tail = Math.min(...all.map(([share]) => share));
  const ticks = percentiles.filter(([share]) => share >= tail * 0.999);
  const draw = (line: Line, cell: Cell, options: object) =>
    Plot.line(line.filter(([, ms]) => ms !== null), {
      x: ([share]: [number, number]) => share, y: ([, ms]: [number, number]) => Math.max(ms, low),
      stroke: colour(cell), ...options,
    } as Plot.LineOptions);
  return Plot.plot({
    width,
    height: 340,
    style,
    marginLeft: 60,
    marginRight: 120,
    marginBottom: 44,
    marginTop: 28,
    x: { type: "log", domain: [1, tail], axis: null },
    y: { type: "log", domain: [low, high], label: "↑ time of an operation", ticks: decades(low, high),
         tickFormat: durationTick },
    color: { type: "identity" },
    marks: [
      Plot.gridY(decades(low, high), { stroke: grid, strokeOpacity: 1 }),
      Plot.ruleX(ticks, { x: "0", stroke: grid }),
      Plot.text(ticks, { x: "0", text: "1", frameAnchor: "bottom", dy: 16 }),
      Plot.text([width < 600 ? "percentile →" : "percentile; each further nine has the same room →"], { frameAnchor: "bottom", dy: 32 }),
      ...curves.map(({ cell, service }) => draw(service, cell, { strokeWidth: 1.2, strokeOpacity: 0.9,
                                                                strokeDasharray: "2 3" })),
      ...curves.map(({ cell, response }) =>
        draw(response, cell, { strokeWidth: 2.2, strokeDasharray: dashesOf(cell, shown).replace("2 3", "8 2") })),
      endLabels(curves.flatMap(({ cell, response }) => {
        const last = response.at(-1);
        return last && last[1] !== null
          ? [{ x: last[0], y: last[1], text: cell.name, colour: colour(cell) }] : [];
      })),
    ],
  } as Plot.PlotOptions);
}

function curvesOf(run: Run, shown: Cell[]): Curve[] {
  return shown.flatMap((cell) => {
    const series = seriesOf(run, cell);
    return series && series.response.length > 0
      ? [{ cell, response: series.response, service: series.service }] : [];
  });
}

export const latency: Chart = {
  id: "latency",
  title: "How long the client waits",
  make: (run, shown) => {
    const curves = curvesOf(run, shown);
    if (curves.length === 0) return { absent: "no operation of the measured span was recorded" };
    const figure = (cell: Cell, name: string) => duration(valueOf(cell, name));
    return {
      finding: `${curves.map(({ cell }) =>
        `${cell.name} answers in ${figure(cell, "response_ms.p50")} typically and ` +
        `${figure(cell, "response_ms.p99")} at p99`).join("; ")}.`,
      how:
        "Thick lines are response times, counted from when the operation was due; thin dotted ones " +
        "service times, from when it was started. What lies between is the queue. The vertical " +
        "axis is logarithmic. All repetitions together.",
      mislead:
        "Operations that were refused at once or dropped have no time and are in neither line; an " +
        "unanswered one counts with the time it had waited. Far to the right a point is one operation.",
      draw: (width) => [plot(curves, shown, width)],
      table: {
        header: ["path", "response p50", "p90", "p99", "p99.9", "max", "service p50", "service p99"],
        rows: curves.map(({ cell }) => [
          cell.name,
          ...["response_ms.p50", "response_ms.p90", "response_ms.p99", "response_ms.p999", "response_ms.max",
              "service_ms.p50", "service_ms.p99"].map((name) => figure(cell, name)),
        ]),
      },
    };
  },
};

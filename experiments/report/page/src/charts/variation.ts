// What changes with a parameter of the matrix; over the skew of keys, the blast radius.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { figureOf, type Cell, type Figure, type Run, type Variation } from "../data";
import { count, duration } from "../format";
import { endLabels, nameOffset, style } from "../marks";
import { colour, dim, grid, symbol } from "../theme";

interface Panel {
  title: string;
  figure: string;
  per: number;
  text: (value: number | null) => string;
}

const panels: Panel[] = [
  { title: "outside writers that waited over 100 ms", figure: "blocked_over_100ms", per: 1, text: count },
  { title: "longest wait of an outside writer, seconds", figure: "blocked_ms.max", per: 1000, text: duration },
  { title: "longest staleness, seconds", figure: "lag_ms.max", per: 1000, text: duration },
  { title: "response p99, milliseconds", figure: "response_ms.p99", per: 1, text: duration },
  { title: "committed per second", figure: "throughput_per_s", per: 1, text: count },
];

const unitsPerSecond: Record<string, number> = { ns: 1e9, us: 1e6, ms: 1e3, s: 1, m: 1 / 60, h: 1 / 3600 };

/** A number, or a duration in seconds; the binary has checked that it is one of the two. */
function position(cell: Cell, key: string): number | null {
  const value = cell.params[key];
  if (typeof value === "number") return value;
  const parts = /^([0-9.]+)(ns|us|ms|s|m|h)$/.exec(String(value));
  return parts ? Number(parts[1]) / unitsPerSecond[parts[2]!]! : null;
}

/** Path and whatever else varies. */
function seriesName(cell: Cell, key: string, run: Run): string {
  const others = Object.entries(cell.params).filter(
    ([name, value]) => name !== key &&
      run.cells.some((other) => other.path === cell.path && other.params[name] !== value),
  );
  return [cell.path, ...others.map(([name, value]) => `${name.split(".").at(-1)} ${value}`)].join(", ");
}

interface Mark {
  x: number;
  figure: Figure;
  cell: Cell;
  name: string;
}

function marksOf(run: Run, key: string, panel: Panel): Mark[] {
  return run.cells.flatMap((cell) => {
    const x = position(cell, key);
    const figure = figureOf(cell, panel.figure);
    return x === null || figure.value === null
      ? [] : [{ x, figure, cell, name: seriesName(cell, key, run) }];
  }).sort((a, b) => a.x - b.x);
}

function draw(run: Run, variation: Variation, panel: Panel, width: number, last: boolean) {
  const marks = marksOf(run, variation.key, panel);
  const names = [...new Set(marks.map((mark) => mark.name))];
  const ends = names.flatMap((name) => {
    const mark = marks.filter((other) => other.name === name).at(-1);
    return mark ? [{ x: mark.x, y: mark.figure.value! / panel.per, text: name, colour: colour(mark.cell) }] : [];
  });
  const stroke = (mark: Mark) => colour(mark.cell);
  const xs = [...new Set(run.cells.flatMap((cell) => position(cell, variation.key) ?? []))];
  const label = variation.unit ? `${variation.key}, ${variation.unit} →` : `${variation.key} →`;
  return Plot.plot({
    width,
    height: last ? 206 : 180,
    style,
    marginLeft: 56,
    marginRight: 130,
    marginTop: 36,
    marginBottom: last ? 44 : 22,
    x: { domain: [Math.min(...xs), Math.max(...xs)], ticks: xs, tickFormat: (x: number) => String(x),
         label: last ? label : null, labelAnchor: "center", labelOffset: nameOffset(44), inset: 12 },
    y: { zero: true, nice: true, ticks: 4, label: null },
    color: { type: "identity" },
    symbol: { type: "identity" },
    marks: [
      Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 4 }),
      Plot.ruleY([0], { stroke: "var(--axis)" }),
      Plot.text([panel.title], { frameAnchor: "top-left", dx: -56, dy: -26, fontWeight: 600, textAnchor: "start" }),
      Plot.ruleX(marks.filter(({ figure }) => figure.low !== null), {
        x: "x", y1: ({ figure }: Mark) => figure.low! / panel.per,
        y2: ({ figure }: Mark) => figure.high! / panel.per, stroke, strokeWidth: 2 }),
      Plot.lineY(marks, { x: "x", y: ({ figure }: Mark) => figure.value! / panel.per, z: "name", stroke,
                          strokeWidth: 1.6 }),
      Plot.dot(marks, { x: "x", y: ({ figure }: Mark) => figure.value! / panel.per, fill: stroke, r: 4.5,
                        symbol: ({ cell }: Mark) => symbol(cell), stroke: "var(--bg)",
                        title: (mark: Mark) => `${mark.name}, ${variation.key} ${mark.x}: ${panel.text(mark.figure.value)}`,
                        tip: true }),
      endLabels(ends, 12),
      marks.length === 0 ? Plot.text(["not measured"], { frameAnchor: "middle", fill: dim }) : null,
    ],
  } as Plot.PlotOptions);
}

function finding(run: Run, variation: Variation): string {
  const panel = panels.find((each) => marksOf(run, variation.key, each).length > 0)!;
  const marks = marksOf(run, variation.key, panel);
  const names = [...new Set(marks.map((mark) => mark.name))];
  const parts = names.map((name) => {
    const own = marks.filter((mark) => mark.name === name);
    const [first, last] = [own[0]!, own.at(-1)!];
    return `${name} from ${panel.text(first.figure.value)} to ${panel.text(last.figure.value)}`;
  });
  const xs = marks.map((mark) => mark.x);
  return `${panel.title[0]!.toUpperCase()}${panel.title.slice(1).replace(/, (milli)?seconds$/, "")}, as ` +
    `${variation.key} goes from ${Math.min(...xs)} to ${Math.max(...xs)}${variation.unit ? ` ${variation.unit}` : ""}: ${parts.join("; ")}.`;
}

export function variationCharts(run: Run): Chart[] {
  return run.variations.map((variation) => ({
    id: `varied-${variation.key.replace(/[^A-Za-z0-9]+/g, "-")}`,
    title: variation.key === "workload.zipf"
      ? "The blast radius of hot keys" : `What changes with ${variation.key}`,
    make: () => {
      const used = panels.filter((panel) => marksOf(run, variation.key, panel).length > 0);
      if (used.length === 0) return { absent: "none of the figures over it was measured" };
      return {
        finding: finding(run, variation),
        how:
          (variation.key === "workload.zipf" ? "To the right few keys take more of the load (0: all alike). " : "") +
          "A mark is the median over the repetitions, a bar its 95 percent interval (six repetitions). " +
          "The panels share the horizontal axis only.",
        mislead: "The lines join what was measured; nothing between the marks was.",
        draw: (width: number) =>
          used.map((panel, i) => draw(run, variation, panel, width, i === used.length - 1)),
        table: {
          header: ["path", variation.key, ...used.map((panel) => panel.title.replace(/, (milli)?seconds$/, ""))],
          rows: run.cells.filter((cell) => position(cell, variation.key) !== null).map((cell) => [
            seriesName(cell, variation.key, run), String(cell.params[variation.key]),
            ...used.map((panel) => panel.text(figureOf(cell, panel.figure).value)),
          ]),
        },
      };
    },
  }));
}

export const noVariation: Chart = {
  id: "blast-radius",
  title: "The blast radius of hot keys",
  make: () => ({ absent: "every path ran with one skew of keys; indoubt run hot-keys varies it" }),
};

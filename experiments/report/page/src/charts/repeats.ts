// How much a figure varies from repetition to repetition, and what a quiet day costs.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { figureOf, seriesOf, type Cell, type Figure } from "../data";
import { count, duration, interval } from "../format";
import { style } from "../marks";
import { colour, dim, grid, symbol } from "../theme";

interface Row {
  title: string;
  figure: string;
  text: (value: number | null) => string;
}

const perSecond = (value: number | null) => (value === null ? "–" : `${count(value)} per s`);

const rows: Row[] = [
  { title: "committed per second", figure: "throughput_per_s", text: perSecond },
  { title: "response p50", figure: "response_ms.p50", text: duration },
  { title: "response p99", figure: "response_ms.p99", text: duration },
  { title: "longest in doubt", figure: "in_doubt_ms.max", text: duration },
  { title: "longest wait of an outside writer", figure: "blocked_ms.max", text: duration },
  { title: "longest staleness", figure: "lag_ms.max", text: duration },
];

interface Entry {
  cell: Cell;
  figure: Figure;
}

const measured = ({ figure }: Entry) => figure.value !== null;

function strip(row: Row, entries: Entry[], width: number) {
  const ticks = Math.max(2, Math.floor(width / 140));
  const dots = entries.flatMap(({ cell, figure }) =>
    figure.reps.flatMap((value, i) => (value === null ? [] : [{ cell, value, rep: i + 1 }])),
  );
  const time = row.text === duration;
  return Plot.plot({
    width,
    height: 42 + 26 * entries.length + 26,
    style,
    marginLeft: 130,
    marginRight: 90,
    marginTop: 34,
    marginBottom: 26,
    x: { zero: true, nice: true, label: null, ticks,
         tickFormat: time ? (ms: number) => (ms === 0 ? "0" : duration(ms).replace(/\.0+(?= )/, "")) : undefined },
    y: { type: "band", domain: entries.map(({ cell }) => cell.name), label: null, tickSize: 0 },
    color: { type: "identity" },
    symbol: { type: "identity" },
    marks: [
      Plot.gridX({ stroke: grid, strokeOpacity: 1, ticks }),
      Plot.ruleX([0], { stroke: "var(--axis)" }),
      Plot.text([row.title], { frameAnchor: "top-left", dx: -130, dy: -24, fontWeight: 600,
                               textAnchor: "start" }),
      Plot.ruleY(entries.filter(({ figure }) => figure.low !== null), {
        y: ({ cell }: Entry) => cell.name, x1: ({ figure }: Entry) => figure.low!,
        x2: ({ figure }: Entry) => figure.high!, stroke: ({ cell }: Entry) => colour(cell), strokeWidth: 2 }),
      Plot.dot(dots, { x: "value", y: ({ cell }: Entry) => cell.name, r: 3.2,
                       stroke: ({ cell }: Entry) => colour(cell), symbol: ({ cell }: Entry) => symbol(cell) }),
      Plot.tickX(entries.filter(measured), {
        x: ({ figure }: Entry) => figure.value!, y: ({ cell }: Entry) => cell.name, strokeWidth: 2.5,
        stroke: ({ cell }: Entry) => colour(cell), insetTop: 2, insetBottom: 2 }),
      Plot.text(entries, { y: ({ cell }: Entry) => cell.name, frameAnchor: "right", dx: 84,
                           textAnchor: "end", fill: ({ figure }: Entry) => (figure.value === null ? dim : "var(--ink)"),
                           text: ({ figure }: Entry) => figure.value === null ? "not measured" : row.text(figure.value) }),
    ],
  } as Plot.PlotOptions);
}

function entriesOf(row: Row, shown: Cell[]): Entry[] {
  return shown.map((cell) => ({ cell, figure: figureOf(cell, row.figure) }));
}

function spread({ figure }: Entry): number | null {
  const values = figure.reps.flatMap((value) => (value === null ? [] : [value]));
  if (values.length < 2 || !figure.value) return null;
  return (Math.max(...values) - Math.min(...values)) / figure.value;
}

function tableOf(used: Row[], shown: Cell[]) {
  return {
    header: ["figure", "path", "median", "95% interval", "repetitions"],
    rows: used.flatMap((row) => entriesOf(row, shown).filter(measured).map(({ cell, figure }) => [
      row.title, cell.name, row.text(figure.value),
      interval(figure.low, figure.high, row.text) || "none: fewer than six repetitions",
      figure.reps.map((value) => row.text(value)).join(", "),
    ])),
  };
}

export const repeats: Chart = {
  id: "repeats",
  title: "From repetition to repetition",
  make: (_run, shown) => {
    const most = Math.max(0, ...shown.map((cell) => figureOf(cell, "attempted").reps.length));
    if (most < 2) return { absent: "every path ran once; --repeat 6 gives intervals" };
    const used = rows.filter((row) => entriesOf(row, shown).some(measured));
    const spreads = shown.flatMap((cell) => {
      const share = spread({ cell, figure: figureOf(cell, "throughput_per_s") });
      return share === null ? [] : [`${cell.name} ${(share * 100).toFixed(0)} percent`];
    });
    return {
      finding: spreads.length === 0
        ? "Committed per second was not measured in two repetitions of any path."
        : `Between the lowest and the highest repetition of committed per second lie, in shares of the median: ${spreads.join(", ")}.`,
      how:
        "A mark is one repetition, the upright stroke the median, the bar its 95 percent interval " +
        "(order statistics; it takes six repetitions). Each panel has its own scale and begins at 0.",
      mislead:
        "Repetitions of one run share the machine and its hour: what lasts longer than the run, a " +
        "neighbour or a hot processor, shifts all of them together and is in no interval.",
      draw: (width) => used.map((row) => strip(row, entriesOf(row, shown), width)),
      table: tableOf(used, shown),
    };
  },
};

const quietRows: Row[] = [
  { title: "committed per second", figure: "throughput_per_s", text: perSecond },
  { title: "response p50", figure: "response_ms.p50", text: duration },
  { title: "response p99", figure: "response_ms.p99", text: duration },
];

/** Without a fault the run is the quiet day; with one, what came before it. */
export const quiet: Chart = {
  id: "quiet-day",
  title: "The price on a quiet day",
  make: (run, shown) => {
    const { disturbed } = run;
    const before = (cell: Cell, name: "p50_ms" | "p99_ms"): Figure => {
      const value = seriesOf(run, cell)?.undisturbed?.[name] ?? null;
      return { value, low: null, high: null, reps: [] };
    };
    const panels: [Row, Entry[]][] = disturbed
      ? [[quietRows[1]!, shown.map((cell) => ({ cell, figure: before(cell, "p50_ms") }))],
         [quietRows[2]!, shown.map((cell) => ({ cell, figure: before(cell, "p99_ms") }))]]
      : quietRows.map((row) => [row, entriesOf(row, shown)]);
    const used = panels.filter(([, entries]) => entries.some(measured));
    if (disturbed && run.series.length === 0) return { absent: "not drawn, to keep the page small" };
    if (used.length === 0) return { absent: "no operation fell into a time without a fault" };
    const [, medians] = used.find(([row]) => row.figure === "response_ms.p50") ?? used[0]!;
    const known = medians.filter(measured).sort((a, b) => a.figure.value! - b.figure.value!);
    return {
      finding: `Undisturbed, the typical answer takes ${known.map(({ cell, figure }) =>
        `${duration(figure.value)} on ${cell.name}`).join(", ")}.`,
      how: disturbed
        ? "Response times of operations that were due and answered in the measured span before the " +
          "fault acted, of all repetitions together. The stroke is the percentile; the scale begins at 0."
        : "Nothing was broken in this run. The stroke is the median over the repetitions, a mark one " +
          "repetition; the scale begins at 0.",
      mislead:
        "Everything ran on one machine: a round trip costs next to nothing here, and a path with " +
        "more of them pays more on a real network. The stores compete with the load for the processor.",
      draw: (width) => used.map(([row, entries]) => strip(row, entries, width)),
      table: {
        header: ["path", ...used.map(([row]) => row.title)],
        rows: shown.map((cell, i) => [
          cell.name, ...used.map(([row, entries]) => row.text(entries[i]!.figure.value)),
        ]),
      },
    };
  },
};

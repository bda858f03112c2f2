// What happened when: rate, in doubt, waiters and lag of every path over one time axis.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { seriesOf, type Cell, type Line, type Run, type Series } from "../data";
import { count, dash, duration } from "../format";
import { faultBands, nameOffset, style } from "../marks";
import { colour, dim, grid } from "../theme";

const mostColumns = 4;
const narrow = 560;

interface Row {
  title: string;
  lines: (series: Series) => [string, Line][];
}

const rows: Row[] = [
  { title: "committed per second", lines: (s) => [["committed", s.throughput]] },
  { title: "branches in doubt", lines: (s) => [["in doubt", s.in_doubt]] },
  { title: "outside writers waiting", lines: (s) => [["waiting", s.waiters]] },
  { title: "oldest order not in a store, seconds",
    lines: (s) => Object.entries(s.lag_s) },
];

interface Drawing {
  cell: Cell;
  series: Series;
}

interface Sample {
  x: number;
  y: number | null;
  facet: string;
  colour: string;
  dash: string;
  name: string;
}

function samplesOf(row: Row, drawings: Drawing[]): Sample[] {
  return drawings.flatMap(({ cell, series }) =>
    row.lines(series).flatMap(([name, line], i) =>
      line.map(([x, y]) => ({
        x, y, facet: cell.name, colour: colour(cell), name, dash: i === 0 ? "" : "4 3",
      })),
    ),
  );
}

/** The top of a row: the same for all of its columns, wherever they stand. */
function topOf(row: Row, drawings: Drawing[]): number {
  return Math.max(1, ...samplesOf(row, drawings).map(({ y }) => y ?? 0));
}

function panel(row: Row, drawings: Drawing[], top: number, end: number, width: number, first: boolean,
               last: boolean) {
  const samples = samplesOf(row, drawings);
  const bands = drawings.flatMap(({ cell, series }) =>
    series.faults.map((fault) => ({ ...fault, facet: cell.name, until: fault.to_s ?? series.end_s })),
  );
  const nothing = drawings.filter(
    ({ cell }) => !samples.some((sample) => sample.facet === cell.name && sample.y !== null),
  );
  const dashed = samples.filter((sample) => sample.dash !== "");
  const names = [...new Set(samples.map((sample) => sample.name))];
  return Plot.plot({
    width,
    height: (first ? 166 : 136) + (last ? 26 : 0),
    style,
    marginLeft: 48,
    marginRight: 8,
    marginTop: first ? 64 : 36,
    marginBottom: last ? 40 : 18,
    fx: { domain: drawings.map(({ cell }) => cell.name), axis: null, padding: 0.06 },
    x: { domain: [0, end], label: null, ticks: Math.max(2, Math.floor(width / drawings.length / 70)) },
    y: { domain: [0, top], nice: true, ticks: 3, label: null },
    marks: [
      Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 3 }),
      ...faultBands(bands),
      Plot.ruleY([0], { stroke: "var(--axis)" }),
      Plot.axisX({ ticks: Math.max(2, Math.floor(width / drawings.length / 70)), color: dim,
                   tickSize: 3, label: last ? "seconds since the measured span began →" : null,
                   labelAnchor: "center", labelOffset: nameOffset(40) } as Plot.AxisXOptions),
      Plot.lineY(samples.filter((sample) => sample.dash === ""),
                 { x: "x", y: "y", fx: "facet", stroke: "colour", strokeWidth: 1.8, z: "name" }),
      Plot.lineY(dashed, { x: "x", y: "y", fx: "facet", stroke: "colour", strokeWidth: 1.8,
                           strokeDasharray: "4 3", z: "name" }),
      Plot.text(nothing, { fx: ({ cell }: Drawing) => cell.name, text: () => "not measured here",
                           frameAnchor: "middle", fill: dim, fontStyle: "italic" }),
      Plot.text([names.length > 1 ? `${row.title} (${width < narrow ? "" : `solid ${names[0]}, `}dashed ${names.slice(1).join(", ")})` : row.title],
                { fx: () => drawings[0]!.cell.name, frameAnchor: "top-left", dy: first ? -30 : -24, dx: -44,
                  fontWeight: 600, fontSize: width < narrow ? 11 : 12, textAnchor: "start" }),
      first
        ? Plot.text(drawings, { fx: ({ cell }: Drawing) => cell.name, text: ({ cell }: Drawing) => cell.name,
                                frameAnchor: "top", dy: -54, fontWeight: 700, fontSize: 14,
                                fill: ({ cell }: Drawing) => colour(cell) })
        : null,
      first
        ? Plot.text(bands, { x: "from_s", fx: "facet", frameAnchor: "top", dy: -6, textAnchor: "start",
                             lineAnchor: "bottom", fill: "var(--fault-text)", text: "label" })
        : null,
      Plot.tip(samples, Plot.pointerX({ x: "x", y: "y", fx: "facet",
        title: (s: Sample) => `${s.x.toFixed(1)} s: ${count(s.y)} ${s.name}` })),
    ],
    color: { type: "identity" },
  } as Plot.PlotOptions);
}

function pictures(drawings: Drawing[], width: number) {
  const columns = width < narrow ? 1 : Math.min(mostColumns, drawings.length);
  const end = Math.max(...drawings.map(({ series }) => series.end_s));
  const drawn: (SVGSVGElement | HTMLElement)[] = [];
  for (let from = 0; from < drawings.length; from += columns) {
    const group = drawings.slice(from, from + columns);
    // A row of columns that is not full leaves room, so that all columns are as wide.
    const share = width < narrow ? width : 56 + ((width - 56) * group.length) / columns;
    const used = rows.filter((row) => samplesOf(row, drawings).some((sample) => sample.y !== null));
    used.forEach((row, i) => {
      drawn.push(panel(row, group, topOf(row, drawings), end, share, i === 0, i === used.length - 1));
    });
  }
  return drawn;
}

const highest = (line: Line) =>
  line.reduce<number | null>((top, [, y]) => (y === null ? top : Math.max(top ?? y, y)), null);

function finding(drawings: Drawing[]): string {
  const lowest = drawings.map(({ cell, series }) => {
    const fault = series.faults[0];
    if (!fault) return `${cell.name} ran undisturbed`;
    const during = series.throughput.filter(
      ([x]) => x >= fault.from_s && x <= (fault.to_s ?? series.measured_s) && x <= series.measured_s,
    );
    const seen = during.flatMap(([, y]) => (y === null ? [] : [y]));
    if (seen.length === 0) return `${cell.name}'s rate during the fault was not measured`;
    const mean = seen.reduce((sum, y) => sum + y, 0) / seen.length;
    return `${cell.name} committed ${count(Math.round(mean))} per second during the fault`;
  });
  return `${lowest.join("; ")}.`;
}

function tableRow({ cell, series }: Drawing): string[] {
  const faults = series.faults.map(
    (f) => `${f.label}: ${f.from_s.toFixed(1)} s to ${f.to_s === null ? "never healed" : `${f.to_s.toFixed(1)} s`}`,
  );
  const lag = Object.entries(series.lag_s).map(([store, line]) => {
    const most = highest(line);
    return `${store} ${most === null ? dash : duration(most * 1000)}`;
  });
  return [
    cell.name, String(series.rep), faults.join(", ") || "none", count(highest(series.throughput)),
    count(highest(series.in_doubt)), count(highest(series.waiters)), lag.join(", ") || dash,
  ];
}

function drawingsOf(run: Run, shown: Cell[]): Drawing[] {
  return shown.flatMap((cell) => {
    const series = seriesOf(run, cell);
    return series && series.throughput.length > 0 ? [{ cell, series }] : [];
  });
}

export const timelines: Chart = {
  id: "timelines",
  title: "What happened when",
  make: (run, shown) => {
    const drawings = drawingsOf(run, shown);
    if (drawings.length === 0) return { absent: "no repetition of these paths reached its end" };
    return {
      finding: finding(drawings),
      how:
        "One column a path, one row a measure; rows share their vertical scale and all share the " +
        "time axis. The band is the fault, from when it was seen to act until it was healed.",
      mislead:
        "It is one repetition a path, the first that ended, and no average. After the load has " +
        "ended the rate falls to nothing by itself. The clock starts anew in each repetition.",
      draw: (width) => pictures(drawings, width),
      table: {
        header: ["path", "repetition", "fault", "highest rate, per s", "most in doubt",
                 "most waiting", "highest lag"],
        rows: drawings.map(tableRow),
      },
    };
  },
};

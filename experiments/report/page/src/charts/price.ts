// The price of failure: how long others were blocked against how stale data became.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { figureOf, type Cell, type Figure } from "../data";
import { duration, interval } from "../format";
import { endLabels, nameOffset, style } from "../marks";
import { colour, dim, grid, symbol } from "../theme";

const blocked = "blocked_ms.max";
const stale = "lag_ms.max";

interface Mark {
  cell: Cell;
  x: Figure;
  y: Figure;
}

const seconds = (ms: number) => ms / 1000;

function withInterval(figure: Figure): string {
  const range = interval(figure.low, figure.high, duration);
  return range ? `${duration(figure.value)} (95% interval ${range})` : duration(figure.value);
}

/** What it paid most in. */
function sentence({ cell, x, y }: Mark): string {
  return (y.value ?? -1) > (x.value ?? -1)
    ? `${cell.name} showed data up to ${withInterval(y)} old`
    : `${cell.name} blocked others for up to ${withInterval(x)}`;
}


function points({ cell, x, y }: Mark) {
  return x.reps.flatMap((value, i) => {
    const other = y.reps[i];
    return value === null || other === null || other === undefined
      ? []
      : [{ cell, x: seconds(value), y: seconds(other) }];
  });
}

function crosses(marks: Mark[], width: number) {
  const both = marks.filter(({ x, y }) => x.value !== null && y.value !== null);
  const oneOnly = marks.filter(({ x, y }) => (x.value === null) !== (y.value === null));
  const widest = Math.max(...marks.map(({ x }) => x.value ?? 0));
  const left = oneOnly.filter(({ x }) => (x.value ?? 0) <= widest / 2);
  const right = oneOnly.filter(({ x }) => (x.value ?? 0) > widest / 2);
  const names = (group: Mark[], anchor: "start" | "end", row = 0) =>
    group.filter(({ y }) => y.value === null).map((mark, i) =>
      Plot.text([mark], {
        x: seconds(mark.x.value!), frameAnchor: "top", dy: 8 + 16 * (row + i), dx: anchor === "start" ? 7 : -7,
        textAnchor: anchor, text: () => `${mark.cell.name} ${duration(mark.x.value)}${width < 600 ? "" : ": staleness not measured"}`,
      } as Plot.TextOptions));
  const middle = (mark: Mark) => ({ x: seconds(mark.x.value!), y: seconds(mark.y.value!) });
  const ranges = both.filter(({ x, y }) => x.low !== null && y.low !== null);
  return Plot.plot({
    width,
    height: 380,
    style,
    marginLeft: 56,
    marginRight: 128,
    marginBottom: 44,
    marginTop: 28,
    x: { label: "longest wait of an outside writer, seconds →", labelAnchor: "center", labelOffset: nameOffset(44), zero: true, nice: true, grid: false },
    y: { label: "↑ longest staleness of a derived store, seconds", zero: true, nice: true },
    marks: [
      Plot.gridX({ stroke: grid, strokeOpacity: 1 }),
      Plot.gridY({ stroke: grid, strokeOpacity: 1 }),
      // What was not measured is at no place of its axis: a line along all of it.
      Plot.ruleX(oneOnly.filter(({ y }) => y.value === null), {
        x: (mark: Mark) => seconds(mark.x.value!), stroke: (mark: Mark) => colour(mark.cell),
        strokeDasharray: "3 4", strokeWidth: 2,
      }),
      Plot.ruleY(oneOnly.filter(({ x }) => x.value === null), {
        y: (mark: Mark) => seconds(mark.y.value!), stroke: (mark: Mark) => colour(mark.cell),
        strokeDasharray: "3 4", strokeWidth: 2,
      }),
      ...names(left, "start"),
      // Side by side where there is room.
      ...names(right, "end", width < 600 ? left.length : 0),
      Plot.text(oneOnly.filter(({ x }) => x.value === null), {
        y: (mark: Mark) => seconds(mark.y.value!), frameAnchor: "right", dy: -8, fill: dim,
        textAnchor: "end", text: (mark: Mark) => `${mark.cell.name}${width < 600 ? "" : ": blocking not measured"}`,
      }),
      Plot.link(ranges, {
        x1: ({ x }: Mark) => seconds(x.low!), x2: ({ x }: Mark) => seconds(x.high!),
        y1: (mark: Mark) => middle(mark).y, y2: (mark: Mark) => middle(mark).y,
        stroke: (mark: Mark) => colour(mark.cell), strokeWidth: 2,
      }),
      Plot.link(ranges, {
        x1: (mark: Mark) => middle(mark).x, x2: (mark: Mark) => middle(mark).x,
        y1: ({ y }: Mark) => seconds(y.low!), y2: ({ y }: Mark) => seconds(y.high!),
        stroke: (mark: Mark) => colour(mark.cell), strokeWidth: 2,
      }),
      Plot.dot(both.flatMap(points), {
        x: "x", y: "y", r: 3, stroke: ({ cell }: Mark) => colour(cell),
        symbol: ({ cell }: Mark) => symbol(cell), strokeOpacity: 0.75,
      }),
      Plot.dot(both, {
        x: (mark: Mark) => middle(mark).x, y: (mark: Mark) => middle(mark).y, r: 6.5,
        fill: (mark: Mark) => colour(mark.cell), symbol: (mark: Mark) => symbol(mark.cell),
        stroke: "var(--bg)", strokeWidth: 1.5,
        title: sentence, tip: true,
      }),
      endLabels(both.map((mark) => ({ ...middle(mark), text: mark.cell.name, colour: colour(mark.cell) })), 10),
    ],
    color: { type: "identity" },
    symbol: { type: "identity" },
  } as Plot.PlotOptions);
}

export const price: Chart = {
  id: "price-of-failure",
  title: "The price of failure",
  make: (run, shown) => {
    const marks = shown
      .map((cell) => ({ cell, x: figureOf(cell, blocked), y: figureOf(cell, stale) }))
      .filter(({ x, y }) => x.value !== null || y.value !== null);
    if (!run.disturbed) {
      return { absent: "no fault was injected, so nothing failed" };
    }
    if (marks.length === 0) return { absent: "neither blocking nor staleness was measured" };
    return {
      finding: `${marks.map(sentence).join("; ")}.`,
      how:
        "Right: other writers wait longer. Up: readers of derived data see older facts. Large marks " +
        "are medians over the repetitions, small ones the repetitions; bars are 95 percent " +
        "intervals of the median, which take six repetitions. A dashed line: only one of the two was " +
        "measured, so that it has no place on the other axis.",
      mislead:
        "Both are the worst that one observer saw, and both grow with the outage, whose length the " +
        "scenario chose. A path can pay in neither and lose data instead: see Divergence.",
      draw: (width) => [crosses(marks, width)],
      table: {
        header: ["path", "longest wait of an outside writer", "95% interval", "longest staleness",
                 "95% interval"],
        rows: marks.map(({ cell, x, y }) => [
          cell.name, duration(x.value), interval(x.low, x.high, duration) || "none",
          duration(y.value), interval(y.low, y.high, duration) || "none",
        ]),
      },
    };
  },
};

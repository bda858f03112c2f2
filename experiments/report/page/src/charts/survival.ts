// How many still waited after a time: outside writers behind locks, orders behind a view.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { seriesOf, type Cell, type Run, type Survival } from "../data";
import { count, decades, duration, durationTick, percent } from "../format";
import { endLabels, nameOffset, style } from "../marks";
import { colour, dashesOf, grid } from "../theme";

interface Curve {
  name: string;
  cell: Cell;
  dash: string;
  survival: Survival;
}

const horizons = [10, 100, 1000, 10_000];

/** The share that waited longer than `ms`. */
function shareAfter(survival: Survival, ms: number): number {
  let share = 1;
  for (const [at, left] of survival.curve) {
    if (at > ms) break;
    share = left ?? share;
  }
  return share;
}

/** Nothing is left at the end, which a logarithmic axis has no place for: the line ends there. */
function pointsOf({ name, cell, survival }: Curve) {
  let left = 1;
  return survival.curve.map(([x, share]) => {
    if (share !== null && share > 0) left = share;
    return { x: Math.max(x, 0.1), y: left, name, colour: colour(cell) };
  });
}

function plot(curves: Curve[], width: number, xLabel: string, yLabel: string) {
  const points = curves.flatMap(pointsOf);
  const lowest = Math.min(...points.map((point) => point.y), 0.1);
  const from = Math.min(...points.map((point) => point.x), 1);
  const to = Math.max(...points.map((point) => point.x), 1000);
  const ends = curves.flatMap(({ name, cell }) => {
    const last = points.filter((point) => point.name === name).at(-1);
    return last ? [{ x: last.x, y: last.y, text: name, colour: colour(cell) }] : [];
  });
  return Plot.plot({
    width,
    height: 340,
    style,
    marginLeft: 56,
    marginRight: 130,
    marginBottom: 44,
    marginTop: 28,
    x: { type: "log", domain: [from, to], label: xLabel, labelAnchor: "center", labelOffset: nameOffset(44), ticks: decades(from, to),
         tickFormat: durationTick },
    y: { type: "log", domain: [lowest, 1], label: yLabel, ticks: decades(lowest, 1), tickFormat: percent },
    color: { type: "identity" },
    marks: [
      Plot.gridY(decades(lowest, 1), { stroke: grid, strokeOpacity: 1 }),
      Plot.gridX(decades(from, to), { stroke: grid, strokeOpacity: 1 }),
      ...curves.map((curve) =>
        Plot.line(points.filter((point) => point.name === curve.name), {
          x: "x", y: "y", stroke: "colour", strokeWidth: 2, strokeDasharray: curve.dash,
          curve: "step-after",
        }),
      ),
      endLabels(ends),
      Plot.tip(points, Plot.pointer({ x: "x", y: "y",
        title: (p: (typeof points)[number]) =>
          `${p.name}: ${percent(p.y)} longer than ${duration(p.x)}` })),
    ],
  } as Plot.PlotOptions);
}

function tableOf(curves: Curve[]) {
  return {
    header: ["what", "observed", "still waiting at the end",
             ...horizons.map((ms) => `longer than ${durationTick(ms)}`)],
    rows: curves.map(({ name, survival }) => [
      name, count(survival.n), count(survival.censored),
      ...horizons.map((ms) => percent(shareAfter(survival, ms))),
    ]),
  };
}

function finding(curves: Curve[], what: string): string {
  const parts = curves.map(
    ({ name, survival }) => `${name} ${percent(shareAfter(survival, 1000))}`,
  );
  return `${what} longer than one second: ${parts.join(", ")}.`;
}

function blockingCurves(run: Run, shown: Cell[]): Curve[] {
  return shown.flatMap((cell) => {
    const survival = seriesOf(run, cell)?.blocking;
    return survival && survival.n > 0
      ? [{ name: cell.name, cell, dash: dashesOf(cell, shown), survival }]
      : [];
  });
}

function stalenessCurves(run: Run, shown: Cell[]): Curve[] {
  return shown.flatMap((cell) => {
    const stores = Object.entries(seriesOf(run, cell)?.staleness ?? {});
    return stores.filter(([, survival]) => survival.n > 0).map(([store, survival], i) => ({
      name: `${cell.name}: ${store}`, cell, dash: i === 0 ? "" : "5 3", survival,
    }));
  });
}

const how =
  "A point says which share was still waiting after that time; both axes are logarithmic, so " +
  "rare and long waits can be seen. The lower and the further left a line, the better. All " +
  "repetitions together; who still waited when last looked at counts until then (Kaplan and Meier).";

export const blocking: Chart = {
  id: "survival-of-blocking",
  title: "How long outside writers were blocked",
  make: (run, shown) => {
    const curves = blockingCurves(run, shown);
    if (curves.length === 0) return { absent: "no outside writer was at work, or none was recorded" };
    return {
      finding: finding(curves, "Attempts of outside writers that waited"),
      how,
      mislead:
        "The writers are the observer's: a blocked one makes no new attempts, so that in a long " +
        "outage few attempts are counted, each waiting long. Half of them choose keys as the load " +
        "does, half sweep all keys.",
      draw: (width) => [
        plot(curves, width, "time waited →", "↑ share of attempts that waited longer"),
      ],
      table: tableOf(curves),
    };
  },
};

export const staleness: Chart = {
  id: "survival-of-staleness",
  title: "How long data was stale",
  make: (run, shown) => {
    const curves = stalenessCurves(run, shown);
    if (curves.length === 0) {
      return { absent: "when orders became visible in the other stores was not recorded" };
    }
    return {
      finding: finding(curves, "Acknowledged orders that a store showed later by"),
      how,
      mislead:
        "Counted from the acknowledgement to the first poll that saw the order: a poll takes a few " +
        "milliseconds, which is the floor. Orders come faster than they are caught up with after " +
        "an outage, so the length of the outage decides how many are late.",
      draw: (width) => [
        plot(curves, width, "time until visible →", "↑ share of orders later than that"),
      ],
      table: tableOf(curves),
    };
  },
};

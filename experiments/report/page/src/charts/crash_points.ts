// At which step each path died, and what was left of it.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { valueOf, type Cell, type Run } from "../data";
import { count, dash, duration } from "../format";
import { style } from "../marks";
import { dim } from "../theme";

const prefix = "fault.point.";

interface Step {
  cell: Cell;
  name: string;
}

const waits: [string, string][] = [
  ["in doubt, longest", "in_doubt_ms.max"],
  ["writer waited, longest", "blocked_ms.max"],
  ["stale, longest", "lag_ms.max"],
];
const counts: [string, string][] = [
  ["operations refused", "failed"],
  ["inconsistent for good", "inconsistent.permanent"],
  ["acknowledged and lost", "lost_acknowledged"],
];

function stepsOf(run: Run): Step[] {
  const steps = run.cells.flatMap((cell) => {
    const point = Object.entries(cell.params).find(([key]) => key.startsWith(prefix));
    return point ? [{ cell, name: `${cell.path}: ${point[1]}` }] : [];
  });
  // Where something else varies too, the step alone is not the row.
  return steps.map((step) => steps.filter(({ name }) => name === step.name).length === 1
    ? step : { ...step, name: step.cell.name });
}

interface Square {
  step: string;
  column: string;
  heat: number; // 0 to 1
  text: string;
}

function squares(steps: Step[]): Square[] {
  const longest = Math.max(1, ...steps.flatMap(({ cell }) =>
    waits.map(([, figure]) => valueOf(cell, figure) ?? 0)));
  return steps.flatMap(({ cell, name }) => [
    ...waits.map(([column, figure]) => {
      const value = valueOf(cell, figure);
      return { step: name, column, heat: (value ?? 0) / longest, text: duration(value) };
    }),
    ...counts.map(([column, figure]) => {
      const value = valueOf(cell, figure);
      const bad = figure !== "failed" && (value ?? 0) > 0;
      return { step: name, column, heat: bad ? 1 : 0, text: count(value) };
    }),
  ]);
}

export const crashPoints: Chart = {
  id: "crash-points",
  title: "Where it died, and what was left of it",
  make: (run) => {
    const steps = stepsOf(run);
    if (steps.length === 0) {
      return { absent: "every path died at one step at most; indoubt run crash-points walks through them" };
    }
    const columns = [...waits, ...counts].map(([name]) => name);
    const marks = squares(steps);
    const compared = steps.filter(({ cell }) => valueOf(cell, "inconsistent.permanent") !== null);
    const broken = compared.filter(({ cell }) => valueOf(cell, "inconsistent.permanent")! > 0);
    const apart = steps.length - compared.length;
    const rest = apart === 0 ? "" : ` At ${apart} more the stores were not compared.`;
    return {
      finding: broken.length === 0
        ? `None of the ${compared.length} steps left anything inconsistent for good.${rest}`
        : `${broken.length} of ${compared.length} steps left keys inconsistent for good: ${broken.map(({ name }) => name).join(", ")}.${rest}`,
      how:
        "A row is the step at which the path was killed, from the first step to the last. The darker " +
        "a square, the longer the wait, on one scale for all three; violations are darkest. A dash: " +
        "not measured, or not possible on that path.",
      mislead:
        "How long anything lasts follows the time until the restart, which the scenario chose: what " +
        "matters is which squares are dark. One kill a repetition; a rare race needs many.",
      draw: (width) => [
        Plot.plot({
          width: Math.max(width, 780),
          height: 70 + 26 * steps.length,
          style,
          marginLeft: 200,
          marginTop: 56,
          marginRight: 8,
          x: { type: "band", domain: columns, axis: null, padding: 0.03 },
          y: { type: "band", domain: steps.map(({ name }) => name), label: null, tickSize: 0, padding: 0.06 },
          marks: [
            Plot.axisX({ anchor: "top", label: null, tickSize: 0, lineWidth: 7 }),
            Plot.cell(marks, { x: "column", y: "step", fill: "var(--heat)", fillOpacity: (s: Square) => 0.05 + 0.45 * s.heat }),
            Plot.text(marks, { x: "column", y: "step", text: "text", fill: (s: Square) => (s.text === dash ? dim : "var(--ink)") }),
          ],
          color: { type: "identity" },
          opacity: { type: "identity" },
        } as Plot.PlotOptions),
      ],
      table: {
        header: ["died at", ...columns, "caught up in"],
        rows: steps.map(({ cell, name }) => [
          name, ...waits.map(([, figure]) => duration(valueOf(cell, figure))),
          ...counts.map(([, figure]) => count(valueOf(cell, figure))), duration(valueOf(cell, "catch_up_ms")),
        ]),
      },
    };
  },
};

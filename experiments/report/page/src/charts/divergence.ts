// Where the stores disagreed, for a while and for good.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { figureOf, valueOf, type Cell } from "../data";
import { count } from "../format";
import { style } from "../marks";
import { colour, dim, grid } from "../theme";

const kinds: [string, string][] = [
  ["inconsistent for a while", "inconsistent.transient"],
  ["inconsistent for good", "inconsistent.permanent"],
  ["acknowledged and lost", "lost_acknowledged"],
  ["rolled back and there", "resurrected"],
  ["left over", "leftovers"],
];

interface Bar {
  cell: Cell;
  kind: string;
  value: number | null;
}

function panel(kind: string, bars: Bar[], width: number) {
  const known = bars.filter(({ value }) => value !== null);
  return Plot.plot({
    width,
    height: 38 + 24 * bars.length + 8,
    style,
    marginLeft: 130,
    marginRight: 70,
    marginTop: 30,
    marginBottom: 8,
    x: { domain: [0, Math.max(1, ...known.map(({ value }) => value!))], axis: null },
    y: { type: "band", domain: bars.map(({ cell }) => cell.name), label: null, tickSize: 0, padding: 0.25 },
    color: { type: "identity" },
    marks: [
      Plot.text([kind], { frameAnchor: "top-left", dx: -130, dy: -24, fontWeight: 600, textAnchor: "start" }),
      Plot.barX(known, { x: ({ value }: Bar) => value!, y: ({ cell }: Bar) => cell.name, fill: ({ cell }: Bar) => colour(cell) }),
      Plot.ruleX([0], { stroke: grid }),
      Plot.text(bars, { x: ({ value }: Bar) => value ?? 0, y: ({ cell }: Bar) => cell.name, dx: 6, textAnchor: "start",
                        fill: ({ value }: Bar) => (value === null ? dim : "var(--ink)"),
                        text: ({ value }: Bar) => (value === null ? "not measured" : count(value)) }),
    ],
  } as Plot.PlotOptions);
}

export const divergence: Chart = {
  id: "divergence",
  title: "Divergence",
  make: (_run, shown) => {
    const panels = kinds.map(([kind, figure]): [string, Bar[]] =>
      [kind, shown.map((cell) => ({ cell, kind, value: valueOf(cell, figure) }))]);
    const used = panels.filter(([, bars]) => bars.some(({ value }) => value !== null));
    if (used.length === 0) return { absent: "the stores were not compared at the end" };
    const found = used.filter(([kind, bars], i) => kind === "inconsistent for good" || i > 1
      ? bars.some(({ value }) => (value ?? 0) > 0) : false);
    const harmed = [...new Set(found.flatMap(([, bars]) =>
      bars.filter(({ value }) => (value ?? 0) > 0).map(({ cell }) => cell.name)))];
    const drawn = used.filter(([kind, bars]) => kind.startsWith("inconsistent") ||
      bars.some(({ value }) => (value ?? 0) > 0));
    return {
      finding: harmed.length === 0
        ? "When all had healed and was quiet, the stores agreed on every path on which they were compared."
        : `When all had healed and was quiet, ${harmed.join(", ")} had keys on which the stores disagree, or had lost acknowledged writes.`,
      how:
        "Keys a path, in the worst repetition (for a while: the median). For a while: a reader saw two " +
        "stores disagree on an order, twice in a row, and they agree at the end. For good: they " +
        "disagree when every fault is healed and nothing moves any more.",
      mislead:
        "Readers poll a sample of orders, so what was seen for a while is a floor. None for good does " +
        "not prove that there can be none: this many repetitions saw none.",
      draw: (width) => drawn.map(([kind, bars]) => panel(kind, bars, width)),
      table: {
        header: ["path", ...kinds.map(([kind]) => kind), "fractured reads", "reads"],
        rows: shown.map((cell) => [
          cell.name, ...kinds.map(([, figure]) => count(valueOf(cell, figure))),
          count(figureOf(cell, "fractured_reads").value), count(figureOf(cell, "reads").value),
        ]),
      },
    };
  },
};

// One transaction's swim lanes, with an address of their own: #tx=ID.
import * as Plot from "@observablehq/plot";
import type { Chart } from "../chart";
import { seriesOf, type Cell, type Run, type Span, type Transaction } from "../data";
import { element } from "../dom";
import { duration } from "../format";
import { nameOffset, style } from "../marks";
import { colour, grid } from "../theme";

const narrowest = 480; // below, the lanes scroll

interface Entry {
  cell: Cell;
  rep: number;
  transaction: Transaction;
}

function entriesOf(run: Run, shown: Cell[]): Entry[] {
  return shown.flatMap((cell) => {
    const series = seriesOf(run, cell);
    return (series?.transactions ?? []).map((transaction) => ({ cell, rep: series!.rep, transaction }));
  });
}

const address = (entry: Entry) => `#tx=${encodeURIComponent(entry.transaction.id)}`;

/** Of any path, shown or not: a link says what it shows. */
function wanted(run: Run): Entry | undefined {
  return entriesOf(run, run.cells).find((entry) => address(entry) === window.location.hash);
}

const fills: Record<Span["kind"], string> = {
  client: "", queue: "var(--axis)", prepared: "", blocked: "var(--warn)", stale: "", fault: "var(--fault-edge)",
};

function draw({ cell, transaction }: Entry, width: number) {
  const lanes = [...new Set(transaction.spans.map((span) => span.lane))];
  const ends = transaction.spans.map((span) => span.to_ms ?? span.from_ms);
  const from = Math.min(0, ...transaction.spans.map((span) => span.from_ms));
  const to = Math.max(1, ...ends);
  const per = to - from > 2000 ? 1000 : 1;
  const end = (span: Span) => (span.to_ms ?? to) / per;
  return Plot.plot({
    width: Math.max(width, narrowest),
    height: 56 + 34 * lanes.length,
    style,
    marginLeft: 150,
    marginRight: 24,
    marginTop: 12,
    marginBottom: 42,
    x: { domain: [from / per, to / per], nice: true,
         label: `${per === 1000 ? "seconds" : "milliseconds"} since the operation was due →`,
         labelAnchor: "center", labelOffset: nameOffset(42), ticks: 8 },
    y: { type: "band", domain: lanes, label: null, tickSize: 0, padding: 0.3 },
    color: { type: "identity" },
    marks: [
      Plot.gridX({ stroke: grid, strokeOpacity: 1, ticks: 8 }),
      Plot.barX(transaction.spans, {
        x1: (span: Span) => span.from_ms / per, x2: end, y: "lane",
        fill: (span: Span) => fills[span.kind] || colour(cell),
        fillOpacity: (span: Span) => (span.kind === "queue" ? 0.6 : 0.9),
        title: (span: Span) => span.label, tip: true,
      }),
      Plot.ruleX([0], { stroke: "var(--axis)" }),
      Plot.text(transaction.spans.filter((span) => (end(span) - span.from_ms / per) / ((to - from) / per) > 0.22), {
        x: (span: Span) => span.from_ms / per, y: "lane", dx: 6, textAnchor: "start", fill: "var(--on-bar)",
        text: (span: Span) => span.label, fontWeight: 600,
      }),
    ],
  } as Plot.PlotOptions);
}

function chooser(entries: Entry[], chosen: Entry): HTMLElement {
  const select = element("select", { id: `tx-${chosen.transaction.id}` });
  for (const entry of entries) {
    const option = element("option", { value: address(entry) },
      `${entry.cell.name}: ${entry.transaction.why} (${entry.transaction.outcome})`);
    option.selected = entry === chosen;
    select.append(option);
  }
  select.addEventListener("change", () => {
    window.location.hash = select.value;
  });
  const link = element("a", { href: address(chosen) }, "link to this transaction");
  return element("div", { class: "controls" },
    element("label", { for: select.id }, "Transaction "), select, " ", link);
}

export const lanes: Chart = {
  id: "transaction",
  title: "One transaction, lane by lane",
  make: (run, shown) => {
    const linked = wanted(run);
    const besides = linked && !shown.includes(linked.cell) ? [linked.cell] : [];
    const entries = entriesOf(run, [...shown, ...besides]);
    const chosen = entries.find((entry) => linked && address(entry) === address(linked)) ?? entries[0];
    if (!chosen) return { absent: "no transaction of the measured span has records of its own" };
    const { transaction, cell, rep } = chosen;
    const ends = transaction.spans.map((span) => span.to_ms ?? span.from_ms);
    return {
      finding: `${transaction.id} on ${cell.name}, repetition ${rep}: ${transaction.outcome}; from when it was due ` +
        `to the last that was seen of it: ${duration(Math.max(...ends))}.`,
      how:
        "One lane the client and one each store. A store's bar says how long the branch was seen " +
        "prepared and undecided there (2pc), or how long the order was not yet visible (cdc). Further " +
        "lanes: outside writers that waited for its keys, and the fault.",
      mislead:
        "It was chosen for being extreme or for being typical, as its name in the list says. Bars of " +
        "stores come from an observer that polls: what lasted less than a poll is not seen.",
      draw: (width) => [draw(chosen, width)],
      controls: chooser(entries, chosen),
      table: {
        header: ["lane", "what", "from", "to"],
        rows: transaction.spans.map((span) => [
          span.lane, span.label, `${span.from_ms.toFixed(1)} ms`,
          span.to_ms === null ? "not seen to end" : `${span.to_ms.toFixed(1)} ms`,
        ]),
      },
    };
  },
};


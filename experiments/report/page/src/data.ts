// What the binary writes into the page, one object a run (experiments/report/page_data.cc).
// Null: not measured. Times carry their unit in the name.

/** [x, y]; y is null where there is a gap. */
export type Line = [number, number | null][];

/** A figure over the repetitions of a cell. */
export interface Figure {
  value: number | null; // the median; of figures of correctness the worst
  low: number | null; // the 95 percent interval of the median; null below six repetitions
  high: number | null;
  reps: (number | null)[];
}

export interface Cell {
  name: string;
  path: string;
  params: Record<string, string | number | boolean>;
  figures: Record<string, Figure>;
}

export interface Fault {
  from_s: number;
  to_s: number | null; // null: never healed
  label: string;
}

/** The share that still waits after a time, over all repetitions. */
export interface Survival {
  curve: Line; // [ms, share]
  n: number;
  censored: number; // still waiting when they were last looked at
}

export interface Stage {
  name: string;
  to_s: number | null; // since the fault acted; null: not measured, or never
  reason: string | null; // why it is null
}

export interface Span {
  lane: string;
  from_ms: number; // since it was due
  to_ms: number | null; // null: not seen to end
  kind: "client" | "queue" | "prepared" | "blocked" | "stale" | "fault";
  label: string;
}

export interface Transaction {
  id: string;
  why: string; // why it is shown
  outcome: string;
  spans: Span[];
}

/** What is drawn of a cell. `rep` is the repetition of everything that is of one only. */
export interface Series {
  cell: string;
  rep: number;
  measured_s: number;
  end_s: number;
  faults: Fault[];
  throughput: Line;
  in_doubt: Line;
  waiters: Line;
  lag_s: Record<string, Line>;
  response: Line; // [share that took longer, ms]
  service: Line;
  blocking: Survival | null;
  staleness: Record<string, Survival>;
  undisturbed: { p50_ms: number; p99_ms: number } | null;
  recovery: Stage[];
  transactions: Transaction[];
}

export interface Variation {
  key: string;
  unit: string;
}

export interface Run {
  schema: number;
  id: string;
  disturbed: boolean; // a fault was asked for
  cells: Cell[];
  series: Series[];
  variations: Variation[];
}

const unmeasured: Figure = { value: null, low: null, high: null, reps: [] };

export function figureOf(cell: Cell, name: string): Figure {
  return cell.figures[name] ?? unmeasured;
}

export function valueOf(cell: Cell, name: string): number | null {
  return figureOf(cell, name).value;
}

export function seriesOf(run: Run, cell: Cell): Series | undefined {
  return run.series.find((series) => series.cell === cell.name);
}

/** The runs embedded in this page, by the id of their article. */
export function readRuns(): Run[] {
  const runs: Run[] = [];
  for (const element of document.querySelectorAll("script.run-data")) {
    runs.push(JSON.parse(element.textContent ?? "") as Run);
  }
  return runs;
}

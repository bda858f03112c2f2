// What the live page knows: the samples of the last cells, and what happened. The server's
// words for it are in experiments/live/live_sample.h. Null: not known, or not there.

export interface Sample {
  seq: number;
  elapsed_s: number;
  cell: string;
  path: string;
  rep: number;
  reps: number;
  done: number;
  total: number;
  phase: string;
  since_s: number | null; // since the measured span began; below 0 in the warm-up
  left_s: number | null; // of the phase
  committed: number | null;
  committed_per_s: number | null;
  errors_per_s: number | null;
  in_flight: number | null;
  in_doubt: number | null;
  oldest_s: number | null;
  waiters: number | null;
  lag_s: Record<string, number>;
  lag_bytes: number | null;
  fault: string;
  process: { name: string | null; kill: string | null; restart: string | null } | null;
}

export interface RunInfo {
  scenario: string;
  question: string;
  processes: { name: string; path: string }[];
  folder: string;
}

export interface Happening {
  seq: number;
  elapsed_s: number;
  cell: string;
  rep: number;
  text: string;
}

export interface Ended {
  text: string;
  report: string | null;
}

/** One repetition of a cell, the last one seen of it. */
export interface Trace {
  cell: string;
  path: string;
  rep: number;
  samples: Sample[]; // with a time of their own
}

const mostTraces = 4;
const mostSamples = 3000;
const mostHappenings = 100;

/** The largest of a sample's stores; null where none was looked at. */
export function lagOf(sample: Sample): number | null {
  const all = Object.values(sample.lag_s);
  return all.length === 0 ? null : Math.max(...all);
}

export class LiveState {
  run: RunInfo | null = null;
  latest: Sample | null = null;
  traces: Trace[] = []; // the one under way is the last
  happenings: Happening[] = [];
  ended: Ended | null = null;
  leftOut = 0;
  heardAt = 0; // of performance.now()

  /** A new listener is told everything from the beginning. */
  begin(run: RunInfo): void {
    this.run = run;
    this.latest = null;
    this.traces = [];
    this.happenings = [];
  }

  addSample(sample: Sample): void {
    this.heardAt = performance.now();
    if (this.latest && sample.seq <= this.latest.seq) return;
    this.latest = sample;
    const trace = this.traceOf(sample);
    if (sample.since_s === null) return;
    trace.samples.push(sample);
    if (trace.samples.length >= mostSamples) {
      trace.samples = trace.samples.filter((_, i) => i % 2 === 0);
    }
  }

  /** Whether it is new. */
  addHappening(happening: Happening): boolean {
    const last = this.happenings[this.happenings.length - 1];
    if (last && happening.seq <= last.seq) return false;
    this.happenings.push(happening);
    if (this.happenings.length > mostHappenings) this.happenings.shift();
    return true;
  }

  private traceOf(sample: Sample): Trace {
    const last = this.traces[this.traces.length - 1];
    if (last && last.cell === sample.cell && last.rep === sample.rep) return last;
    const trace: Trace = { cell: sample.cell, path: sample.path, rep: sample.rep, samples: [] };
    this.traces = [...this.traces.filter(({ cell }) => cell !== sample.cell), trace].slice(-mostTraces);
    return trace;
  }
}

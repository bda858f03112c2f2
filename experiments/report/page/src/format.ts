// Numbers as a reader wants them: with their unit, three figures at most, a dash for null.

export const dash = "–";

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return dash;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  return `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`;
}

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return dash;
  const digits = Number.isInteger(value) ? 0 : 1;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function percent(share: number): string {
  const value = share * 100;
  if (value === 0 || value >= 1) return `${value.toFixed(value >= 10 || value === 0 ? 0 : 1)}%`;
  return `${Number(value.toPrecision(1))}%`;
}

/** A tick of a logarithmic axis of milliseconds. */
export function durationTick(ms: number): string {
  if (ms >= 1000) return `${ms / 1000} s`;
  return ms >= 1 ? `${ms} ms` : `${Number((ms * 1000).toPrecision(3))} µs`;
}

/** Powers of ten that cover [low, high]. */
export function decades(low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let e = Math.ceil(Math.log10(low) - 1e-9); e <= Math.log10(high) + 1e-9; ++e) {
    ticks.push(10 ** e);
  }
  return ticks;
}

export function interval(low: number | null, high: number | null,
                         text: (value: number) => string): string {
  return low === null || high === null ? "" : `${text(low)} to ${text(high)}`;
}

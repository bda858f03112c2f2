// Puts the charts of every run of the page where its article leaves room for them.
import { chartElement, type Chart } from "./chart";
import { crashPoints } from "./charts/crash_points";
import { divergence } from "./charts/divergence";
import { lanes } from "./charts/lanes";
import { latency } from "./charts/latency";
import { price } from "./charts/price";
import { recovery } from "./charts/recovery";
import { quiet, repeats } from "./charts/repeats";
import { blocking, staleness } from "./charts/survival";
import { timelines } from "./charts/timelines";
import { noVariation, variationCharts } from "./charts/variation";
import { readRuns, valueOf, type Cell, type Run } from "./data";
import { element } from "./dom";

// More lines than these in one picture cannot be told apart.
const mostAtOnce = 4;

/** By what a decider asks first. */
function chartsOf(run: Run): Chart[] {
  const varied = variationCharts(run);
  const byKeys = run.variations.some((variation) => variation.key === "workload.zipf");
  return [
    price, timelines, ...varied, ...(byKeys ? [] : [noVariation]), blocking, staleness, latency,
    crashPoints, divergence, recovery, quiet, repeats, lanes,
  ];
}

const weight = (cell: Cell) =>
  (valueOf(cell, "inconsistent.permanent") ?? 0) * 1e9 +
  Math.max(0, ...["blocked_ms.max", "in_doubt_ms.max", "lag_ms.max"].map((name) => valueOf(cell, name) ?? 0));

/** All, or of many the one of each path that paid most. */
function firstShown(run: Run): Cell[] {
  if (run.cells.length <= mostAtOnce) return run.cells;
  const paths = [...new Set(run.cells.map((cell) => cell.path))];
  return paths.map((path) =>
    run.cells.filter((cell) => cell.path === path).reduce((most, cell) => (weight(cell) > weight(most) ? cell : most)));
}

/** A box a cell; none where there is nothing to choose. */
function cellChooser(run: Run, shown: Set<string>, changed: () => void): HTMLElement | null {
  if (run.cells.length <= mostAtOnce) return null;
  const field = element("fieldset", { class: "cells" },
    element("legend", {}, "Paths in the charts of lines (of each the one that paid most, until you choose)"));
  for (const cell of run.cells) {
    const box = element("input", { type: "checkbox" });
    box.checked = shown.has(cell.name);
    box.addEventListener("change", () => {
      if (box.checked) shown.add(cell.name);
      else shown.delete(cell.name);
      changed();
    });
    field.append(element("label", {}, box, ` ${cell.name}`));
  }
  return field;
}

function absentList(reasons: [string, string][]): HTMLElement {
  const list = element("dl", { class: "absent" });
  for (const [title, reason] of reasons) {
    list.append(element("dt", {}, title), element("dd", {}, `${reason}.`));
  }
  return element("section", {}, element("h3", {}, "Not drawn, and why"), list);
}

function show(run: Run, target: HTMLElement, cells: Cell[]): void {
  const absent: [string, string][] = [];
  const mounts: (() => void)[] = [];
  const sections: HTMLElement[] = [];
  for (const chart of chartsOf(run)) {
    const made = chart.make(run, cells);
    if ("absent" in made) {
      absent.push([chart.title, made.absent]);
      continue;
    }
    const [section, mount] = chartElement(run, chart, made);
    sections.push(section);
    mounts.push(mount);
  }
  if (absent.length > 0) sections.push(absentList(absent));
  target.replaceChildren(...sections);
  mounts.forEach((mount) => mount());
}

function mountRun(run: Run): void {
  const place = document.querySelector<HTMLElement>(`[data-charts-of="${CSS.escape(run.id)}"]`);
  if (!place) return;
  const shown = new Set(firstShown(run).map((cell) => cell.name));
  const charts = element("div");
  const draw = () => show(run, charts, run.cells.filter((cell) => shown.has(cell.name)));
  const chooser = cellChooser(run, shown, draw);
  place.replaceChildren(...(chooser ? [chooser, charts] : [charts]));
  draw();
  window.addEventListener("hashchange", () => {
    if (window.location.hash.startsWith("#tx=")) draw();
  });
  if (window.location.hash.startsWith("#tx=")) {
    document.getElementById(`${run.id}-transaction`)?.scrollIntoView();
  }
}

readRuns().forEach(mountRun);
document.documentElement.dataset.charts = "ready";

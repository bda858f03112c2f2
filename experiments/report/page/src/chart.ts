// What a chart is, and how it is put on the page: title, finding, picture, how to read it,
// what would mislead, its data, a download.
import type { Cell, Run } from "./data";
import { element, tableElement, type Table } from "./dom";
import { saveSvg } from "./export";
import { colour, dashesOf } from "./theme";

export interface Drawn {
  finding: string;
  how: string;
  mislead: string;
  /** The pictures from top to bottom, for a width in pixels. */
  draw: (width: number) => (SVGSVGElement | HTMLElement)[];
  table: Table;
  /** Cells named by a legend; none where the picture names them itself. */
  legend?: Cell[];
  /** Whether the legend shows dashes. */
  dashed?: boolean;
  /** What stands between finding and picture, such as a choice. */
  controls?: HTMLElement;
}

/** Why there is nothing to draw. */
export interface Absent {
  absent: string;
}

export interface Chart {
  id: string;
  title: string;
  make: (run: Run, shown: Cell[]) => Drawn | Absent;
}

function swatch(cell: Cell, cells: Cell[], dashed: boolean): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("width", "26");
  svg.setAttribute("height", "10");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", "M1 5H25");
  line.setAttribute("stroke", colour(cell));
  line.setAttribute("stroke-width", "3");
  if (dashed) line.setAttribute("stroke-dasharray", dashesOf(cell, cells));
  svg.append(line);
  return svg;
}

function legendElement(drawn: Drawn): HTMLElement {
  const list = element("ul", { class: "legend", "aria-label": "Legend" });
  for (const cell of drawn.legend ?? []) {
    list.append(
      element("li", {}, swatch(cell, drawn.legend ?? [], drawn.dashed ?? false), cell.name),
    );
  }
  return list;
}

function notes(drawn: Drawn): HTMLElement {
  return element(
    "div",
    { class: "notes" },
    element("p", {}, element("strong", {}, "How to read it. "), drawn.how),
    element("p", {}, element("strong", {}, "What would mislead you. "), drawn.mislead),
  );
}

/** One image with one description: the library's words for its parts say nothing more. */
export function describe(picture: SVGSVGElement | HTMLElement, label: string): void {
  for (const part of picture.querySelectorAll("[aria-label], [aria-description]")) {
    part.setAttribute("data-mark", part.getAttribute("aria-label") ?? "");
    part.removeAttribute("aria-label");
    part.removeAttribute("aria-description");
  }
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
}

/** Draws for the width there is, and again when that changes. */
function drawInto(target: HTMLElement, drawn: Drawn, title: string): void {
  let width = 0;
  const draw = () => {
    const now = Math.max(280, Math.floor(target.clientWidth));
    if (now === width) return;
    width = now;
    const pictures = drawn.draw(width);
    pictures.forEach((picture) => describe(picture, `${title}. ${drawn.finding}`));
    target.replaceChildren(...pictures);
  };
  draw();
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(target);
}

/** The element of a chart; it is to be put on the page by `mount`. */
export function chartElement(run: Run, chart: Chart, drawn: Drawn): [HTMLElement, () => void] {
  const id = `${run.id}-${chart.id}`;
  const picture = element("div", { class: "picture" });
  const save = element("button", { type: "button" }, "Download SVG");
  save.setAttribute("aria-label", `Download SVG: ${chart.title}`);
  save.addEventListener("click", () => saveSvg(picture, id));
  const data = element(
    "details",
    {},
    element("summary", {}, "Data"),
    tableElement(drawn.table, `Data of ${chart.title}`),
  );
  const section = element(
    "section",
    { class: "chart", id, "aria-labelledby": `${id}-title`, "data-chart": chart.id },
    element("h3", { id: `${id}-title` }, chart.title),
    element("p", { class: "finding" }, drawn.finding),
  );
  if (drawn.controls) section.append(drawn.controls);
  if (drawn.legend) section.append(legendElement(drawn));
  section.append(picture, notes(drawn), element("div", { class: "tools" }, data, save));
  return [section, () => drawInto(picture, drawn, chart.title)];
}

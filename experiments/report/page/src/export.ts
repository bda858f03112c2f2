// A chart as an SVG file that looks the same without this page.
import { element } from "./dom";

const painted = ["fill", "stroke"] as const;

/** Colours that the page's style sheet gives, written out. */
function resolveColours(original: Element, copy: Element): void {
  const style = getComputedStyle(original);
  for (const name of painted) {
    const value = copy.getAttribute(name);
    if (value?.includes("var(")) copy.setAttribute(name, style.getPropertyValue(name));
  }
  [...original.children].forEach((child, i) => {
    const other = copy.children[i];
    if (other) resolveColours(child, other);
  });
}

/** One picture of all the pictures in `figure`, from top to bottom. */
function svgText(figure: HTMLElement): string {
  const space = "http://www.w3.org/2000/svg";
  const whole = document.createElementNS(space, "svg");
  const page = getComputedStyle(document.body);
  let height = 0;
  let width = 0;
  for (const svg of figure.querySelectorAll<SVGSVGElement>("svg")) {
    if (svg.parentElement?.closest("svg")) continue;
    const copy = svg.cloneNode(true) as SVGSVGElement;
    resolveColours(svg, copy);
    copy.setAttribute("y", String(height));
    copy.setAttribute("style", `font-size:12px;color:${page.color}`);
    whole.append(copy);
    height += Number(svg.getAttribute("height") ?? 0);
    width = Math.max(width, Number(svg.getAttribute("width") ?? 0));
  }
  whole.setAttribute("xmlns", space);
  whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
  whole.setAttribute("width", String(width));
  whole.setAttribute("height", String(height));
  whole.setAttribute("style", `background:${page.backgroundColor};font-family:sans-serif`);
  return new XMLSerializer().serializeToString(whole);
}

export function saveSvg(figure: HTMLElement, name: string): void {
  const url = URL.createObjectURL(new Blob([svgText(figure)], { type: "image/svg+xml" }));
  const link = element("a", { href: url, download: `${name}.svg` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);  // browsers fetch it some time later
}

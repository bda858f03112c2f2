// What several charts draw: names at the ends of lines, bands of faults, common options.
import * as Plot from "@observablehq/plot";
import type { Fault } from "./data";
import { fault, ink } from "./theme";

export const style = { background: "none", color: "var(--ink)", fontSize: "12px", overflow: "visible" };

/** Where the name of the horizontal axis stands, above the picture's lower edge. */
export const nameOffset = (marginBottom: number) => marginBottom - 7;

export interface Label {
  x: number;
  y: number;
  text: string;
  colour: string;
}

/** Names beside the ends of lines, pushed apart where they would cover each other. */
export function endLabels(labels: Label[], dx = 6): Plot.Markish {
  const gap = 14;
  return Plot.text(
    labels,
    Plot.initializer(
      { x: "x", y: "y", text: "text", fill: ink, textAnchor: "start", dx },
      (data, facets, channels, scales, dimensions) => {
        const values = (channels.y?.value ?? []) as number[];
        const toPixel = scales.y as unknown as (value: number) => number;
        const pixels = values.map((value) => toPixel(value));
        const order = pixels.map((_, i) => i).sort((a, b) => pixels[a]! - pixels[b]!);
        for (let i = 1; i < order.length; ++i) {
          const above = pixels[order[i - 1]!]!;
          pixels[order[i]!] = Math.max(pixels[order[i]!]!, above + gap);
        }
        // Nor below the frame: the lowest go up again, and push what is above them.
        let floor = dimensions.height - dimensions.marginBottom;
        for (const at of order.reverse()) {
          pixels[at] = Math.min(pixels[at]!, floor);
          floor = pixels[at]! - gap;
        }
        return { data, facets, channels: { y: { value: pixels } } };
      },
    ),
  );
}

export interface Band extends Fault {
  facet: string;
  until: number;
}

/** From when a fault was seen to act until it was healed. */
export function faultBands(bands: Band[]): Plot.Markish[] {
  return [
    Plot.rect(bands, { x1: "from_s", x2: "until", fx: "facet", fill: fault, insetTop: -4 }),
    Plot.ruleX(bands, { x: "from_s", fx: "facet", stroke: "var(--fault-edge)", strokeWidth: 1 }),
  ];
}

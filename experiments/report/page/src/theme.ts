// One colour, one symbol and one dash pattern a path, the same in every chart. The colours
// are in page.css, chosen to stay apart under protanopia, deuteranopia and tritanopia.
import type { Cell } from "./data";

const paths = ["2pc", "2pc-embedded", "cdc", "dual-write", "raw", "raw-grpc"];
const symbols = ["circle", "diamond", "square", "triangle", "times", "plus"] as const;
const dashes = ["", "6 3", "2 3", "9 3 2 3"];

type Named = Pick<Cell, "path">;

export function colour(cell: Named): string {
  return paths.includes(cell.path) ? `var(--path-${cell.path})` : "var(--ink)";
}

export function symbol(cell: Cell): (typeof symbols)[number] {
  return symbols[Math.max(0, paths.indexOf(cell.path))] ?? "circle";
}

/** Cells of one path differ by their dashes. */
export function dashesOf(cell: Named, cells: Named[]): string {
  const same = cells.filter((other) => other.path === cell.path);
  return dashes[same.indexOf(cell) % dashes.length] ?? "";
}

export const ink = "var(--ink)";
export const dim = "var(--dim)";
export const grid = "var(--grid)";
export const fault = "var(--fault)";

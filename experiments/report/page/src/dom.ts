// Elements without markup in strings: whatever a run is called, it is text.

type Child = Node | string;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export interface Table {
  header: string[];
  rows: string[][]; // the first column names the row
}

export function tableElement(table: Table, caption: string): HTMLElement {
  const head = element("tr", {});
  for (const name of table.header) head.append(element("th", { scope: "col" }, name));
  const body = element("tbody");
  for (const [name = "", ...values] of table.rows) {
    const row = element("tr", {}, element("th", { scope: "row" }, name));
    for (const value of values) row.append(element("td", {}, value));
    body.append(row);
  }
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element("table", { class: "text" }, element("thead", {}, head), body),
  );
}

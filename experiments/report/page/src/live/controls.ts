// The buttons that break something, and mend it: never away, as what is missing is a question
// too; what cannot be done says why.
import { element } from "../dom";
import type { LiveState } from "./state";

type Action = "kill" | "restart";

const words: Record<string, { title: string; name: string }> = {
  coordinator: { title: "Coordinator (2pc)", name: "coordinator" },
  "cdc-worker": { title: "CDC worker (cdc)", name: "CDC worker" },
  client: { title: "Client that writes twice (dual-write)", name: "client" },
};

/** Why it cannot be done now; null: it can. */
export function refusal(state: LiveState, connected: boolean, target: string, action: Action): string | null {
  if (state.ended) return "the run has ended";
  if (!connected || !state.run) return "the run cannot be reached";
  const name = words[target]?.name ?? target;
  if (!state.run.processes.some((process) => process.name === target)) return `no path of this run has a ${name}`;
  const now = state.latest;
  if (!now?.process) return "no path is under load at this moment";
  if (now.process.name !== target) return `${now.cell}, which is under way, has no ${name}`;
  return now.process[action];
}

class ActionButton {
  readonly root: HTMLElement;
  private readonly button: HTMLButtonElement;
  private readonly why: HTMLElement;
  private refused: string | null = "";

  constructor(private readonly target: string, readonly action: Action, ask: (target: string, action: Action) => void,
              say: (text: string) => void) {
    const name = words[target]?.name ?? target;
    const id = `why-${target}-${action}`;
    this.why = element("span", { class: "why", id });
    this.button = element("button", { type: "button", class: action, "aria-describedby": id, "data-act": `${action} ${target}` },
      action === "kill" ? `Pull the plug on the ${name}` : `Restart the ${name}`);
    this.button.addEventListener("click", () => {
      if (this.refused === null) ask(target, action);
      else say(`Not now: ${this.refused}.`);
    });
    this.root = element("div", { class: "action" }, this.button, this.why);
  }

  show(state: LiveState, connected: boolean): void {
    const refused = refusal(state, connected, this.target, this.action);
    if (refused === this.refused) return;
    this.refused = refused;
    // Not `disabled`: who goes by keyboard has to come by the reason.
    if (refused === null) this.button.removeAttribute("aria-disabled");
    else this.button.setAttribute("aria-disabled", "true");
    this.why.textContent = refused ?? (this.action === "kill" ? "kill -9, at once" : "starts it again, and it recovers");
  }
}

export class Controls {
  readonly root: HTMLElement;
  private readonly buttons = new Map<string, ActionButton[]>();
  private readonly rows: HTMLElement;

  /** `say` tells a person what came of it. */
  constructor(private readonly state: LiveState, private readonly say: (text: string) => void) {
    this.rows = element("div", { class: "processes" });
    this.root = element("section", { "aria-labelledby": "by-hand" },
      element("h2", { id: "by-hand" }, "Break it by hand"),
      element("p", { class: "note-p" },
        "What you do here is recorded as a fault. The repetition then counts in no median and no interval, and the " +
        "run is no evidence (exit 12): somebody chose the moment. What is still broken at the end is mended."),
      this.rows);
    this.addRow("coordinator");
    this.addRow("cdc-worker");
  }

  show(connected: boolean): void {
    if (this.state.run?.processes.some(({ name }) => name === "client")) this.addRow("client");
    for (const pair of this.buttons.values()) pair.forEach((button) => button.show(this.state, connected));
  }

  private addRow(target: string): void {
    if (this.buttons.has(target)) return;
    const ask = (which: string, action: Action) => void this.ask(which, action);
    const pair = (["kill", "restart"] as const).map((action) => new ActionButton(target, action, ask, this.say));
    this.buttons.set(target, pair);
    this.rows.append(element("fieldset", {}, element("legend", {}, words[target]?.title ?? target),
      ...pair.map(({ root }) => root)));
  }

  private async ask(target: string, action: Action): Promise<void> {
    const now = this.state.latest;
    if (!now) return;
    try {
      const answer = await fetch("act", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ action, target, cell: now.cell, rep: now.rep }),
      });
      const { error } = (await answer.json()) as { error: string | null };
      this.say(error ? `Refused: ${error}.` : `Asked for: ${action} ${target}.`);
    } catch {
      this.say("The run could not be reached.");
    }
  }
}

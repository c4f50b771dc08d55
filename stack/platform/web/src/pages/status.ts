/** What the platform says of itself, and a button to prove that its errors are seen. */
import * as Sentry from "@sentry/browser";
import { button, h, page, tell } from "../dom";
import type { Page } from "../main";
import { config } from "../session";

interface Health { status: string; version: string; services: Record<string, { ok: boolean; ms: number; core: boolean; error?: string }> }

/** Thrown on purpose; its original line is what Sentry must show. */
export function throwTestError(marker: string): never {
  throw new Error(`A test error from the status page: ${marker}`);
}

export default async function status(): Promise<Page> {
  const answer = await fetch("/api/health");
  const health = (await answer.json()) as Health;
  const rows = Object.entries(health.services).map(([name, s]) => h("tr", { "data-testid": `service-${name}`, "data-ok": String(s.ok) },
    h("th", { scope: "row" }, name), h("td", {}, h("span", { class: `dot ${s.ok ? "" : "offline"}` }), s.ok ? "ok" : s.error ?? "away"), h("td", {}, `${s.ms} ms`)));
  return page("status", "Status", h("section", { class: "card" },
    h("p", {}, "The platform is ", h("strong", { "data-testid": "overall" }, health.status), ", version ", h("code", { "data-testid": "version" }, config.version), "."),
    h("div", { class: "table" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Service"), h("th", { scope: "col" }, "State"), h("th", { scope: "col" }, "Answer"))), h("tbody", {}, rows)))),
    h("section", { class: "card" }, h("h2", {}, "Error tracking"), h("p", {}, "Throws an error in this page; it is reported to Sentry like any other."),
      button("Throw a test error", () => {
        const marker = new URLSearchParams(location.search).get("marker") ?? crypto.randomUUID();
        queueMicrotask(() => throwTestError(marker)); // uncaught, and before anything else: the page may be closed at once
        setTimeout(() => tell("notice", `Thrown; Sentry's last event is ${Sentry.lastEventId() ?? "none"}.`), 50);
      })));
}

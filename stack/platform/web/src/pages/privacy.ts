/** Consent, export and erasure (GDPR). */
import { field, form, h, page, tell, button } from "../dom";
import type { Page } from "../main";
import { api, currentSession } from "../session";
import { choose, consent } from "../telemetry";

export default function privacy(): Page {
  const box = h("input", { type: "checkbox", checked: consent() === "granted" });
  const state = h("p", { class: "meta", "data-testid": "consent-state" });
  const tellState = () => {
    box.checked = consent() === "granted";
    state.textContent = { granted: "Analytics are on.", declined: "Analytics are off.", unknown: "You have not chosen yet: analytics are off." }[consent()];
  };
  tellState();
  box.addEventListener("change", () => {
    choose(box.checked ? "granted" : "declined").then(tellState, (error: Error) => { tell("error", error.message); tellState(); });
  });
  window.addEventListener("consent", tellState);

  const mail = h("input", { type: "email", required: true, autocomplete: "off" });
  const it: Page = page("privacy", "Privacy",
    h("section", { class: "card" }, h("h2", {}, "Analytics"), h("label", { class: "inline" }, box, "Allow analytics"), state,
      h("p", { class: "hint" }, "With your consent we send visits and speed to Google Analytics, Mixpanel and DataDog, under an id and never with your name or address.")),
    h("section", { class: "card" }, h("h2", {}, "My data"), h("p", {}, "Everything the platform holds about you, in one file."), button("Export my data", download)),
    h("section", { class: "card" }, h("h2", {}, "Delete my account"),
      h("p", {}, "Your posts, files, messages and profile are deleted everywhere, at once and for good."),
      form([field("Confirm email", mail, `Type ${currentSession()?.user.email ?? "your address"}`)], "Delete my account", async () => {
        const { erased } = await api<{ erased: Record<string, string> }>("/api/privacy/erase", { method: "POST", json: { confirm: mail.value.trim() } });
        const left = Object.keys(erased).filter((part) => erased[part]!.startsWith("failed"));
        if (left.length) throw new Error(`Some parts could not be deleted yet, please try again: ${left.join(", ")}.`);
        localStorage.clear(); // the session with it: there is nobody left to log out
        sessionStorage.clear();
        sessionStorage.setItem("notice", "Your account is deleted.");
        document.cookie = "consent=; Path=/; Max-Age=0";
        location.assign("/");
      })));
  it.leave = () => window.removeEventListener("consent", tellState);
  return it;
}

async function download(): Promise<void> {
  const document = await api<object>("/api/privacy/export");
  const url = URL.createObjectURL(new Blob([JSON.stringify(document, null, 2)], { type: "application/json" }));
  h("a", { href: url, download: "my-data.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  tell("notice", "Your data was downloaded.");
}

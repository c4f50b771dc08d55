/**
 * Sentry always (without personal data); RUM, Mixpanel and GA4 only after consent. All go through the Worker's relays. The
 * choice is kept in the browser and, for a signed-in person, in `consents`; the later answer wins.
 */
import { datadogRum } from "@datadog/browser-rum";
import * as Sentry from "@sentry/browser";
import mixpanel from "mixpanel-browser/src/loaders/loader-module-core";
import { api, config, got, supabase, userId } from "./session";

export type Consent = "granted" | "declined" | "unknown";
const KEY = "consent";
let mixpanelRuns = false;

export const consent = (): Consent => (localStorage.getItem(KEY) as Consent | null) ?? "unknown";

const scrub = (text: string): string =>
  text.replace(/[\w.+-]+@[\w-]+\.[\w.-]+/g, "[email]").replace(/eyJ[\w-]+\.[\w-]+\.[\w-]*/g, "[token]").replace(/([?&#](?:token|sig|code|token_hash|access_token|refresh_token)=)[^&\s"]+/g, "$1[hidden]");

/** Every string of an event without e-mails, tokens and signatures. */
function scrubAll<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_, v: unknown) => (typeof v === "string" ? scrub(v) : v)) as T;
}

export function startTelemetry(): void {
  if (config.sentryDsn) {
    Sentry.init({
      dsn: config.sentryDsn, tunnel: "/api/telemetry/sentry", release: config.version, environment: config.sentryEnvironment, tracesSampleRate: 1,
      integrations: [Sentry.browserTracingIntegration()], beforeSend: (event) => scrubAll(event), beforeSendTransaction: (event) => scrubAll(event),
      beforeBreadcrumb: (crumb) => scrubAll({ ...crumb, data: crumb.data && { ...crumb.data, arguments: undefined } }),
    });
  }
  if (config.datadogClientToken && config.datadogApplicationId) {
    datadogRum.init({
      applicationId: config.datadogApplicationId, clientToken: config.datadogClientToken, site: "datadoghq.com", service: "platform", env: config.sentryEnvironment,
      version: config.version, proxy: `${location.origin}/api/telemetry/datadog`, trackingConsent: "not-granted", sessionSampleRate: 100, sessionReplaySampleRate: 0,
      telemetrySampleRate: 0, trackUserInteractions: true, trackResources: true, trackLongTasks: true, defaultPrivacyLevel: "mask", storeContextsAcrossPages: false,
      beforeSend: (event) => { event.view.url = scrub(event.view.url); schedulePush(); return true; },
    });
  }
  apply();
}

let pushing: number | undefined;
/** RUM keeps events for up to 30 s; "freeze" makes it send what it has, so that they arrive within the second. */
function schedulePush(): void {
  pushing ??= window.setTimeout(() => { pushing = undefined; window.dispatchEvent(new Event("freeze")); }, 400);
}

function apply(): void {
  const granted = consent() === "granted";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = granted ? `consent=granted; Path=/; Max-Age=31536000; SameSite=Lax${secure}` : `consent=; Path=/; Max-Age=0; SameSite=Lax${secure}`;
  datadogRum.setTrackingConsent(granted ? "granted" : "not-granted");
  if (granted && !mixpanelRuns && config.mixpanelToken) {
    mixpanel.init(config.mixpanelToken, { api_host: `${location.origin}/api/telemetry/mixpanel`, persistence: "localStorage", ip: false, autocapture: false,
      track_pageview: false, batch_flush_interval_ms: 400, property_blacklist: ["$current_url", "$initial_referrer", "$referrer"], record_sessions_percent: 0 });
    mixpanelRuns = true;
    mixpanel.opt_in_tracking({ track: () => undefined });
    if (userId()) mixpanel.identify(userId()!);
  } else if (mixpanelRuns) {
    if (granted) mixpanel.opt_in_tracking({ track: () => undefined });
    else mixpanel.opt_out_tracking({ delete_user: false });
  }
}

/** Keeps a choice, here and in the account. */
export async function choose(choice: "granted" | "declined"): Promise<void> {
  if (choice === "declined") { // nothing more leaves from this moment on
    localStorage.setItem(KEY, choice);
    apply();
  }
  if (userId()) got(await supabase.rpc("save_consent", { analytics: choice === "granted" }));
  localStorage.setItem(KEY, choice);
  apply();
  window.dispatchEvent(new Event("consent"));
}

/** Takes over the account's choice after signing in, or gives it the browser's. */
export async function adoptAccount(): Promise<void> {
  const id = userId();
  Sentry.setUser(id ? { id } : null);
  if (!id) {
    if (mixpanelRuns) mixpanel.reset();
    datadogRum.clearUser();
    return;
  }
  datadogRum.setUser({ id });
  const { data } = await supabase.from("consents").select("analytics").eq("user_id", id).maybeSingle();
  if (data) localStorage.setItem(KEY, data.analytics ? "granted" : "declined");
  else if (consent() !== "unknown") got(await supabase.rpc("save_consent", { analytics: consent() === "granted" }));
  apply();
  if (mixpanelRuns && consent() === "granted") mixpanel.identify(id);
  window.dispatchEvent(new Event("consent"));
}

function clientId(): string {
  let id = localStorage.getItem("client-id");
  if (!id) localStorage.setItem("client-id", (id = `${Math.floor(Math.random() * 2 ** 31)}.${Math.floor(Date.now() / 1000)}`));
  return id;
}

/** An analytics event, to Mixpanel and GA4; nothing without consent. Failures never disturb the page. */
export function track(name: string, params: Record<string, string | number | boolean> = {}): void {
  if (consent() !== "granted") return;
  const insert_id = crypto.randomUUID();
  if (mixpanelRuns) mixpanel.track(name, { ...params, $insert_id: insert_id });
  datadogRum.addAction(name, params);
  api("/api/track", { method: "POST", keepalive: true, json: { name, params, client_id: clientId(), consent: "granted", insert_id } }).catch(() => undefined);
}

/** A page was shown: its transaction, view and event. */
export function pageShown(route: string): void {
  track("page_view", { page_path: route });
}

/**
 * Sentry always (without personal data); RUM, Mixpanel and GA4 only after consent. All go through the Worker's relays. The
 * choice is kept in the browser and, for a signed-in person, in `consents`; the later answer wins.
 */
import * as Sentry from "@sentry/browser";
import type { RumEvent } from "@datadog/browser-rum";
import { scrub } from "../../shared/scrub";
import { api, config, got, supabase, userId } from "./session";

export type Consent = "granted" | "declined" | "unknown";
const KEY = "consent";

/** The analytics SDKs; they are not even loaded before consent. */
interface Tools { rum?: typeof import("@datadog/browser-rum").datadogRum; mixpanel?: import("mixpanel-browser").Mixpanel }
let loading: Promise<Tools> | undefined;
/** Settles when the account's choice is known, so that no event overtakes it. */
let adopted: Promise<void> = Promise.resolve();
let adoptedFor: string | undefined;
let known = false;

export const consent = (): Consent => (localStorage.getItem(KEY) as Consent | null) ?? "unknown";

/** Every string of an event without e-mails, tokens and signatures. */
function scrubAll<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_, v: unknown) => (typeof v === "string" ? scrub(v) : v)) as T;
}

/** What RUM lets be changed of an event, likewise: the page, too, is one of its resources, and its address may have carried a token. */
function scrubRum(event: RumEvent): void {
  const hide = <K extends string>(part: { [key in K]?: string } | undefined, ...keys: K[]) => { for (const key of keys) if (part?.[key]) part[key] = scrub(part[key]); };
  hide(event.view, "url", "referrer");
  if (event.type === "resource") hide(event.resource, "url");
  if (event.type !== "error") return;
  hide(event.error, "message", "stack");
  hide(event.error.resource, "url");
}

export function startTelemetry(): void {
  if (config.sentryDsn) {
    Sentry.init({
      dsn: config.sentryDsn, tunnel: "/api/telemetry/sentry", release: config.version, environment: config.sentryEnvironment, tracesSampleRate: 1, traceLifecycle: "static",
      integrations: [Sentry.browserTracingIntegration()], beforeSend: (event) => scrubAll(event), beforeSendTransaction: (event) => scrubAll(event),
      beforeBreadcrumb: (crumb) => scrubAll({ ...crumb, data: crumb.data && { ...crumb.data, arguments: undefined } }),
    });
  }
  apply();
}

async function load(): Promise<Tools> {
  const tools: Tools = {};
  if (config.datadogClientToken && config.datadogApplicationId) {
    const { datadogRum } = await import("@datadog/browser-rum");
    datadogRum.init({
      applicationId: config.datadogApplicationId, clientToken: config.datadogClientToken, site: "datadoghq.com", service: "platform", env: config.sentryEnvironment,
      version: config.version, proxy: `${location.origin}/api/telemetry/datadog`, trackingConsent: "granted", sessionSampleRate: 100, sessionReplaySampleRate: 0,
      allowUntrustedEvents: true, telemetrySampleRate: 0, trackUserInteractions: true, trackResources: true, trackLongTasks: true, defaultPrivacyLevel: "mask", storeContextsAcrossPages: false,
      beforeSend: (event) => { scrubRum(event); schedulePush(); return true; },
    });
    tools.rum = datadogRum;
  }
  if (config.mixpanelToken) {
    const { default: mixpanel } = await import("mixpanel-browser/src/loaders/loader-module-core");
    mixpanel.init(config.mixpanelToken, { api_host: `${location.origin}/api/telemetry/mixpanel`, persistence: "localStorage", ip: false, autocapture: false,
      track_pageview: false, batch_flush_interval_ms: 400, property_blacklist: ["$current_url", "$initial_referrer", "$referrer"], record_sessions_percent: 0 });
    tools.mixpanel = mixpanel as unknown as Tools["mixpanel"];
  }
  return tools;
}

let pushing: number | undefined;
/** RUM keeps events for up to 30 s; "freeze" (heeded by allowUntrustedEvents) makes it send them within the second. */
function schedulePush(): void {
  pushing ??= window.setTimeout(() => { pushing = undefined; window.dispatchEvent(new Event("freeze")); }, 400);
}

function apply(): void {
  const granted = consent() === "granted";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = granted ? `consent=granted; Path=/; Max-Age=31536000; SameSite=Lax${secure}` : `consent=; Path=/; Max-Age=0; SameSite=Lax${secure}`;
  if (!granted && !loading) return;
  loading ??= load();
  void loading.then(({ rum, mixpanel }) => {
    const still = consent() === "granted"; // it may have been withdrawn while the SDKs came
    rum?.setTrackingConsent(still ? "granted" : "not-granted");
    if (still) mixpanel?.opt_in_tracking({ track: () => undefined });
    else mixpanel?.opt_out_tracking({ delete_user: false });
    if (still && userId()) { rum?.setUser({ id: userId()! }); mixpanel?.identify(userId()!); }
  }).catch(() => { loading = undefined; }); // an SDK that could not be fetched is tried again at the next event
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
export function adoptAccount(): Promise<void> {
  if (adoptedFor === userId() && adoptedFor) return adopted;
  adoptedFor = userId();
  return (adopted = adopt().catch(() => undefined)); // a choice that cannot be read leaves the browser's in force
}

async function adopt(): Promise<void> {
  const id = userId();
  Sentry.setUser(id ? { id } : null);
  if (!id) {
    const tools = await loading;
    if (known) tools?.mixpanel?.reset();
    if (known) tools?.rum?.clearUser();
    known = false;
    return;
  }
  known = true;
  const { data } = await supabase.from("consents").select("analytics").eq("user_id", id).maybeSingle();
  if (data) localStorage.setItem(KEY, data.analytics ? "granted" : "declined");
  else if (consent() !== "unknown") got(await supabase.rpc("save_consent", { analytics: consent() === "granted" }));
  apply();
  window.dispatchEvent(new Event("consent"));
}

function clientId(): string {
  let id = localStorage.getItem("client-id");
  if (!id) localStorage.setItem("client-id", (id = `${Math.floor(Math.random() * 2 ** 31)}.${Math.floor(Date.now() / 1000)}`));
  return id;
}

/** An analytics event, to Mixpanel, GA4 and as an action to RUM; nothing without consent. Failures never disturb the page. */
export function track(name: string, params: Record<string, string | number | boolean> = {}): void {
  void send(name, params).catch(() => undefined);
}

async function send(name: string, params: Record<string, string | number | boolean>): Promise<void> {
  await adoptAccount();
  if (consent() !== "granted") return;
  const insert_id = crypto.randomUUID();
  const relayed = api("/api/track", { method: "POST", keepalive: true, json: { name, params, client_id: clientId(), consent: "granted", insert_id } });
  const tools = await loading;
  tools?.mixpanel?.track(name, { ...params, $insert_id: insert_id });
  tools?.rum?.addAction(name, params);
  await relayed;
}

/** A page was shown. `route` holds no ids. */
export function pageShown(route: string): void {
  track("page_view", { page_path: route });
}

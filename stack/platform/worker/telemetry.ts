/** Relays of the browser's telemetry (P4): first-party addresses, our own project only, analytics only after consent. */
import { scrub } from "../shared/scrub";
import { cut } from "../shared/text";
import { limit, optionalUser } from "./auth";
import { type Call, DEFAULTS } from "./env";
import { ApiError, isUuid, json, readJson, UpstreamError } from "./http";
import { parseDsn } from "./observe";
import { rows } from "./supabase";

const BODY_MAX = 1024 * 1024;
/** Letters of a parameter's value that GA4 keeps: 100, but for those of the page. */
const LONGER: Record<string, number> = { page_title: 300, page_referrer: 420, page_location: 1000 };

async function forward(service: string, url: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, { method: "POST", signal: AbortSignal.timeout(5000), ...init });
  } catch (error) {
    throw new UpstreamError(service, `${service} did not answer: ${(error as Error).message}`);
  }
  if (answer.status >= 500) throw new UpstreamError(service, `${service} answered ${answer.status}.`);
  const kept = ["content-type", "retry-after", "x-sentry-rate-limits", "x-sentry-error"].flatMap((n) => (answer.headers.has(n) ? [[n, answer.headers.get(n)!]] : []));
  return new Response(answer.status === 204 ? null : await answer.arrayBuffer(), { status: answer.status, headers: Object.fromEntries(kept) });
}

async function bodyOf(call: Call): Promise<ArrayBuffer> {
  await limit(call.env.LIMIT_TELEMETRY, call.address);
  if (Number(call.request.headers.get("content-length") ?? 0) > BODY_MAX) throw new ApiError("too_large", "Telemetry has at most 1 MiB.");
  const body = await call.request.arrayBuffer();
  if (body.byteLength > BODY_MAX) throw new ApiError("too_large", "Telemetry has at most 1 MiB.");
  return body;
}

/** POST /api/telemetry/sentry: the tunnel of @sentry/browser. */
export async function sentryTunnel(call: Call): Promise<Response> {
  const ours = parseDsn(call.env.SENTRY_DSN);
  if (!ours) throw new ApiError("unavailable", "SENTRY_DSN is not set.");
  const body = await bodyOf(call);
  const bytes = new Uint8Array(body);
  let told: { dsn?: string };
  try {
    const end = bytes.indexOf(10);
    told = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end))) as typeof told;
  } catch {
    throw new ApiError("bad_request", "This is not a Sentry envelope.");
  }
  const theirs = parseDsn(told.dsn);
  if (!theirs || theirs.origin !== ours.origin || theirs.project !== ours.project || theirs.key !== ours.key)
    throw new ApiError("forbidden", "Only this platform's own DSN is relayed.");
  return forward("sentry", `${ours.origin}/api/${ours.project}/envelope/`, {
    body, headers: { "content-type": "application/x-sentry-envelope", "x-sentry-auth": `Sentry sentry_version=7, sentry_client=assay-tunnel/1, sentry_key=${ours.key}` } });
}

/** POST /api/telemetry/datadog?ddforward=: the proxy of @datadog/browser-rum. */
export async function datadogProxy(call: Call): Promise<Response> {
  const path = call.url.searchParams.get("ddforward") ?? "";
  if (!/^\/api\/v2\/rum(\?|$)/.test(path)) throw new ApiError("forbidden", "Only RUM is relayed.");
  const headers: Record<string, string> = { "content-type": call.request.headers.get("content-type") ?? "text/plain" };
  const encoding = call.request.headers.get("content-encoding");
  if (encoding) headers["content-encoding"] = encoding;
  return forward("datadog", (call.env.DATADOG_INTAKE_URL ?? DEFAULTS.datadogIntake) + path, { body: await bodyOf(call), headers });
}

/** POST /api/telemetry/mixpanel/*: the api_host of mixpanel-browser. */
export async function mixpanelProxy(call: Call, path: string): Promise<Response> {
  if (!/(^|;\s*)consent=granted(;|$)/.test(call.request.headers.get("cookie") ?? "")) throw new ApiError("forbidden", "Analytics need consent.");
  const query = new URLSearchParams(call.url.searchParams);
  query.set("ip", "0"); // the relay's address says nothing about the visitor
  return forward("mixpanel", `${call.env.MIXPANEL_API_URL ?? DEFAULTS.mixpanelApi}/${path}?${query}`, {
    body: await bodyOf(call), headers: { "content-type": call.request.headers.get("content-type") ?? "application/x-www-form-urlencoded" } });
}

/** POST /api/track: one event to GA4 by its Measurement Protocol, only with consent. */
export async function track(call: Call): Promise<Response> {
  const { env } = call;
  await limit(env.LIMIT_TELEMETRY, call.address);
  const { name, params = {}, client_id, consent, insert_id } = await readJson(call);
  if (typeof name !== "string" || !/^[a-zA-Z]\w{0,39}$/.test(name)) throw new ApiError("bad_request", "name is a letter and up to 39 letters, digits or _.");
  if (typeof client_id !== "string" || client_id.length < 1 || client_id.length > 100) throw new ApiError("bad_request", "client_id is a text of 1 to 100 characters.");
  if (typeof params !== "object" || params === null || Array.isArray(params) || Object.keys(params).length > 25) throw new ApiError("bad_request", "params is an object of at most 25.");
  if (consent !== "granted") throw new ApiError("forbidden", "Analytics need consent.");
  const user = await optionalUser(call);
  if (user) {
    const found = await rows<{ analytics: boolean }>(env, `consents?select=analytics&user_id=eq.${user.id}`, user.token);
    if (!found.rows[0]?.analytics) throw new ApiError("forbidden", "This person has not consented to analytics.");
  }
  if (!env.GA4_MEASUREMENT_ID || !env.GA4_API_SECRET) throw new ApiError("unavailable", "GA4_MEASUREMENT_ID and GA4_API_SECRET are not set.");
  const clean = Object.fromEntries(Object.entries(params).filter(([, v]) => ["string", "number", "boolean"].includes(typeof v))
    .map(([k, v]) => [k, typeof v === "string" ? cut(scrub(v), LONGER[k] ?? 100) : v]));
  const debug = call.url.searchParams.get("debug") === "1";
  const url = new URL(`${env.GA4_COLLECT_URL ?? DEFAULTS.ga4Collect}${debug ? "/debug" : ""}/mp/collect`);
  url.searchParams.set("measurement_id", env.GA4_MEASUREMENT_ID);
  url.searchParams.set("api_secret", env.GA4_API_SECRET);
  const answer = await forward("ga4", url.href, { headers: { "content-type": "application/json" }, body: JSON.stringify({
    client_id, ...(user ? { user_id: user.id } : {}), timestamp_micros: Date.now() * 1000,
    consent: { ad_user_data: "DENIED", ad_personalization: "DENIED" },
    // Without these two GA4 shows an event in no realtime report; a visitor's session is here the half hour.
    events: [{ name, params: { session_id: String(Math.floor(Date.now() / 1_800_000)), engagement_time_msec: 1, ...clean, ...(typeof insert_id === "string" ? { insert_id: cut(insert_id, 100) } : {}) } }] }) });
  if (debug) return answer;
  if (!answer.ok) throw new UpstreamError("ga4", `GA4 answered ${answer.status}.`, { status: answer.status });
  return json({ accepted: true }, 202);
}

/** Asks Mixpanel to delete a person: the profile at once, the events by its deletion request. Throws UpstreamError. */
export async function eraseAtMixpanel({ env }: Call, id: string): Promise<string> {
  if (!env.MIXPANEL_TOKEN) return "not_configured";
  const ask = async (url: string, body: unknown, headers: Record<string, string> = {}) => {
    const answer = await forward("mixpanel", url, { headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
    if (!answer.ok || (await answer.text()).trim() === "0") throw new UpstreamError("mixpanel", `Mixpanel answered ${answer.status} to an erasure.`);
  };
  await ask(`${env.MIXPANEL_API_URL ?? DEFAULTS.mixpanelApi}/engage?verbose=0`, [{ $token: env.MIXPANEL_TOKEN, $distinct_id: id, $delete: "null", $ignore_alias: true }]);
  if (!env.MIXPANEL_GDPR_TOKEN) return "not_configured"; // the events stay: that is not done
  await ask(`${env.MIXPANEL_APP_URL ?? DEFAULTS.mixpanelApp}/api/app/data-deletions/v3.0/?token=${encodeURIComponent(env.MIXPANEL_TOKEN)}`,
    { distinct_ids: [id], compliance_type: "GDPR" }, { authorization: `Bearer ${env.MIXPANEL_GDPR_TOKEN}` });
  return "done";
}

/** Asks GA4's Admin API to delete a user's data. Throws UpstreamError. */
export async function eraseAtGa4(call: Call, id: string): Promise<string> {
  const { env } = call;
  if (!env.GA4_PROPERTY_ID || !env.GA4_ACCESS_TOKEN || !isUuid(id)) return "not_configured";
  const answer = await forward("ga4", `${env.GA4_ADMIN_URL ?? DEFAULTS.ga4Admin}/v1alpha/properties/${env.GA4_PROPERTY_ID}:submitUserDeletion`, {
    headers: { "content-type": "application/json", authorization: `Bearer ${env.GA4_ACCESS_TOKEN}` }, body: JSON.stringify({ userId: id }) });
  if (!answer.ok) throw new UpstreamError("ga4", `GA4 answered ${answer.status} to an erasure.`);
  return "done";
}

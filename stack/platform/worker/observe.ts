/** What the Worker tells Sentry and DataDog of itself: exceptions, transactions, custom metrics. Nothing here may fail a request. */
import { scrub } from "../shared/scrub";
import { type Call, DEFAULTS, type Env } from "./env";

export interface Dsn { origin: string; project: string; key: string }

export function parseDsn(text: string | undefined): Dsn | undefined {
  const match = /^(https?):\/\/([^@:/]+)(?::[^@]*)?@([^/]+)\/(?:(.*)\/)?(\d+)$/.exec(text ?? "");
  if (!match) return undefined;
  return { origin: `${match[1]}://${match[3]}${match[4] ? `/${match[4]}` : ""}`, project: match[5]!, key: match[2]! };
}

const newId = () => crypto.randomUUID().replaceAll("-", "");

async function sendEnvelope(env: Env, type: "event" | "transaction", event: Record<string, unknown>): Promise<void> {
  const dsn = parseDsn(env.SENTRY_DSN);
  if (!dsn) return;
  const payload = JSON.stringify({
    platform: "javascript", release: env.DEPLOY_VERSION, environment: env.SENTRY_ENVIRONMENT ?? "production", server_name: "worker",
    sdk: { name: "assay.platform.worker", version: "1" }, ...event });
  const envelope = `${JSON.stringify({ event_id: event.event_id, sent_at: new Date().toISOString() })}\n${JSON.stringify({ type })}\n${payload}\n`;
  const answer = await fetch(`${dsn.origin}/api/${dsn.project}/envelope/`, {
    method: "POST", body: envelope, signal: AbortSignal.timeout(5000),
    headers: { "content-type": "application/x-sentry-envelope", "x-sentry-auth": `Sentry sentry_version=7, sentry_client=assay-worker/1, sentry_key=${dsn.key}` } });
  await answer.body?.cancel();
  if (!answer.ok) console.error("Sentry refused an envelope:", answer.status);
}

/** sentry-cli left each file's debug id beside a stack of that file: so Sentry finds the source map. */
function debugImages(): object[] {
  const ids = (globalThis as { _sentryDebugIds?: Record<string, string> })._sentryDebugIds ?? {};
  return Object.entries(ids).flatMap(([stack, debug_id]) => {
    const file = /(?:\(|at )([^\s()]+):\d+:\d+\)?$/m.exec(stack)?.[1];
    return file ? [{ type: "sourcemap", code_file: file, debug_id }] : [];
  });
}

const quietly = (what: string, work: Promise<unknown>) => work.catch((error) => console.error(`${what} was not delivered:`, String(error)));

/** Reports an exception; the event's id is returned at once. */
export function captureError(call: Pick<Call, "env" | "ctx" | "trace"> & { request?: Request }, error: unknown): string {
  const it = error instanceof Error ? error : new Error(String(error));
  const frames = [...(it.stack ?? "").matchAll(/^\s+at (?:(.*?) \()?(.*?):(\d+):(\d+)\)?$/gm)].map((m) => ({
    function: m[1] ?? "?", filename: m[2], abs_path: m[2], lineno: Number(m[3]), colno: Number(m[4]), in_app: true })).reverse();
  const event_id = newId();
  const url = call.request && new URL(call.request.url);
  call.ctx.waitUntil(quietly("An exception", sendEnvelope(call.env, "event", {
    event_id, timestamp: Date.now() / 1000, level: "error", tags: { runtime: "worker" },
    contexts: { trace: { trace_id: call.trace, span_id: call.trace.slice(16) } },
    debug_meta: { images: debugImages() }, request: url && { method: call.request!.method, url: scrub(url.origin + url.pathname) },
    exception: { values: [{ type: it.name, value: scrub(it.message), stacktrace: { frames }, mechanism: { type: "generic", handled: false } }] } })));
  return event_id;
}

/** Reports a finished piece of work. `started` is in ms since the epoch. */
export function transaction(call: Call, name: string, op: string, started: number, status: string, tags: Record<string, string> = {}): void {
  call.ctx.waitUntil(quietly("A transaction", sendEnvelope(call.env, "transaction", {
    type: "transaction", event_id: newId(), transaction: name, start_timestamp: started / 1000, timestamp: Date.now() / 1000, tags, spans: [],
    contexts: { trace: { trace_id: call.trace, span_id: newId().slice(16), op, status } } })));
}

interface Point { metric: string; value: number; tags: string[]; at: number }
let points: Point[] = [];
let flushingSince = 0;

/** Notes a value for DataDog; values are sent together a third of a second later. */
export function metric(call: Pick<Call, "env" | "ctx">, name: string, value: number, tags: string[] = []): void {
  const { env, ctx } = call;
  if (!env.DATADOG_API_KEY) return;
  points.push({ metric: name, value, at: Math.floor(Date.now() / 1000), tags: [`env:${env.SENTRY_ENVIRONMENT ?? "production"}`, `version:${env.DEPLOY_VERSION}`, ...tags] });
  // Another request sends them; if that one came to grief, the next begins again.
  if (Date.now() - flushingSince < 3000) return;
  flushingSince = Date.now();
  ctx.waitUntil(quietly("Metrics", scheduler.wait(300).then(() => flush(env))));
}

async function flush(env: Env): Promise<void> {
  const batch = points;
  points = [];
  flushingSince = 0;
  const series = batch.map((p) => ({ metric: p.metric, type: 3, points: [{ timestamp: p.at, value: p.value }], tags: p.tags, resources: [{ name: "platform", type: "host" }] }));
  const answer = await fetch(`${env.DATADOG_API_URL ?? DEFAULTS.datadogApi}/api/v2/series`, {
    method: "POST", body: JSON.stringify({ series }), signal: AbortSignal.timeout(5000),
    headers: { "content-type": "application/json", "dd-api-key": env.DATADOG_API_KEY! } });
  await answer.body?.cancel();
  if (!answer.ok) console.error("DataDog refused metrics:", answer.status);
}

/** Builder.io pages (P3.2): cached in KV, kept for when Builder.io is away, refreshed by its webhook (P3.1). */
import { limit } from "./auth";
import { type Content, renderBlocks } from "../shared/render";
import { type Call, DEFAULTS, type Env } from "./env";
import { ApiError, hex, hmac, json, sameSecret, sha256, UpstreamError } from "./http";
import { janitor } from "./janitor";
import { metric, transaction } from "./observe";

interface Kept { content: Content; fetched_at: number }
interface Attributes { locale: string; device: string; audience: string }

const MODEL = "page";
const KEPT_SECONDS = 7 * 24 * 3600;
const BUILDER_DEADLINE_MS = 1500;
const WEBHOOK_WINDOW_S = 300;

const prefix = (path: string) => `content:${MODEL}:${path}|`;
const changedKey = (path: string) => `changed:${MODEL}:${path}`;
const cacheKey = (path: string, a: Attributes) => `${prefix(path)}${a.locale}|${a.device}|${a.audience}`;

/** The page Builder.io has published for a path, undefined if none. Throws UpstreamError when it is away or answers nonsense. */
async function fetchContent(env: Env, path: string, attributes: Attributes, fresh = false): Promise<Content | undefined> {
  const url = new URL(`${env.BUILDER_API_URL ?? DEFAULTS.builder}/api/v3/content/${MODEL}`);
  const targeting = Object.fromEntries(Object.entries({ urlPath: path, ...attributes }).filter(([, v]) => v));
  url.search = new URLSearchParams({ apiKey: env.BUILDER_PUBLIC_KEY ?? "", limit: "1", userAttributes: JSON.stringify(targeting), ...(fresh ? { cachebust: "true" } : {}) }).toString();
  let answer: Response;
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(BUILDER_DEADLINE_MS) });
  } catch (error) {
    throw new UpstreamError("builder", `Builder.io did not answer: ${(error as Error).message}`);
  }
  const body = (await answer.json().catch(() => undefined)) as { results?: Content[] } | undefined;
  if (!answer.ok || !Array.isArray(body?.results)) throw new UpstreamError("builder", `Builder.io answered ${answer.status}.`, { status: answer.status });
  return body.results[0];
}

const keep = (env: Env, key: string, content: Content): Promise<void> =>
  env.KV.put(key, JSON.stringify({ content, fetched_at: Date.now() } satisfies Kept), { expirationTtl: KEPT_SECONDS });

export function contentPath(value: string | null): string {
  const path = (value ?? "/").replace(/(.)\/+$/, "$1");
  if (!/^\/[\w\-./~%]{0,300}$/.test(path) || path.includes("..")) throw new ApiError("bad_request", "path is the page's path, such as /welcome.");
  return path;
}

/** GET /api/content?path= */
export async function getContent(call: Call): Promise<Response> {
  const { env, url, ctx } = call;
  const started = Date.now();
  const path = contentPath(url.searchParams.get("path"));
  // Only forms that pages are made for: each other value would cost a place in the cache.
  const attribute = (name: string, form: RegExp) => form.exec(url.searchParams.get(name) ?? "")?.[0] ?? "";
  const attributes = { locale: attribute("locale", /^[a-z]{2}(-[A-Za-z]{2,4})?$/), device: attribute("device", /^(desktop|mobile|tablet)$/), audience: attribute("audience", /^[\w-]{1,32}$/) };
  const key = cacheKey(path, attributes);
  const kept = await env.KV.get<Kept>(key, "json").catch(() => null); // without KV every page is asked for
  const done = async (cache: "hit" | "miss" | "stale", it: Kept, builderMs?: number) => {
    metric(call, "platform.content.duration", Date.now() - started, [`cache:${cache}`]);
    if (cache !== "hit") transaction(call, "GET /api/content", "http.server", started, "ok", { cache });
    return page(call, path, it, cache, builderMs);
  };
  if (kept && Date.now() - kept.fetched_at < Number(env.CONTENT_TTL_SECONDS ?? 300) * 1000) return done("hit", kept);
  const asked = Date.now();
  try {
    // Just after a change Builder.io's own cache may still answer with the old page, which we would keep.
    const changed = (await env.KV.get(changedKey(path)).catch(() => "unknown")) !== null;
    const content = await fetchContent(env, path, attributes, changed);
    if (!content) {
      if (kept) ctx.waitUntil(env.KV.delete(key).catch(() => undefined));
      throw new ApiError("content_not_found", `Nothing is published at ${path}.`, { path }, { "x-cache": "miss" });
    }
    ctx.waitUntil(keep(env, key, content).catch(() => undefined));
    return done("miss", { content, fetched_at: Date.now() }, Date.now() - asked);
  } catch (error) {
    if (!(error instanceof UpstreamError) || !kept) throw error;
    return done("stale", kept, Date.now() - asked);
  }
}

async function page(call: Call, path: string, it: Kept, cache: string, builderMs?: number): Promise<Response> {
  const { content, fetched_at } = it;
  const body = JSON.stringify({
    path, model: MODEL, id: content.id, name: content.name, title: content.data?.title ?? content.name ?? "", html: renderBlocks(content.data?.blocks),
    data: content.data ?? {}, lastUpdated: content.lastUpdated, fetched_at });
  const headers: Record<string, string> = {
    "content-type": "application/json; charset=utf-8", "x-cache": cache, age: String(Math.floor((Date.now() - fetched_at) / 1000)),
    etag: `"${(await sha256(`${content.id}:${content.lastUpdated}:${body.length}:${fetched_at}`)).slice(0, 32)}"`, "cache-control": "public, max-age=0, must-revalidate" };
  if (builderMs !== undefined) headers["server-timing"] = `builder;dur=${builderMs}`;
  if (call.request.headers.get("if-none-match") === headers.etag) return new Response(null, { status: 304, headers });
  return new Response(body, { headers });
}

interface Hook { operation?: string; modelName?: string; newValue?: HookValue | null; previousValue?: HookValue | null }
interface HookValue { id?: string; lastUpdated?: number; query?: { property?: string; operator?: string; value?: unknown }[]; data?: { url?: unknown } }

const OPERATIONS = ["publish", "archive", "delete", "unpublish", "scheduledStart", "scheduledEnd"];

/** The webhook, once it is proved to be Builder.io's, fresh and new; `key` remembers it. Throws bad_signature | stale (401), replayed. */
async function trusted(call: Call): Promise<{ hook: Hook; key: string }> {
  const { request, env } = call;
  const secret = env.BUILDER_WEBHOOK_SECRET;
  if (!secret) throw new ApiError("unavailable", "BUILDER_WEBHOOK_SECRET is not set.");
  const bad = () => new ApiError("bad_signature", "The webhook's signature is missing or wrong.", {}, {}, 401);
  const raw = await request.text();
  const signature = request.headers.get("x-builder-signature");
  let at: number, once: string;
  if (signature !== null) {
    const match = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(signature);
    if (!match || !(await sameSecret(match[2]!, hex(await hmac(secret, `${match[1]}.${raw}`))))) throw bad();
    at = Number(match[1]);
    once = match[2]!;
  } else {
    if (!(await sameSecret(request.headers.get("x-builder-webhook-secret") ?? "", secret))) throw bad();
    const hook = parse(raw);
    at = Number(hook.newValue?.lastUpdated ?? hook.previousValue?.lastUpdated ?? 0) / 1000;
    once = await sha256(raw);
  }
  if (Math.abs(Date.now() / 1000 - at) > WEBHOOK_WINDOW_S) throw new ApiError("stale", "The webhook is older than five minutes.", { window: WEBHOOK_WINDOW_S });
  const hook = parse(raw);
  const key = `webhook:${once}`;
  if (!(await janitor(env).once(key, 2 * WEBHOOK_WINDOW_S))) throw new ApiError("replayed", "This webhook was already taken.");
  return { hook, key };
}

function parse(raw: string): Hook {
  let hook: Hook;
  try {
    hook = JSON.parse(raw) as Hook;
  } catch {
    throw new ApiError("bad_request", "The body is not JSON.");
  }
  if (!OPERATIONS.includes(hook?.operation ?? "")) throw new ApiError("bad_request", `operation is one of ${OPERATIONS.join(", ")}.`);
  return hook;
}

/** POST /api/content/webhook */
export async function contentWebhook(call: Call): Promise<Response> {
  await limit(call.env.LIMIT_WEBHOOK, call.address);
  const { hook, key } = await trusted(call);
  try {
    return json(await refresh(call, hook));
  } catch (error) {
    await janitor(call.env).again(key); // its sender will try again, and must not be told that it was a replay
    throw error;
  }
}

async function refresh(call: Call, hook: Hook): Promise<{ refreshed: string[]; purged: number }> {
  if (hook.modelName !== MODEL) return { refreshed: [], purged: 0 };
  const paths = new Set<string>();
  for (const value of [hook.newValue, hook.previousValue]) {
    const told = [...(value?.query ?? []).filter((q) => q.property === "urlPath").flatMap((q) => q.value), value?.data?.url];
    for (const one of told) if (typeof one === "string" && one.startsWith("/")) paths.add(contentPath(one));
  }
  let purged = 0;
  for (const path of paths) {
    await call.env.KV.put(changedKey(path), "1", { expirationTtl: 300 });
    for (let cursor: string | undefined, done = false; !done; ) {
      const found: KVNamespaceListResult<unknown> = await call.env.KV.list({ prefix: prefix(path), cursor });
      await Promise.all(found.keys.map((k) => call.env.KV.delete(k.name)));
      purged += found.keys.length;
      done = found.list_complete;
      cursor = found.list_complete ? undefined : found.cursor;
    }
    const plain = { locale: "", device: "", audience: "" };
    const content = await fetchContent(call.env, path, plain, true).catch(() => undefined);
    // What is older than the webhook's own value is a cache's echo: the next visitor asks again.
    if (content && (content.lastUpdated ?? 0) >= (hook.newValue?.lastUpdated ?? 0)) await keep(call.env, cacheKey(path, plain), content);
  }
  return { refreshed: [...paths], purged };
}

/** Calls to Supabase: REST and RPC, Storage, Auth's admin API. All are real requests to VITE_SUPABASE_URL. */
import { cut } from "../shared/text";
import { BUCKET, type Env } from "./env";
import { ApiError, from, UpstreamError } from "./http";

export const DEADLINE_MS = 10_000;

/** A request to Supabase with the service key, or as the user whose token is given. Throws UpstreamError when it is away. */
export async function supabase(env: Env, path: string, init: RequestInit & { token?: string; service: string }): Promise<Response> {
  const { token, service, ...rest } = init;
  const headers = new Headers(rest.headers);
  headers.set("apikey", token ? env.VITE_SUPABASE_ANON_KEY : env.SUPABASE_SERVICE_KEY);
  // A secret key of the new kind is no JWT and stands in apikey alone; a legacy one is sent as both.
  if (token) headers.set("authorization", `Bearer ${token}`);
  else if (!env.SUPABASE_SERVICE_KEY.startsWith("sb_")) headers.set("authorization", `Bearer ${env.SUPABASE_SERVICE_KEY}`);
  headers.set("user-agent", "assay-platform-worker");
  try {
    const answer = await fetch(env.VITE_SUPABASE_URL + path, { signal: AbortSignal.timeout(DEADLINE_MS), ...rest, headers });
    if (answer.status >= 502) {
      await answer.body?.cancel();
      throw new UpstreamError(service, `Supabase (${service}) answered ${answer.status}.`);
    }
    return answer;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new UpstreamError(service, `Supabase (${service}) did not answer: ${(error as Error).message}`);
  }
}

const jsonHeaders = { "content-type": "application/json" };

async function restResult<T>(answer: Response): Promise<T> {
  if (answer.ok) return from("database", answer.json<T>()); // a body may be cut after its headers
  const told = (await answer.json().catch(() => ({}))) as { code?: string; message?: string; details?: unknown };
  if (told.code === "P0001" && told.message) {
    let details: Record<string, unknown> = {};
    try { details = JSON.parse(String(told.details ?? "{}")); } catch { /* detail is optional */ }
    throw new ApiError(told.message, `The database refused: ${told.message.replaceAll("_", " ")}.`, details);
  }
  if (told.code === "23503") throw new ApiError("unauthenticated", "This account no longer exists.");
  if (told.code === "23514" || told.code === "22P02") throw new ApiError("bad_request", "A value is not acceptable.", { reason: told.message });
  if (answer.status === 401) throw new ApiError("unauthenticated", "The access token was refused.");
  throw new UpstreamError("database", `The database answered ${answer.status}.`, { status: answer.status, code: told.code, reason: told.message });
}

/** Runs a function of the Data API with the service key. */
export async function rpc<T>(env: Env, name: string, args: Record<string, unknown>): Promise<T> {
  const answer = await supabase(env, `/rest/v1/rpc/${name}`, { method: "POST", headers: jsonHeaders, body: JSON.stringify(args), service: "database" });
  return restResult<T>(answer);
}

/** Rows of a table as the user sees them, by row-level security; `total` counts all that match, when asked for. */
export async function rows<T>(env: Env, query: string, token?: string, count = false): Promise<{ rows: T[]; total: number }> {
  const answer = await supabase(env, `/rest/v1/${query}`, { token, service: "database", headers: count ? { prefer: "count=exact" } : {} });
  if (answer.status === 416) return { rows: [], total: Number(answer.headers.get("content-range")?.split("/")[1] ?? 0) };
  const found = await restResult<T[]>(answer);
  return { rows: found, total: Number(answer.headers.get("content-range")?.split("/")[1] ?? found.length) };
}

/** All rows of an ordered query, page by page: the Data API gives at most `max_rows` of them at once (1,000 by default). */
export async function everyRow<T>(env: Env, query: string, token: string): Promise<T[]> {
  const all: T[] = [];
  for (let total = Infinity; all.length < total; ) {
    const page = await rows<T>(env, `${query}&offset=${all.length}`, token, true);
    if (!page.rows.length) break;
    all.push(...page.rows);
    total = page.total;
  }
  return all;
}

/** A request to Supabase that must succeed. Throws UpstreamError with what the service said. */
export async function demand(env: Env, path: string, init: RequestInit & { service: string; json?: unknown }): Promise<Response> {
  const { json, ...rest } = init;
  const answer = await supabase(env, path, json === undefined ? rest : { ...rest, headers: jsonHeaders, body: JSON.stringify(json) });
  if (!answer.ok) throw new UpstreamError(init.service, `Supabase (${init.service}) answered ${answer.status}: ${cut(await answer.text(), 500)}`, { status: answer.status });
  return answer;
}

/** Objects of Supabase Storage. Removing what is not there is no error. */
export const storage = {
  put: (env: Env, key: string, body: Uint8Array, mime: string): Promise<Response> =>
    demand(env, `/storage/v1/object/${BUCKET}/${key}`, {
      method: "POST", body, headers: { "content-type": mime, "x-upsert": "false", "cache-control": "max-age=3600" }, service: "storage" }),
  get: (env: Env, key: string, headers: Record<string, string>): Promise<Response> =>
    supabase(env, `/storage/v1/object/authenticated/${BUCKET}/${key}`, { headers, service: "storage", signal: AbortSignal.timeout(60_000) }),
  remove: (env: Env, keys: string[], bucket = BUCKET): Promise<Response> =>
    demand(env, `/storage/v1/object/${bucket}`, { method: "DELETE", json: { prefixes: keys }, service: "storage" }),
};

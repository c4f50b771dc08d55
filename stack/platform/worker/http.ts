/** Answers and errors of the API, in one shape. */
import type { Call } from "./env";

const STATUS: Record<string, number> = {
  bad_request: 400, unauthenticated: 401, token_expired: 401, stale: 401, bad_signature: 403, forbidden: 403, link_expired: 403,
  not_found: 404, file_not_found: 404, content_not_found: 404, upload_not_found: 404, method_not_allowed: 405, conflict: 409,
  replayed: 409, length_required: 411, too_large: 413, quota_exceeded: 413, type_refused: 415, bad_range: 416,
  content_mismatch: 422, checksum_mismatch: 422, part_mismatch: 422, upgrade_required: 426, rate_limited: 429, internal: 500,
  upstream_failed: 502, unavailable: 503,
};

/** An error that the caller is told about; anything else thrown is `internal` and goes to Sentry. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown> = {},
    readonly headers: Record<string, string> = {},
    readonly status: number = STATUS[code] ?? 500,
  ) {
    super(message);
  }
}

/** A service we called failed; `service` is the name used in /api/health. */
export class UpstreamError extends ApiError {
  constructor(readonly service: string, message: string, details: Record<string, unknown> = {}) {
    super("upstream_failed", message, { service, ...details });
  }
}

/** What a service answers; whatever else it throws becomes UpstreamError with its name. */
export const from = <T>(service: string, answer: Promise<T>): Promise<T> =>
  answer.catch((error: unknown) => { throw error instanceof ApiError ? error : new UpstreamError(service, `It did not answer: ${String(error)}`); });

export const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json; charset=utf-8", ...headers } });

export function errorResponse(error: ApiError, trace: string): Response {
  const body = { error: { code: error.code, message: error.message, trace, details: error.details } };
  return json(body, error.status, error.headers);
}

/** The request's JSON body, an object of at most 256 KiB. Throws ApiError bad_request | too_large. */
export async function readJson(call: Call): Promise<Record<string, unknown>> {
  if (Number(call.request.headers.get("content-length") ?? 0) > 256 * 1024) throw new ApiError("too_large", "The body is over 256 KiB.");
  const text = await call.request.text();
  if (text.length > 256 * 1024) throw new ApiError("too_large", "The body is over 256 KiB.");
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // told below
  }
  throw new ApiError("bad_request", "The body must be a JSON object.");
}

export const hex = (bytes: ArrayBuffer | Uint8Array): string =>
  [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");

export async function hmac(secret: string | ArrayBuffer, text: string): Promise<ArrayBuffer> {
  const raw = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
}

export const sha256 = async (text: string): Promise<string> =>
  hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));

/** Equal without telling where they differ. */
export async function sameSecret(a: string, b: string): Promise<boolean> {
  const [x, y] = await Promise.all([a, b].map((s) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(s))));
  return crypto.subtle.timingSafeEqual(x!, y!);
}

export const isUuid = (text: unknown): text is string =>
  typeof text === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

/** The Worker's door: routes, errors, limits by address, security headers, the web app's assets. API.md is its contract. */
import { cut } from "../shared/text";
import { limit, requireUser } from "./auth";
import { contentWebhook, getContent } from "./content";
import { type Call, DEFAULTS, type Env, FILE_MAX, ONE_REQUEST_MAX, PART_SIZE, R2_ABOVE } from "./env";
import { batchFiles, deleteFile, directFile, fileContent, getFile, linkFile, listFiles, patchFile, restoreFile } from "./files";
import { health } from "./health";
import { ApiError, errorResponse, json } from "./http";
import { armJanitor, Janitor } from "./janitor";
import { captureError } from "./observe";
import { People } from "./people";
import { eraseMine, exportMine } from "./privacy";
import { Room } from "./room";
import { joinRoom, roomHistory, roomPresence } from "./rooms";
import { datadogProxy, mixpanelProxy, sentryTunnel, track } from "./telemetry";
import { ACCEPTED_TYPES } from "./types";
import { uploadAbort, uploadComplete, uploadPart, uploadStart, uploadStatus, uploadWhole } from "./uploads";

export { Janitor, People, Room };

type Handler = (call: Call, ...parts: string[]) => Promise<Response> | Response;
const ID = "([^/]+)";

const ROUTES: [method: string, path: RegExp, handler: Handler][] = (
  [
    ["GET", "/config.json", config],
    ["GET", "/api/version", ({ env }) => json({ version: env.DEPLOY_VERSION, environment: env.SENTRY_ENVIRONMENT ?? "production" })],
    ["GET", "/api/health", health],
    ["GET", "/api/me", me],
    ["POST", "/api/upload", uploadWhole],
    ["POST", "/api/upload/start", uploadStart],
    ["GET", `/api/upload/${ID}`, uploadStatus],
    ["DELETE", `/api/upload/${ID}`, uploadAbort],
    ["PUT", `/api/upload/${ID}/parts/${ID}`, uploadPart],
    ["POST", `/api/upload/${ID}/complete`, uploadComplete],
    ["GET", "/api/files", listFiles],
    ["POST", "/api/files/batch", batchFiles],
    ["GET", `/api/files/${ID}`, getFile],
    ["PATCH", `/api/files/${ID}`, patchFile],
    ["DELETE", `/api/files/${ID}`, deleteFile],
    ["POST", `/api/files/${ID}/restore`, restoreFile],
    ["POST", `/api/files/${ID}/link`, linkFile],
    ["POST", `/api/files/${ID}/direct`, directFile],
    ["GET", `/api/files/${ID}/content`, fileContent],
    ["HEAD", `/api/files/${ID}/content`, fileContent],
    ["GET", "/api/content", getContent],
    ["POST", "/api/content/webhook", contentWebhook],
    ["GET", `/api/rooms/${ID}`, joinRoom],
    ["GET", `/api/rooms/${ID}/history`, roomHistory],
    ["GET", `/api/rooms/${ID}/presence`, roomPresence],
    ["POST", "/api/track", track],
    ["POST", "/api/telemetry/sentry", sentryTunnel],
    ["POST", "/api/telemetry/datadog", datadogProxy],
    ["POST", "/api/telemetry/mixpanel/(track|engage|groups)/?", mixpanelProxy],
    ["POST", "/api/errors/test", testError],
    ["GET", "/api/privacy/export", exportMine],
    ["POST", "/api/privacy/erase", eraseMine],
  ] as [string, string, Handler][]
).map(([method, path, handler]) => [method, new RegExp(`^${path}$`), handler]);

/** What a browser may know: nothing here is a secret. */
function config({ env }: Call): Response {
  return json({
    supabaseUrl: env.VITE_SUPABASE_URL, supabaseKey: env.VITE_SUPABASE_ANON_KEY, builderKey: env.BUILDER_PUBLIC_KEY, builderApiUrl: env.BUILDER_API_URL ?? DEFAULTS.builder,
    builderEditorUrl: env.BUILDER_WRITE_URL ?? DEFAULTS.builderWrite, sentryDsn: env.SENTRY_DSN, sentryEnvironment: env.SENTRY_ENVIRONMENT ?? "production",
    datadogClientToken: env.DATADOG_CLIENT_TOKEN, datadogApplicationId: env.DATADOG_APPLICATION_ID, mixpanelToken: env.MIXPANEL_TOKEN,
    ga4MeasurementId: env.GA4_MEASUREMENT_ID, oauthProviders: (env.OAUTH_PROVIDERS ?? "").split(",").filter(Boolean), version: env.DEPLOY_VERSION,
    limits: { r2Above: R2_ABOVE, oneRequest: ONE_REQUEST_MAX, file: FILE_MAX, part: PART_SIZE, types: ACCEPTED_TYPES },
  });
}

async function me(call: Call): Promise<Response> {
  const { id, email, role, expiresAt } = await requireUser(call);
  return json({ id, email, role, expires_at: expiresAt, address: call.address });
}

async function testError(call: Call): Promise<Response> {
  const user = await requireUser(call);
  throw new Error(`A test error, asked for by ${user.id.slice(0, 8)}: ${cut(call.url.searchParams.get("marker") ?? "", 64)}`);
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ApiError("bad_request", "The address is not well encoded.");
  }
};

async function route(call: Call): Promise<Response> {
  const { request, url, env } = call;
  const allowed: string[] = [];
  for (const [method, path, handler] of ROUTES) {
    const match = path.exec(url.pathname);
    if (!match) continue;
    if (method !== request.method) {
      allowed.push(method);
      continue;
    }
    await limit(env.LIMIT_ADDRESS, call.address);
    return handler(call, ...match.slice(1).map(decoded));
  }
  if (allowed.length) {
    // The API is for its own origin: a preflight can only come from another one.
    if (request.method === "OPTIONS") throw new ApiError("forbidden", "The API is for its own origin.");
    throw new ApiError("method_not_allowed", `Use ${allowed.join(" or ")}.`, {}, { allow: allowed.join(", ") });
  }
  if (url.pathname.startsWith("/api/")) throw new ApiError("not_found", "There is no such address.");
  if (request.method !== "GET" && request.method !== "HEAD") throw new ApiError("method_not_allowed", "Use GET or HEAD.", {}, { allow: "GET, HEAD" });
  return env.ASSETS.fetch(request);
}

function secured(call: Call, answer: Response): Response {
  const { env, url, trace } = call;
  const headers = new Headers(answer.headers);
  const api = url.pathname.startsWith("/api/") || url.pathname === "/config.json";
  const supabase = new URL(env.VITE_SUPABASE_URL);
  const editor = env.BUILDER_WRITE_URL ? new URL(env.BUILDER_WRITE_URL).origin : "https://builder.io https://*.builder.io";
  const framed = url.pathname.startsWith("/c/"); // the visual editor's frame, whose SDK reads Builder.io itself
  const builder = framed ? ` ${new URL(env.BUILDER_API_URL ?? DEFAULTS.builder).origin}` : "";
  const set = (name: string, value: string) => { if (!headers.has(name)) headers.set(name, value); };
  set("content-security-policy", [
    "default-src 'self'", "script-src 'self'", "style-src 'self'", `img-src 'self' data: blob: https: ${supabase.origin}`,
    `connect-src 'self' ${supabase.origin} ${supabase.origin.replace(/^http/, "ws")} ${env.R2_ENDPOINT ? new URL(env.R2_ENDPOINT).origin : "https://*.r2.cloudflarestorage.com"}${builder}`,
    "object-src 'none'", "base-uri 'none'", "form-action 'self'", "worker-src 'self' blob:", `frame-ancestors ${framed ? `'self' ${editor}` : "'none'"}`].join("; "));
  set("strict-transport-security", "max-age=63072000; includeSubDomains");
  set("x-content-type-options", "nosniff");
  set("referrer-policy", "strict-origin-when-cross-origin");
  set("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()");
  if (!framed) set("cross-origin-opener-policy", "same-origin");
  if (api) set("cache-control", "no-store");
  headers.set("x-trace", trace);
  return new Response(answer.body, { status: answer.status, headers });
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const trace = crypto.randomUUID().replaceAll("-", "");
    const call: Call = { request, url: new URL(request.url), env, ctx, trace, address: request.headers.get("cf-connecting-ip") ?? "unknown" };
    let answer: Response;
    try {
      answer = await route(call);
      if (answer.status === 101) return answer; // an upgrade takes no further headers
    } catch (error) {
      if (error instanceof ApiError) {
        answer = errorResponse(error, trace);
      } else {
        const event_id = captureError(call, error);
        console.error(trace, (error as Error)?.stack ?? String(error));
        answer = errorResponse(new ApiError("internal", "Something went wrong here; it has been reported.", { event_id }), trace);
      }
    }
    return secured(call, answer);
  },
  async scheduled(_event, env): Promise<void> {
    await armJanitor(env);
  },
} satisfies ExportedHandler<Env>;

/** What the Worker is bound to: the seed's variables by their own names, and Cloudflare's own resources. */
import type { PUBLIC, REQUIRED, SECRET } from "../variables.mjs";
import type { Janitor } from "./janitor";
import type { People } from "./people";
import type { Room } from "./room";

type Variables = Partial<Record<(typeof PUBLIC | typeof SECRET)[number], string>> & Record<(typeof REQUIRED)[number], string>;

export interface Env extends Variables {
  ASSETS: Fetcher;
  KV: KVNamespace;
  R2: R2Bucket;
  ROOMS: DurableObjectNamespace<Room>;
  PEOPLE: DurableObjectNamespace<People>;
  JANITOR: DurableObjectNamespace<Janitor>;
  LIMIT_ADDRESS: RateLimit;
  LIMIT_USER: RateLimit;
  LIMIT_UPLOAD: RateLimit;
  LIMIT_TELEMETRY: RateLimit;
  LIMIT_WEBHOOK: RateLimit;
  LIMIT_PRIVACY: RateLimit;
  DEPLOY_VERSION: string;
  UPLOAD_TTL_SECONDS?: string;
  SWEEP_SECONDS?: string;
  CONTENT_TTL_SECONDS?: string;
}

/** What one request carries through the handlers. */
export interface Call {
  request: Request;
  url: URL;
  env: Env;
  ctx: ExecutionContext;
  /** 32 hex digits, answered as X-Trace and used as Sentry's trace id. */
  trace: string;
  address: string;
}

/** Services' addresses where the variable is not set. */
export const DEFAULTS = {
  builder: "https://cdn.builder.io",
  builderWrite: "https://builder.io",
  datadogApi: "https://api.datadoghq.com",
  datadogIntake: "https://browser-intake-datadoghq.com",
  ga4Collect: "https://www.google-analytics.com",
  ga4Admin: "https://analyticsadmin.googleapis.com",
  mixpanelApi: "https://api.mixpanel.com",
  mixpanelApp: "https://mixpanel.com",
} as const;

export const MIB = 1024 * 1024;
/** Above this many bytes a file goes to R2, else to Supabase Storage (P2.2). */
export const R2_ABOVE = 5 * MIB;
export const ONE_REQUEST_MAX = 100 * MIB;
export const FILE_MAX = 512 * MIB;
export const PART_SIZE = 8 * MIB;
export const QUOTA = 2048 * MIB;
export const BUCKET = "files";

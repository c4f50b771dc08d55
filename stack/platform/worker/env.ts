/** What the Worker is bound to: the seed's variables by their own names, and Cloudflare's own resources. */
import type { Janitor } from "./janitor";
import type { People } from "./people";
import type { Room } from "./room";

export interface Env {
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
  VITE_SUPABASE_URL: string;
  VITE_SUPABASE_ANON_KEY: string;
  SUPABASE_SERVICE_KEY: string;
  CLOUDFLARE_ACCOUNT_ID?: string;
  R2_BUCKET_NAME?: string;
  R2_ENDPOINT?: string;
  R2_ACCESS_KEY_ID?: string;
  R2_SECRET_ACCESS_KEY?: string;
  BUILDER_PUBLIC_KEY?: string;
  BUILDER_WEBHOOK_SECRET?: string;
  BUILDER_API_URL?: string;
  BUILDER_WRITE_URL?: string;
  SENTRY_DSN?: string;
  SENTRY_ENVIRONMENT?: string;
  DATADOG_CLIENT_TOKEN?: string;
  DATADOG_APPLICATION_ID?: string;
  DATADOG_API_KEY?: string;
  DATADOG_API_URL?: string;
  DATADOG_INTAKE_URL?: string;
  GA4_MEASUREMENT_ID?: string;
  GA4_API_SECRET?: string;
  GA4_PROPERTY_ID?: string;
  GA4_ACCESS_TOKEN?: string;
  GA4_COLLECT_URL?: string;
  GA4_ADMIN_URL?: string;
  MIXPANEL_TOKEN?: string;
  MIXPANEL_API_SECRET?: string;
  MIXPANEL_API_URL?: string;
  MIXPANEL_APP_URL?: string;
  OAUTH_PROVIDERS?: string;
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

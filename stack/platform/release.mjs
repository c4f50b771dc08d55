/** What a release of the platform is made of: its variables, its wrangler configuration, its source maps at Sentry. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { HERE, SENTRY_CLI } from "./build.mjs";

const words = (text) => text.trim().split(/\s+/);

/** Variables of the Worker that are no secrets; those a platform cannot be without come first. */
export const REQUIRED_VARS = words("VITE_SUPABASE_URL VITE_SUPABASE_ANON_KEY CLOUDFLARE_ACCOUNT_ID R2_BUCKET_NAME");
export const VARS = [...REQUIRED_VARS, ...words(`R2_ENDPOINT BUILDER_PUBLIC_KEY BUILDER_API_URL BUILDER_WRITE_URL SENTRY_DSN SENTRY_ENVIRONMENT
  DATADOG_CLIENT_TOKEN DATADOG_APPLICATION_ID DATADOG_API_URL DATADOG_INTAKE_URL GA4_MEASUREMENT_ID GA4_PROPERTY_ID GA4_COLLECT_URL GA4_ADMIN_URL
  MIXPANEL_TOKEN MIXPANEL_API_URL MIXPANEL_APP_URL OAUTH_PROVIDERS`)];
export const REQUIRED_SECRET = words("SUPABASE_SERVICE_KEY");
export const SECRET = [...REQUIRED_SECRET, ...words(`R2_ACCESS_KEY_ID R2_SECRET_ACCESS_KEY BUILDER_WEBHOOK_SECRET DATADOG_API_KEY GA4_API_SECRET GA4_ACCESS_TOKEN
  MIXPANEL_API_SECRET`)];

/** wrangler.jsonc, which describes the Worker for every environment. */
export const wranglerConfig = () => JSON.parse(readFileSync(join(HERE, "wrangler.jsonc"), "utf8").replace(/^\s*\/\/.*$/gm, ""));

/** Uploads the web app's source maps by the real sentry-cli. A failure is told, loudly: errors would stay unreadable. */
export async function uploadSourceMaps(folder, version, variables, log) {
  if (!variables.SENTRY_AUTH_TOKEN || !existsSync(join(folder, "web"))) return "not configured";
  const env = { ...process.env, SENTRY_DISABLE_UPDATE_CHECK: "1", NO_COLOR: "1" };
  for (const name of ["SENTRY_URL", "SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT"]) if (variables[name]) env[name] = variables[name];
  try {
    const args = [SENTRY_CLI, "sourcemaps", "upload", "--release", version, join(folder, "web/assets"), join(folder, "worker")];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env, timeout: 60_000 });
    log("sentry-cli:", (stdout + stderr).trim().split("\n").slice(-3).join(" | "));
    return "uploaded";
  } catch (error) {
    log("ERROR: source maps were NOT uploaded to Sentry; stack traces will not resolve:", `${error.stderr ?? error}`.trim().slice(-500));
    return "failed";
  }
}

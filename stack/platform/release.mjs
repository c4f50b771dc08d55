/** What a release of the platform is made of: its wrangler configuration, its source maps at Sentry. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { HERE, SENTRY_CLI } from "./build.mjs";

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

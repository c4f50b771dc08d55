/** What a release of the platform is made of: its wrangler configuration, its source maps at Sentry, its dashboard at DataDog. */
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

/**
 * Puts dashboard.json at DataDog; the dashboard of its title, if there is one, is brought back to it. Returns the dashboard's id.
 * A failure is told, loudly: nobody would see how the platform does.
 */
export async function putDashboard(variables, log) {
  const { DATADOG_API_KEY: key, DATADOG_APP_KEY: application, DATADOG_APPLICATION_ID: rum } = variables;
  if (!key || !application || !rum) return "not configured";
  const names = { "%APPLICATION%": rum, "%ENVIRONMENT%": variables.SENTRY_ENVIRONMENT || "production" }; // the Worker's tag `env`
  const filled = (_, value) => (typeof value === "string" ? value.replace(/%[A-Z]+%/g, (name) => names[name] ?? name) : value);
  const wanted = JSON.parse(readFileSync(join(HERE, "dashboard.json"), "utf8"), filled);
  const ask = async (method, path, body) => {
    const answer = await fetch(`${variables.DATADOG_API_URL || "https://api.datadoghq.com"}/api/v1/dashboard${path}`, {
      method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20_000),
      headers: { "content-type": "application/json", "dd-api-key": key, "dd-application-key": application } });
    if (!answer.ok) throw new Error(`${method} answered ${answer.status}: ${(await answer.text()).slice(0, 300)}`);
    return answer.json();
  };
  try {
    const old = (await ask("GET", "")).dashboards.find((one) => one.title === wanted.title);
    return (await (old ? ask("PUT", `/${old.id}`, wanted) : ask("POST", "", wanted))).id;
  } catch (error) {
    log("ERROR: the dashboard was NOT put at DataDog:", String(error));
    return "failed";
  }
}

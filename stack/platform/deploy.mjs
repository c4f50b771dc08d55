/**
 * Deploys the platform to Cloudflare from environment variables: node stack/platform/deploy.mjs [--dry-run]
 * Builds, uploads source maps, writes dist/wrangler.json, and runs `wrangler deploy` with variables, secrets and the commit
 * as DEPLOY_VERSION; waits until /api/version answers that commit, and puts the dashboard at DataDog. WRANGLER names the program (default: npx wrangler@4).
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildInto, HERE } from "./build.mjs";
import { putDashboard, uploadSourceMaps, wranglerConfig } from "./release.mjs";
import { PUBLIC, REQUIRED, SECRET } from "./variables.mjs";

const dry = process.argv.includes("--dry-run");
const env = process.env;
const missing = [...REQUIRED, "CLOUDFLARE_ACCOUNT_ID", "R2_BUCKET_NAME", "KV_NAMESPACE_ID", ...(dry ? [] : ["CLOUDFLARE_API_TOKEN", "PLATFORM_URL"])].filter((n) => !env[n]);
if (missing.length) {
  console.error(`Not set: ${missing.join(", ")}. docs/production.md says where each comes from.`);
  process.exit(2);
}
const given = (names) => Object.fromEntries(names.filter((n) => env[n]).map((n) => [n, env[n]]));
const dist = join(HERE, "dist");
const version = execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: HERE }).toString().trim();

await buildInto(dist);
if (!dry && (await uploadSourceMaps(dist, version, env, console.error)) === "failed") process.exit(1);

const config = wranglerConfig();
config.account_id = env.CLOUDFLARE_ACCOUNT_ID;
if (env.WORKER_NAME) config.name = env.WORKER_NAME; // staging beside production in one account
config.kv_namespaces[0].id = env.KV_NAMESPACE_ID;
config.r2_buckets[0].bucket_name = env.R2_BUCKET_NAME;
config.vars = { SENTRY_ENVIRONMENT: "production", ...config.vars, ...given(PUBLIC), DEPLOY_VERSION: version };
writeFileSync(join(dist, "wrangler.json"), JSON.stringify(config, null, 2));

const [program, ...first] = (env.WRANGLER ?? "npx --yes wrangler@4").split(" ");
const folder = mkdtempSync(join(tmpdir(), "deploy-"));
try {
  const secrets = join(folder, "secrets.json");
  writeFileSync(secrets, JSON.stringify(given(SECRET)), { mode: 0o600 });
  const args = ["deploy", "--config", join(dist, "wrangler.json"), "--secrets-file", secrets, "--tag", version, ...(dry ? ["--dry-run"] : [])];
  execFileSync(program, [...first, ...args], { stdio: "inherit", env: { ...env, WRANGLER_SEND_METRICS: "false" } });
} finally {
  rmSync(folder, { recursive: true });
}

for (let tries = 0; !dry; tries += 1) {
  const answer = await fetch(`${env.PLATFORM_URL}/api/version`).then((r) => r.json(), () => ({}));
  if (answer.version === version) break;
  if (tries === 60) {
    console.error(`${env.PLATFORM_URL} still answers ${answer.version ?? "nothing"} after two minutes, not ${version}.`);
    process.exit(1);
  }
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
if (!dry && (await putDashboard({ ...env, SENTRY_ENVIRONMENT: config.vars.SENTRY_ENVIRONMENT }, console.error)) === "failed") process.exitCode = 1;
console.log(`${dry ? "would deploy" : "deployed"} ${version}`);

/**
 * The platform as a component of the embedded target: node start.mjs CONFIG.json
 * Runs the same Worker and web build that wrangler deploys, on workerd, with Durable Objects, KV and R2 on disk.
 * Ports: `platform` (Worker and web app), `cloudflare` (API v4 and R2's S3 endpoint, see cloudflare.mjs).
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { join } from "node:path";
import { cachedBuild, HERE } from "./build.mjs";
import { startFront } from "./cloudflare.mjs";
import { putDashboard, uploadSourceMaps, wranglerConfig } from "./release.mjs";
import { PUBLIC, SECRET } from "./variables.mjs";

const log = (...what) => console.error(new Date().toISOString(), ...what);
const ROOT = join(HERE, "../..");
const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { ports, variables, secrets = {}, options = {} } = config;
const state = join(config.state, "platform");
mkdirSync(state, { recursive: true });

const require = createRequire(import.meta.url);

/** workerd is started through this line: it may open many sockets, and dies with us even if we are killed. */
function workerdLauncher() {
  const binary = require("workerd").default;
  const guard = existsSync("/usr/bin/setpriv") ? "setpriv --pdeathsig KILL " : "";
  const file = join(state, "workerd.sh");
  writeFileSync(file, `#!/bin/sh\nulimit -n "$(ulimit -Hn)" 2>/dev/null\necho $$ >"${join(state, "workerd.pid")}"\nexec ${guard}"${binary}" "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

function deployedVersion(hash) {
  if (options.version) return options.version;
  try {
    return execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] }).toString().trim();
  } catch {
    return `build-${hash}`; // no checkout: an exported copy
  }
}

const started = performance.now();
// A cache that the supervisor names, else the checkout's own.
const { folder, hash } = await cachedBuild(options.build_cache ?? join(ROOT, ".assay/stack"));
const version = deployedVersion(hash);
const built = Math.round(performance.now() - started);

/**
 * workerd tells a Worker the peer's address (request.cf.clientIp) on sockets that take no CF blob from the client; miniflare's
 * direct sockets ask for one. Without this line all clients would share one rate limit, or could choose their address.
 */
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith("/miniflare/dist/src/index.js")) return loaded;
    const text = String(loaded.source ?? readFileSync(new URL(url), "utf8"));
    const found = /cfBlobHeader: CoreHeaders\.CF_BLOB,\s*capnpConnectHost/;
    if (!found.test(text)) throw new Error("This miniflare is not the version that start.mjs was written for: see registerHooks.");
    return { ...loaded, format: "commonjs", source: text.replace(found, "capnpConnectHost") };
  },
});
process.env.MINIFLARE_WORKERD_PATH = workerdLauncher();
const { Miniflare } = await import("miniflare"); // reads the path above when it is loaded
const wrangler = wranglerConfig();

// Only what the Worker's Env names reaches it; the rest of CONFIG.json stays out.
const bindings = Object.fromEntries([...PUBLIC, ...SECRET].filter((n) => variables[n]).map((n) => [n, variables[n]]));
Object.assign(bindings, {
  DEPLOY_VERSION: version, CONTROL_TOKEN: secrets.control_token ?? crypto.randomUUID(), OAUTH_PROVIDERS: variables.OAUTH_TEST_PROVIDER ?? "",
  UPLOAD_TTL_SECONDS: String(options.upload_ttl_seconds ?? 60), SWEEP_SECONDS: String(options.sweep_seconds ?? 3),
  CONTENT_TTL_SECONDS: String(options.content_ttl_seconds ?? 300),
});

const s3Credentials = { accessKeyId: variables.R2_ACCESS_KEY_ID, secretAccessKey: variables.R2_SECRET_ACCESS_KEY };
const mf = new Miniflare({
  name: "platform", host: "127.0.0.1", port: 0, cf: false, telemetry: { enabled: false }, unsafeLocalExplorer: true,
  modulesRoot: "/", modules: [
    { type: "ESModule", path: "/edge.mjs", contents: readFileSync(join(HERE, "edge.mjs"), "utf8") },
    { type: "ESModule", path: "/worker.mjs", contents: readFileSync(join(folder, "worker/worker.mjs"), "utf8") }],
  compatibilityDate: wrangler.compatibility_date, compatibilityFlags: wrangler.compatibility_flags,
  durableObjects: Object.fromEntries(wrangler.durable_objects.bindings.map((b) => [b.name, { className: b.class_name, useSQLite: true }])),
  kvNamespaces: { KV: variables.KV_NAMESPACE_ID }, r2Buckets: { R2: { id: variables.R2_BUCKET_NAME, s3Credentials } },
  ratelimits: Object.fromEntries(wrangler.ratelimits.map(({ name, namespace_id, simple }) => [name, { namespace_id, simple }])),
  assets: existsSync(join(folder, "web")) ? { directory: join(folder, "web"), binding: "ASSETS", workerName: "platform",
    routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: true }, assetConfig: { not_found_handling: wrangler.assets.not_found_handling } } : undefined,
  bindings,
  // The Worker reaches this machine's own addresses, where the stack listens, and nothing else.
  outboundService: { network: { allow: ["127.0.0.0/8"], deny: [] } },
  unsafeDirectSockets: [{ host: "127.0.0.1", port: ports.platform, entrypoint: "Edge" }],
  defaultPersistRoot: state,
  durableObjectsPersist: options.rooms_folder ?? join(state, "rooms"), kvPersist: join(state, "kv"), r2Persist: join(state, "r2"), cachePersist: join(state, "cache"),
});

/** Ends this process when workerd ends unasked: miniflare would stay, and the component would seem to be up. */
function watchWorkerd() {
  const pid = Number(readFileSync(join(state, "workerd.pid"), "utf8"));
  setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch {
      if (ending) return;
      log(`ERROR: workerd (process ${pid}) ended by itself`);
      process.exit(1);
    }
  }, 200).unref();
}

let front;
let ending = false;
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, async () => {
    ending = true;
    setTimeout(() => process.exit(0), 2500).unref();
    front?.close();
    await mf.dispose().catch((error) => log(String(error)));
    process.exit(0);
  });
}

/** Returns when something answers at an address, or after a while: the stack's other components start while we do. */
async function answers(address) {
  for (const deadline = performance.now() + 20_000; address && performance.now() < deadline; ) {
    const found = await fetch(address, { redirect: "manual" }).catch(() => undefined);
    if (found) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const uploaded = answers(variables.SENTRY_URL).then(() => uploadSourceMaps(folder, version, variables, log));
const shown = answers(variables.DATADOG_API_URL).then(() => putDashboard(variables, log));
const [upstream] = await Promise.all([mf.ready, uploaded, shown, answers(variables.VITE_SUPABASE_URL)]);
watchWorkerd();
const url = `http://127.0.0.1:${ports.platform}`;
front = await startFront({ port: ports.cloudflare, upstream, variables, origins: [new URL(variables.PLATFORM_URL ?? url).origin], r2: () => mf.getR2Bucket("R2") });
const answer = await fetch(`${url}/api/version`);
if (!answer.ok) throw new Error(`The Worker answered ${answer.status} to /api/version: ${await answer.text()}`);
await fetch(`${url}/api/health`); // wakes the sweeper, which then goes on by itself
log(`built in ${built} ms, ready after ${Math.round(performance.now() - started)} ms, version ${version}, build ${hash}`);
console.log(`READY ${JSON.stringify({ name: "platform", url, cloudflare: `http://127.0.0.1:${ports.cloudflare}`, version })}`);

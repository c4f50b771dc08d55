/** GET /api/health: asks each service a real question, with a deadline, and says which one does not answer. */
import { type Call, DEFAULTS, type Env } from "./env";
import { json } from "./http";
import { armJanitor } from "./janitor";
import { parseDsn } from "./observe";
import { supabase } from "./supabase";

interface Probe { ok: boolean; ms: number; core: boolean; error?: string }
const DEADLINE_MS = 2000;
const REMEMBERED_MS = 2000;

const good = async (answer: Response | Promise<Response>, most = 299): Promise<void> => {
  const { status, body } = await answer;
  await body?.cancel();
  if (status > most) throw new Error(`HTTP ${status}`);
};

/** A service's address answers at all; its own data path is proved by the relays. */
const reachable = (url: string, most = 499) => good(fetch(url, { signal: AbortSignal.timeout(DEADLINE_MS), redirect: "manual" }), most);

function probes(env: Env): Record<string, { core: boolean; ask: () => Promise<unknown> } | undefined> {
  const dsn = parseDsn(env.SENTRY_DSN);
  const content = `${env.BUILDER_API_URL ?? DEFAULTS.builder}/api/v3/content/page?apiKey=${encodeURIComponent(env.BUILDER_PUBLIC_KEY ?? "")}&limit=1&fields=id`;
  return {
    database: { core: true, ask: () => good(supabase(env, "/rest/v1/rpc/health", { service: "database" })) },
    auth: { core: true, ask: () => good(supabase(env, "/auth/v1/health", { service: "auth" })) },
    storage: { core: true, ask: () => good(supabase(env, "/storage/v1/bucket/files", { service: "storage" })) },
    r2: { core: true, ask: () => env.R2.head("health") },
    kv: { core: true, ask: () => env.KV.get("health") },
    rooms: { core: true, ask: () => env.ROOMS.get(env.ROOMS.idFromName("health")).ping() },
    builder: env.BUILDER_PUBLIC_KEY ? { core: false, ask: () => reachable(content, 299) } : undefined,
    sentry: dsn && { core: false, ask: () => reachable(`${dsn.origin}/`) },
    datadog: env.DATADOG_CLIENT_TOKEN ? { core: false, ask: () => reachable(env.DATADOG_INTAKE_URL ?? DEFAULTS.datadogIntake) } : undefined,
    ga4: env.GA4_MEASUREMENT_ID ? { core: false, ask: () => reachable(`${env.GA4_COLLECT_URL ?? DEFAULTS.ga4Collect}/mp/collect`) } : undefined,
    mixpanel: env.MIXPANEL_TOKEN ? { core: false, ask: () => reachable(env.MIXPANEL_API_URL ?? DEFAULTS.mixpanelApi) } : undefined,
  };
}

async function one(probe: { core: boolean; ask: () => Promise<unknown> }): Promise<Probe> {
  const started = Date.now();
  try {
    await Promise.race([probe.ask(), scheduler.wait(DEADLINE_MS).then(() => { throw new Error("no answer in 2 s"); })]);
    return { ok: true, ms: Date.now() - started, core: probe.core };
  } catch (error) {
    return { ok: false, ms: Date.now() - started, core: probe.core, error: (error as Error).message };
  }
}

let remembered: { at: number; services: Record<string, Probe> } | undefined;

export async function health(call: Call): Promise<Response> {
  if (!remembered || Date.now() - remembered.at > REMEMBERED_MS) {
    const asked = Object.entries(probes(call.env)).filter(([, p]) => p);
    const answers = await Promise.all(asked.map(async ([name, p]) => [name, await one(p!)] as const));
    remembered = { at: Date.now(), services: Object.fromEntries(answers) };
    call.ctx.waitUntil(armJanitor(call.env));
  }
  const { services } = remembered;
  const failed = Object.values(services).filter((s) => !s.ok);
  const status = failed.some((s) => s.core) ? "down" : failed.length ? "degraded" : "ok";
  return json({ status, version: call.env.DEPLOY_VERSION, services }, status === "down" ? 503 : 200, { "cache-control": "no-store" });
}

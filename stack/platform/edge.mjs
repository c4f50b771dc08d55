/**
 * What Cloudflare's edge does before a Worker sees a request, for the embedded target only: it sets CF-Connecting-IP from
 * the socket (whatever the client claims), and lets planned faults be put in by the control token.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import worker from "./worker.mjs";

export * from "./worker.mjs";
export default worker;

let faults = [];

/** A binding whose service is away: every call of it fails. */
const away = (name) => new Proxy({}, {
  get: (_, method) => method === "resumeMultipartUpload" ? () => away(name) : async () => { throw new Error(`${name} is away: a planned fault.`); },
});

/** A planned fault: {"path": regex, "method"?, "status"?, "delay_ms"?, "count"?} or {"binding": "R2"|"KV"}; POST replaces all, [] ends them. */
async function control(request, env) {
  if (request.headers.get("authorization") !== `Bearer ${env.CONTROL_TOKEN}`) return new Response("wrong control token", { status: 401 });
  const { pathname } = new URL(request.url);
  if (pathname === "/__control/faults" && request.method === "POST") {
    faults = [await request.json()].flat().map((f) => ({ count: Infinity, ...f, path: new RegExp(f.path ?? "") }));
    return Response.json({ faults: faults.length });
  }
  if (pathname === "/__control/state") return Response.json({ version: env.DEPLOY_VERSION, faults: faults.length, your_address: clientAddress(request) });
  return new Response("not found", { status: 404 });
}

export class Edge extends WorkerEntrypoint {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/__control/")) return control(request, this.env);
    const headers = new Headers(request.headers);
    headers.set("cf-connecting-ip", clientAddress(request));
    const fault = faults.find((f) => !f.binding && f.count > 0 && f.path.test(pathname) && (!f.method || f.method === request.method));
    if (fault) {
      fault.count -= 1;
      if (fault.delay_ms) await scheduler.wait(fault.delay_ms);
      if (fault.status) return Response.json({ error: { code: "unavailable", message: "A planned fault.", trace: "", details: {} } }, { status: fault.status });
    }
    const gone = Object.fromEntries(faults.filter((f) => f.binding).map((f) => [f.binding, away(f.binding)]));
    return worker.fetch(new Request(request, { headers }), { ...this.env, ...gone }, this.ctx);
  }
}

/** workerd tells the peer as cf.clientIp, "address:port". */
const clientAddress = (request) => String(request.cf?.clientIp ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "") || "127.0.0.1";

/**
 * Cloudflare's API and R2's S3 endpoint for the embedded target. KV and R2 themselves are miniflare's; this front stands in
 * for what miniflare leaves out: the check of the API token and the account, and a bucket's CORS rules, as
 * developers.cloudflare.com/api and /r2/buckets/cors describe them.
 */
import { Agent, createServer, request as httpRequest } from "node:http";

const envelope = (result, more = {}) => ({ success: true, errors: [], messages: [], result, ...more });
const failure = (code, message) => ({ success: false, errors: [{ code, message }], messages: [], result: null });

/** R2's rule set of a bucket as the deployment guide sets it: the web app's origin reads and writes directly. */
export const corsOf = (origins) => [{
  id: "web-app", allowed: { origins, methods: ["GET", "HEAD", "PUT"], headers: ["content-type", "range", "x-amz-content-sha256", "x-amz-date", "authorization"] },
  exposeHeaders: ["ETag", "Content-Range", "Content-Length", "Accept-Ranges"], maxAgeSeconds: 3600 }];

/** Large bodies on their way into workerd at once, and from how many bytes on: its one thread reads no other socket while
 *  bodies pour in faster than it stores them. More than these wait here, unread. */
const AT_ONCE = 6, LARGE = 1024 * 1024;

const UNEVEN = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidPart</Code><Message>All non-trailing parts must have the same length.</Message></Error>';

/** No connection is kept: workerd ends an idle one after 5 s, and a request that meets that end would answer 502. */
const once = new Agent({ keepAlive: false });

export function startFront({ port, upstream, variables, origins, r2 }) {
  const v4 = "/client/v4";
  const account = `${v4}/accounts/${variables.CLOUDFLARE_ACCOUNT_ID}`;
  const bucket = variables.R2_BUCKET_NAME;
  const s3 = "/cdn-cgi/local/r2/s3";
  let rules = corsOf(origins);

  const send = (res, status, body, headers = {}) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers }).end(text);
  };

  let pouring = 0;
  const waiting = [];
  const turn = () => (pouring < AT_ONCE ? void pouring++ : new Promise((go) => waiting.push(go)));
  const over = () => (waiting.length ? waiting.shift()() : void pouring--);

  /** Whether an upload cannot be completed for the lengths of its parts: R2's own error 10048, which miniflare's S3 endpoint
   *  tells as NoSuchUpload. R2 refuses them (developers.cloudflare.com/r2/objects/multipart-objects, "Limitations"). */
  async function uneven(url, body) {
    const key = decodeURIComponent(url.pathname.slice(`${s3}/${bucket}/`.length));
    const parts = [...body.matchAll(/<Part>.*?<\/Part>/gs)].map(([part]) => ({
      partNumber: Number(/<PartNumber>(\d+)/.exec(part)?.[1]), etag: /<ETag>(?:"|&quot;|&#34;)?([\w-]+)/.exec(part)?.[1] }));
    const upload = (await r2()).resumeMultipartUpload(key, url.searchParams.get("uploadId"));
    return upload.complete(parts).then(() => false, (error) => String(error).includes("(10048)"));
  }

  const pass = async (req, res, path, extra = {}, mended = undefined) => {
    const large = Number(req.headers["content-length"] ?? 0) >= LARGE;
    if (large) {
      await turn();
      if (res.destroyed) return over(); // the client went away while it waited
    }
    const out = httpRequest({ host: upstream.hostname, port: upstream.port, method: req.method, path, headers: req.headers, agent: once }, async (answer) => {
      const instead = await mended?.(answer.statusCode).catch((error) => void console.error("an upload's parts could not be looked at", String(error)));
      if (instead) return answer.resume() && res.writeHead(400, { "content-type": "application/xml", "content-length": instead.length, ...extra }).end(instead);
      res.writeHead(answer.statusCode, { ...answer.headers, ...extra });
      answer.pipe(res);
    });
    out.on("error", (error) => {
      if (res.destroyed) return;
      console.error("workerd did not answer", req.method, path.split("?")[0], String(error));
      if (res.headersSent) res.destroy(error);
      else send(res, 502, failure(10000, String(error)));
    });
    if (large) out.once("close", over);
    res.once("close", () => out.destroy()); // answered, or the client went away
    req.pipe(out);
  };

  const ruleFor = (origin, method) => rules.find((r) => (r.allowed.origins.includes(origin) || r.allowed.origins.includes("*")) && r.allowed.methods.includes(method));

  function s3Request(req, res) {
    const origin = req.headers.origin;
    if (req.method === "OPTIONS") {
      const method = req.headers["access-control-request-method"];
      const asked = (req.headers["access-control-request-headers"] ?? "").toLowerCase().split(",").map((h) => h.trim()).filter(Boolean);
      const rule = ruleFor(origin, method);
      const allowed = rule?.allowed.headers.map((h) => h.toLowerCase()) ?? [];
      if (!rule || !asked.every((h) => allowed.includes("*") || allowed.includes(h))) return res.writeHead(403).end();
      return res.writeHead(204, {
        "access-control-allow-origin": origin, "access-control-allow-methods": rule.allowed.methods.join(", "), "access-control-allow-headers": asked.join(", "),
        "access-control-max-age": String(rule.maxAgeSeconds ?? 0), vary: "Origin" }).end();
    }
    const rule = origin && ruleFor(origin, req.method);
    const extra = rule ? { "access-control-allow-origin": origin, "access-control-expose-headers": (rule.exposeHeaders ?? []).join(", "), vary: "Origin" } : {};
    const url = new URL(req.url, "http://front"), body = [];
    if (req.method !== "POST" || !url.searchParams.has("uploadId")) return pass(req, res, req.url, extra);
    req.on("data", (chunk) => body.push(chunk));
    pass(req, res, req.url, extra, async (status) => (status === 404 && (await uneven(url, String(Buffer.concat(body)))) ? UNEVEN : ""));
  }

  async function cors(req, res) {
    if (req.method === "GET") return send(res, 200, envelope({ rules }));
    if (req.method === "DELETE") { rules = []; return send(res, 200, envelope({})); }
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    try {
      const told = JSON.parse(Buffer.concat(chunks)).rules;
      if (!Array.isArray(told) || !told.every((r) => Array.isArray(r.allowed?.origins) && Array.isArray(r.allowed?.methods))) throw new Error("rules");
      rules = told.map((r) => ({ ...r, allowed: { headers: [], ...r.allowed } }));
      send(res, 200, envelope({}));
    } catch {
      send(res, 400, failure(10040, "The JSON you provided was not well formed."));
    }
  }

  const server = createServer((req, res) => {
    const path = new URL(req.url, "http://front").pathname;
    if (path.startsWith(`${s3}/`) || path === s3) return s3Request(req, res);
    if (!path.startsWith(v4)) return send(res, 404, failure(7003, "No route for that URI"));
    if (req.headers.authorization !== `Bearer ${variables.CLOUDFLARE_API_TOKEN}`) {
      const none = !req.headers.authorization;
      return send(res, none ? 400 : 401, none ? failure(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers") : failure(1000, "Invalid API Token"));
    }
    if (path === `${v4}/user/tokens/verify`) return send(res, 200, envelope({ id: variables.R2_ACCESS_KEY_ID, status: "active" }));
    if (!path.startsWith(`${account}/`)) return send(res, 403, failure(10000, "Authentication error"));
    const rest = path.slice(account.length);
    if (rest === `/r2/buckets/${bucket}/cors` && ["GET", "PUT", "DELETE"].includes(req.method)) return cors(req, res);
    if (rest.startsWith("/storage/kv/") || rest.startsWith("/r2/")) return pass(req, res, `/cdn-cgi/explorer/api${req.url.slice(account.length)}`);
    return send(res, 404, failure(7003, "No route for that URI"));
  });
  server.keepAliveTimeout = 75_000; // node's 5 s would end connections that an S3 client is just about to use again
  return new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server)));
}

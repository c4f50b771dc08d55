/** Who is calling: Supabase access tokens verified through JWKS, or by Supabase itself where they are HS256. */
import type { Call, Env } from "./env";
import { ApiError, sha256, UpstreamError } from "./http";
import { supabase } from "./supabase";

export interface User {
  id: string;
  email: string;
  role: string;
  /** Unix seconds. */
  expiresAt: number;
  name: string;
  token: string;
}

interface Claims { sub?: string; exp?: number; iss?: string; aud?: string | string[]; role?: string; email?: string; user_metadata?: { username?: string } }
interface Jwk extends JsonWebKey { kid?: string }

const KEYS_MS = 10 * 60_000;
/** How long a verified token is believed without asking again (erasure and HS256 revocation show after this at the latest). */
const BELIEF_MS = 30_000;
let keys: { at: number; url: string; byId: Map<string, CryptoKey> } | undefined;
const verified = new Map<string, { until: number; user: User }>();

const decode = (part: string): unknown =>
  JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0))));

async function signingKey(env: Env, kid: string): Promise<CryptoKey | undefined> {
  const known = keys?.url === env.VITE_SUPABASE_URL ? keys : undefined;
  const age = Date.now() - (known?.at ?? 0);
  // An unknown id may be a rotated key, but must not let a stranger make us fetch for each forged token.
  if (known && age < KEYS_MS && (known.byId.has(kid) || age < 10_000)) return known.byId.get(kid);
  const answer = await supabase(env, "/auth/v1/.well-known/jwks.json", { service: "auth" });
  if (!answer.ok) throw new UpstreamError("auth", `JWKS answered ${answer.status}.`);
  const byId = new Map<string, CryptoKey>();
  for (const jwk of ((await answer.json()) as { keys: Jwk[] }).keys) {
    const algorithm = jwk.kty === "EC" ? { name: "ECDSA", namedCurve: "P-256" } : jwk.kty === "RSA" ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } : undefined;
    if (!algorithm || !jwk.kid) continue;
    const { key_ops: _, use: __, ext: ___, ...bare } = jwk as Jwk & { use?: string };
    byId.set(jwk.kid, await crypto.subtle.importKey("jwk", bare, algorithm, false, ["verify"]));
  }
  keys = { at: Date.now(), url: env.VITE_SUPABASE_URL, byId };
  return byId.get(kid);
}

const refuse = (why: string): never => { throw new ApiError("unauthenticated", why, {}, { "www-authenticate": "Bearer" }); };

/** The user of a token. Throws ApiError unauthenticated | token_expired, UpstreamError when keys cannot be had. */
export async function verify(env: Env, token: string): Promise<User> {
  const known = verified.get(token);
  if (known && known.until > Date.now()) {
    if (known.user.expiresAt * 1000 <= Date.now()) throw new ApiError("token_expired", "The access token has expired.");
    return known.user;
  }
  const parts = token.split(".");
  if (parts.length !== 3 || token.length > 8192) refuse("This is not an access token.");
  let head: { alg?: string; kid?: string }, claims: Claims;
  try {
    head = decode(parts[0]!) as typeof head;
    claims = decode(parts[1]!) as Claims;
  } catch {
    return refuse("The access token cannot be read.");
  }
  if (typeof claims.exp !== "number" || typeof claims.sub !== "string") return refuse("The access token lacks its claims.");
  if (claims.exp * 1000 <= Date.now()) throw new ApiError("token_expired", "The access token has expired.");
  if (![claims.aud].flat().includes("authenticated") || claims.role !== "authenticated") refuse("The access token is for another audience.");
  if (claims.iss !== `${env.VITE_SUPABASE_URL}/auth/v1`) refuse("The access token has another issuer.");
  await verifySignature(env, token, head, parts as [string, string, string]);
  if (await erased(env, claims.sub, token)) refuse("This account no longer exists.");
  const name = claims.user_metadata?.username;
  const user: User = {
    id: claims.sub, email: claims.email ?? "", role: claims.role!, expiresAt: claims.exp, token,
    name: typeof name === "string" && name ? name.slice(0, 32) : `user_${claims.sub.replaceAll("-", "").slice(0, 12)}`,
  };
  if (verified.size > 5000) verified.clear();
  verified.set(token, { until: Date.now() + BELIEF_MS, user });
  return user;
}

/** Whether the account was erased while its token lives on. KV remembers; while KV is away, Auth itself is asked. */
async function erased(env: Env, id: string, token: string): Promise<boolean> {
  try {
    return (await env.KV.get(`erased:${id}`)) !== null;
  } catch {
    const answer = await supabase(env, "/auth/v1/user", { token, service: "auth" });
    await answer.body?.cancel();
    return !answer.ok;
  }
}

async function verifySignature(env: Env, token: string, head: { alg?: string; kid?: string }, parts: [string, string, string]): Promise<void> {
  if (head.alg === "HS256") {
    // The secret is Supabase's alone; projects with the legacy key are asked, as their documentation advises.
    const answer = await supabase(env, "/auth/v1/user", { token, service: "auth" });
    await answer.body?.cancel();
    if (!answer.ok) refuse("The access token's signature is wrong.");
    return;
  }
  const algorithm = head.alg === "ES256" ? { name: "ECDSA", hash: "SHA-256" } : head.alg === "RS256" ? "RSASSA-PKCS1-v1_5" : undefined;
  const key = algorithm && head.kid ? await signingKey(env, head.kid) : undefined;
  if (!algorithm || !key) return refuse("The access token was signed by a key that Supabase does not publish.");
  const signature = Uint8Array.from(atob(parts[2].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const good = await crypto.subtle.verify(algorithm, key, signature, new TextEncoder().encode(`${parts[0]}.${parts[1]}`)).catch(() => false);
  if (!good) refuse("The access token's signature is wrong.");
}

/** The caller, from the Authorization header; its rate limit is counted here. */
export async function requireUser(call: Call): Promise<User> {
  const header = call.request.headers.get("authorization") ?? "";
  if (!/^bearer \S+$/i.test(header)) throw new ApiError("unauthenticated", "Sign in first.", {}, { "www-authenticate": "Bearer" });
  const user = await verify(call.env, header.slice(7));
  await limit(call.env.LIMIT_USER, user.id);
  return user;
}

export const optionalUser = async (call: Call): Promise<User | undefined> =>
  call.request.headers.has("authorization") ? requireUser(call) : undefined;

/** Forgets a user's tokens at once in this isolate and, within KV's propagation time, everywhere. */
export async function forget(env: Env, user: User): Promise<void> {
  await env.KV.put(`erased:${user.id}`, String(Date.now()), { expirationTtl: 7 * 24 * 3600 });
  for (const [token, entry] of verified) if (entry.user.id === user.id) verified.delete(token);
}

/** Counts one call against a limit of the platform. Throws rate_limited with Retry-After: seconds to the window's end. */
export async function limit(binding: RateLimit, key: string): Promise<void> {
  const { success } = await binding.limit({ key });
  if (success) return;
  const seconds = 60 - (Math.floor(Date.now() / 1000) % 60);
  throw new ApiError("rate_limited", `Too many requests: try again in ${seconds} s.`, { retry_after: seconds }, { "retry-after": String(seconds) });
}

/** A short opaque name for a person in logs. */
export const pseudonym = async (id: string): Promise<string> => (await sha256(id)).slice(0, 12);

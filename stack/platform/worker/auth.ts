/** Who is calling: Supabase access tokens verified through JWKS, or by Supabase itself where they are HS256. */
import { createRemoteJWKSet, customFetch, decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import type { Call, Env } from "./env";
import { cut } from "../shared/text";
import { ApiError } from "./http";
import { DEADLINE_MS, demand, supabase } from "./supabase";

export interface User {
  id: string;
  email: string;
  role: string;
  /** Unix seconds. */
  expiresAt: number;
  name: string;
  token: string;
}

/** How long a verified token is believed without asking again (erasure and HS256 revocation show after this at the latest). */
const BELIEF_MS = 30_000;
const verified = new Map<string, { until: number; user: User }>();
let keys: { url: string; of: ReturnType<typeof createRemoteJWKSet> } | undefined;

/** Supabase's published keys, asked for every ten minutes; an unknown key id asks again, but not for each forged token. */
function publishedKeys(env: Env): ReturnType<typeof createRemoteJWKSet> {
  const path = "/auth/v1/.well-known/jwks.json", url = env.VITE_SUPABASE_URL + path;
  if (keys?.url !== url) {
    const ask = () => demand(env, path, { service: "auth" });
    keys = { url, of: createRemoteJWKSet(new URL(url), { cacheMaxAge: 600_000, cooldownDuration: 10_000, timeoutDuration: DEADLINE_MS, [customFetch]: ask }) };
  }
  return keys.of;
}

const refuse = (why: string): never => { throw new ApiError("unauthenticated", why, {}, { "www-authenticate": "Bearer" }); };

/** The user of a token. Throws ApiError unauthenticated | token_expired, UpstreamError when keys cannot be had. */
export async function verify(env: Env, token: string): Promise<User> {
  const known = verified.get(token);
  if (known && known.until > Date.now()) {
    if (known.user.expiresAt * 1000 <= Date.now()) throw new ApiError("token_expired", "The access token has expired.");
    return known.user;
  }
  if (token.length > 8192) refuse("This is not an access token.");
  const claims = await claimsOf(env, token);
  if (typeof claims.exp !== "number" || typeof claims.sub !== "string") return refuse("The access token lacks its claims.");
  if (claims.role !== "authenticated") refuse("The access token is for another role.");
  if (await erased(env, claims.sub, token)) refuse("This account no longer exists.");
  const { email, user_metadata } = claims as { email?: string; user_metadata?: { username?: unknown } };
  const name = user_metadata?.username;
  const user: User = {
    id: claims.sub, email: email ?? "", role: claims.role as string, expiresAt: claims.exp, token,
    name: typeof name === "string" && name ? cut(name, 32) : `user_${claims.sub.replaceAll("-", "").slice(0, 12)}`,
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

/** What a token says, once its signature, issuer, audience and end are good. */
async function claimsOf(env: Env, token: string): Promise<JWTPayload> {
  const wanted = { issuer: `${env.VITE_SUPABASE_URL}/auth/v1`, audience: "authenticated" };
  try {
    if (decodeProtectedHeader(token).alg !== "HS256") return (await jwtVerify(token, publishedKeys(env), { ...wanted, algorithms: ["ES256", "RS256"] })).payload;
    // The secret is Supabase's alone; projects with the legacy key are asked, as their documentation advises.
    const claims = decodeJwt(token);
    if ((claims.exp ?? 0) * 1000 <= Date.now()) throw new errors.JWTExpired("exp", claims);
    const answer = await supabase(env, "/auth/v1/user", { token, service: "auth" });
    await answer.body?.cancel();
    const right = answer.ok && claims.iss === wanted.issuer && [claims.aud].flat().includes(wanted.audience);
    return right ? claims : refuse("The access token was refused by Supabase.");
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof errors.JWTExpired) throw new ApiError("token_expired", "The access token has expired.");
    return refuse(`The access token is not good: ${(error as Error).message}.`);
  }
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

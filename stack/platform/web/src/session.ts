/** Configuration, the Supabase client and who is signed in. */
import { createClient, type Session, type SupabaseClient } from "@supabase/supabase-js";

export interface Config {
  supabaseUrl: string; supabaseKey: string; builderKey?: string; builderApiUrl: string; builderEditorUrl: string; sentryDsn?: string; sentryEnvironment: string;
  datadogClientToken?: string; datadogApplicationId?: string; mixpanelToken?: string; ga4MeasurementId?: string; oauthProviders: string[]; version: string;
  limits: { r2Above: number; oneRequest: number; file: number; part: number; types: string[] };
}

export let config: Config;
export let supabase: SupabaseClient;
let session: Session | null = null;

export async function start(): Promise<void> {
  const answer = await fetch("/config.json");
  if (!answer.ok) throw new Error(`The platform's configuration could not be read (${answer.status}).`);
  config = (await answer.json()) as Config;
  supabase = createClient(config.supabaseUrl, config.supabaseKey, { auth: { flowType: "pkce", detectSessionInUrl: false, persistSession: true, autoRefreshToken: true } });
  session = (await supabase.auth.getSession()).data.session;
}

export const currentSession = (): Session | null => session;
export const userId = (): string | undefined => session?.user.id;

/** Calls back with every change of who is signed in, also in another tab. */
export function onSession(callback: (now: Session | null, event: string) => void): void {
  supabase.auth.onAuthStateChange((event, now) => {
    session = now;
    // Not within supabase-js' own lock: its methods may be called by what follows.
    setTimeout(() => callback(now, event));
  });
}

export async function token(): Promise<string | undefined> {
  return (await supabase.auth.getSession()).data.session?.access_token;
}

/** The data of a Supabase answer, or its error thrown. */
export function got<R extends { data?: unknown; error: { message: string } | null }>({ data, error }: R): NonNullable<R["data"]> {
  if (error) throw new Error(error.message);
  return data as NonNullable<R["data"]>;
}

export class ApiFailure extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly details: Record<string, unknown> = {}) { super(message); }
}

/** A call to the Worker's API as the signed-in user. Throws ApiFailure. */
export async function api<T>(path: string, init: RequestInit & { json?: unknown } = {}): Promise<T> {
  const headers = new Headers(init.headers);
  const bearer = await token();
  if (bearer) headers.set("authorization", `Bearer ${bearer}`);
  if (init.json !== undefined) headers.set("content-type", "application/json");
  const answer = await fetch(path, { ...init, headers, body: init.json === undefined ? init.body : JSON.stringify(init.json) });
  if (answer.status === 204) return undefined as T;
  const body = (await answer.json().catch(() => ({}))) as T & { error?: { code: string; message: string; details: Record<string, unknown> } };
  if (!answer.ok) throw new ApiFailure(answer.status, body.error?.code ?? "unknown", body.error?.message ?? `The platform answered ${answer.status}.`, body.error?.details);
  return body;
}

/** GDPR: everything a person has here, in one document, and its end everywhere (prod.compliance). */
import { forget, limit, requireUser, type User } from "./auth";
import { type Call, type Env } from "./env";
import { type FileRow, signedLink } from "./files";
import { ApiError, from, isUuid, json, readJson, UpstreamError } from "./http";
import { emptyTrash } from "./janitor";
import { demand, rows, rpc, storage, supabase } from "./supabase";
import { eraseAtGa4, eraseAtMixpanel } from "./telemetry";

const people = (env: Env, id: string) => env.PEOPLE.get(env.PEOPLE.idFromName(id));
const room = (env: Env, name: string) => env.ROOMS.get(env.ROOMS.idFromName(name));

/** GET /api/privacy/export */
export async function exportMine(call: Call): Promise<Response> {
  const user = await requireUser(call);
  await limit(call.env.LIMIT_PRIVACY, user.id);
  const account = await demand(call.env, `/auth/v1/admin/users/${user.id}`, { service: "auth" });
  const data = await rpc<{ files: (FileRow & { links?: unknown })[] } & Record<string, unknown>>(call.env, "privacy_export", { p_user: user.id });
  for (const file of data.files) {
    if (file.status === "ready") file.links = [await signedLink(call, file, file.version, 86_400)];
  }
  const messages: Record<string, object[]> = {};
  for (const name of await people(call.env, user.id).rooms()) messages[name] = (await room(call.env, name).exportPerson(user.id)) as object[];
  const document = {
    exported_at: new Date().toISOString(), user: await from("auth", account.json()), ...data, room_messages: messages,
    analytics: { mixpanel_distinct_id: user.id, ga4_user_id: user.id, note: "Kept by the providers under this id, only after consent." },
  };
  return json(document, 200, { "content-disposition": `attachment; filename="my-data-${user.id.slice(0, 8)}.json"` });
}

/** POST /api/privacy/erase: each part is tried whatever becomes of the others; the account goes last, so it can be repeated. */
export async function eraseMine(call: Call): Promise<Response> {
  const user = await requireUser(call);
  await limit(call.env.LIMIT_PRIVACY, user.id);
  const { confirm } = await readJson(call);
  if (typeof confirm !== "string" || confirm.trim().toLowerCase() !== user.email.toLowerCase())
    throw new ApiError("bad_request", "confirm must be the account's e-mail address.");
  const work = erase(call, user);
  call.ctx.waitUntil(work.catch(() => undefined));
  const erased = await work;
  return json({ erased }, Object.values(erased).some((v) => v.startsWith("failed")) ? 207 : 200);
}

async function erase(call: Call, user: User): Promise<Record<string, string>> {
  const { env } = call;
  const parts: [string, () => Promise<string | void>][] = [
    ["rooms", async () => {
      for (const name of await people(env, user.id).rooms()) {
        await room(env, name).erasePerson(user.id);
        await people(env, user.id).forget(name);
      }
    }],
    ["mixpanel", () => eraseAtMixpanel(call, user.id)],
    ["ga4", () => eraseAtGa4(call, user.id)],
    ["database", async () => { await rpc(env, "privacy_erase", { p_user: user.id }); }],
    ["files", async () => { while ((await emptyTrash(env)) > 0); }],
    ["r2", async () => {
      for (let more = true; more; ) {
        const left = await env.R2.list({ prefix: `${user.id}/`, limit: 1000 });
        if (left.objects.length) await env.R2.delete(left.objects.map((o) => o.key));
        more = left.truncated;
      }
    }],
    ["storage", async () => {
      const left = await rows<unknown>(env, `object_trash?select=id&store=eq.supabase&object_key=like.${user.id}/*`);
      if (left.rows.length) throw new Error("objects are still waiting for deletion");
      if (isUuid(user.id)) await removeAvatars(env, user.id);
    }],
    ["kv", async () => {
      for (let cursor: string | undefined, done = false; !done; ) {
        const found: KVNamespaceListResult<unknown> = await env.KV.list({ prefix: `user:${user.id}`, cursor });
        for (const key of found.keys) await env.KV.delete(key.name);
        done = found.list_complete;
        cursor = found.list_complete ? undefined : found.cursor;
      }
    }],
  ];
  const erased: Record<string, string> = {};
  for (const [name, part] of parts) erased[name] = await outcome(part);
  const stuck = Object.values(erased).some((v) => v.startsWith("failed"));
  erased.auth = stuck ? "failed: waits for the parts above" : await outcome(async () => {
    const answer = await supabase(env, `/auth/v1/admin/users/${user.id}`, { method: "DELETE", service: "auth", headers: { "content-type": "application/json" }, body: "{}" });
    await answer.body?.cancel();
    if (!answer.ok && answer.status !== 404) throw new UpstreamError("auth", `Auth answered ${answer.status}.`);
    await forget(env, user);
  });
  return erased;
}

const outcome = async (part: () => Promise<string | void>): Promise<string> => {
  try {
    return (await part()) ?? "done";
  } catch (error) {
    return `failed: ${(error as Error).message}`;
  }
};

/** Removes every picture below a folder, and tells how many went. A listing is one page of it; what has no id is a folder. */
async function removeAvatars(env: Env, folder: string): Promise<number> {
  for (let all = 0; ; ) {
    const listed = await demand(env, "/storage/v1/object/list/avatars", { method: "POST", json: { prefix: folder, limit: 1000, offset: 0 }, service: "storage" });
    const found = await from("storage", listed.json<{ name: string; id: string | null }[]>());
    if (!found.length) return all;
    let gone = 0;
    for (const { name } of found.filter((o) => o.id === null)) gone += await removeAvatars(env, `${folder}/${name}`);
    const names = found.filter((o) => o.id !== null).map((o) => `${folder}/${o.name}`);
    if (names.length) gone += ((await (await storage.remove(env, names, "avatars")).json()) as unknown[]).length;
    if (!gone) throw new Error("pictures could not be removed");
    all += gone;
  }
}

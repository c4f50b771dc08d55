/** Cleans up after half-finished uploads and deleted files, and remembers webhooks that were already taken. */
import { DurableObject } from "cloudflare:workers";
import { cut } from "../shared/text";
import type { Env } from "./env";
import { demand, rows, rpc, storage } from "./supabase";

interface Trash { id: number; store: "supabase" | "r2"; object_key: string; multipart_id: string | null; tries: number }

/** Deletes the objects whose rows are gone; what fails stays, with its error, for the next time. Returns how many went. */
export async function emptyTrash(env: Env): Promise<number> {
  const { rows: trash } = await rows<Trash>(env, "object_trash?select=id,store,object_key,multipart_id,tries&order=tries,id&limit=200");
  const [inStorage, plain] = [trash.filter((t) => t.store === "supabase"), trash.filter((t) => t.store === "r2" && !t.multipart_id)];
  const groups = [inStorage, plain, ...trash.filter((t) => t.multipart_id).map((t) => [t])].filter((g) => g.length);
  let gone = 0;
  for (const group of groups) {
    const ids = group.map((t) => t.id).join(",");
    try {
      if (group[0]!.store === "supabase") await storage.remove(env, group.map((t) => t.object_key));
      else await removeFromR2(env, group);
      await demand(env, `/rest/v1/object_trash?id=in.(${ids})`, { method: "DELETE", service: "database" });
      gone += group.length;
    } catch (error) {
      const json = { tries: group[0]!.tries + 1, last_error: cut(String(error), 500) };
      await demand(env, `/rest/v1/object_trash?id=in.(${ids})`, { method: "PATCH", json, service: "database" });
    }
  }
  return gone;
}

async function removeFromR2(env: Env, trash: Trash[]): Promise<void> {
  for (const { object_key, multipart_id } of trash) {
    if (!multipart_id) continue;
    try {
      await env.R2.resumeMultipartUpload(object_key, multipart_id).abort();
    } catch (error) {
      // Already completed or aborted: the object itself is deleted next.
      if (!/10024|does not exist|NoSuchUpload/i.test(String(error))) throw error;
    }
  }
  await env.R2.delete(trash.map((t) => t.object_key));
}

export class Janitor extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID");
  }

  /** Starts the periodic sweep; it goes on by itself, also after a restart. */
  async arm(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + this.period());
  }

  /** True the first time a key is shown, false while it is remembered. */
  async once(key: string, seconds: number): Promise<boolean> {
    const now = Date.now();
    this.ctx.storage.sql.exec("DELETE FROM seen WHERE until < ?", now);
    const cursor = this.ctx.storage.sql.exec("INSERT OR IGNORE INTO seen (key, until) VALUES (?, ?)", key, now + seconds * 1000);
    return cursor.rowsWritten > 0;
  }

  /** Takes a key back, when what it stood for was not done after all. */
  async again(key: string): Promise<void> {
    this.ctx.storage.sql.exec("DELETE FROM seen WHERE key = ?", key);
  }

  override async alarm(): Promise<void> {
    try {
      await rpc(this.env, "uploads_expire", {});
      await emptyTrash(this.env);
    } catch (error) {
      console.error("sweep failed, tried again at the next alarm:", String(error));
    } finally {
      await this.ctx.storage.setAlarm(Date.now() + this.period());
    }
  }

  private period(): number {
    return Number(this.env.SWEEP_SECONDS ?? 60) * 1000;
  }
}

let armed = false;
/** Makes sure, once in an isolate's life, that the sweeper runs. */
export async function armJanitor(env: Env): Promise<void> {
  if (armed) return;
  await janitor(env).arm();
  armed = true;
}

export const janitor = (env: Env): DurableObjectStub<Janitor> => env.JANITOR.get(env.JANITOR.idFromName("janitor"));

/** Where a person has been: one small object each, so that export and erasure find every room (P6.3, GDPR). */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env";

export class People extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rooms (name TEXT PRIMARY KEY) WITHOUT ROWID");
  }

  note(room: string): void {
    this.ctx.storage.sql.exec("INSERT OR IGNORE INTO rooms (name) VALUES (?)", room);
  }

  rooms(): string[] {
    return this.ctx.storage.sql.exec<{ name: string }>("SELECT name FROM rooms ORDER BY name").toArray().map((r) => r.name);
  }

  forget(room: string): void {
    this.ctx.storage.sql.exec("DELETE FROM rooms WHERE name = ?", room);
  }
}

/**
 * A room (P5.1, P5.2): one Durable Object. Messages are ordered by its SQLite table's ids; sockets hibernate, and what is
 * needed of each survives in its attachment. Frames are specified in API.md, section 3.
 */
import { DurableObject } from "cloudflare:workers";
import { cut } from "../shared/text";
import { verify } from "./auth";
import type { Env } from "./env";
import { ApiError } from "./http";

interface Session { conn: string; id: string; name: string; status: string; exp: number }
interface Message { id: number; client_id: string; user_id: string; name: string; body: string; at: number }
interface Bucket { tokens: number; at: number }

const FRAME_MAX = 16 * 1024;
const BODY_MAX = 4000;
const KEPT = 1000;
const BURST = 20;
const PER_SECOND = 10;
const STATUSES = ["online", "away", "busy"];
export const CLOSED = { expired: 4401, erased: 4403 } as const;

const frame = (m: Message) => ({ type: "message", id: m.id, client_id: m.client_id, user: { id: m.user_id, name: m.name }, body: m.body, at: m.at });

export class Room extends DurableObject<Env> {
  private readonly sql: SqlStorage;
  private readonly sessions = new Map<WebSocket, Session>();
  private readonly buckets = new WeakMap<WebSocket, Bucket>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec(`
      CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, client_id TEXT NOT NULL, user_id TEXT NOT NULL,
        name TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (user_id, client_id));
      CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY) WITHOUT ROWID;`);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    for (const ws of ctx.getWebSockets()) this.sessions.set(ws, ws.deserializeAttachment() as Session);
  }

  /** A verified person's socket; the Worker tells who in headers that it alone sets. */
  override async fetch(request: Request): Promise<Response> {
    const get = (name: string) => request.headers.get(`x-room-${name}`)!;
    const session: Session = { conn: crypto.randomUUID(), id: get("user"), name: decodeURIComponent(get("name")), status: "online", exp: Number(get("exp")) };
    const room = get("id");
    // Where a person has been is noted before anything else, so that export and erasure find every room.
    if (this.sql.exec("SELECT 1 FROM people WHERE id = ?", session.id).toArray().length === 0) {
      await this.env.PEOPLE.get(this.env.PEOPLE.idFromName(session.id)).note(room);
      this.sql.exec("INSERT OR IGNORE INTO people (id) VALUES (?)", session.id);
    }
    await this.wakeBy(session.exp * 1000);
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment(session);
    const already = [...this.sessions.values()].some((s) => s.id === session.id);
    const members = this.members();
    this.sessions.set(server, session);
    const since = request.headers.get("x-room-since");
    const { messages, more } = since === null || since === "" ? this.latest(50) : this.after(Number(since), 500);
    const me = { id: session.id, name: session.name };
    if (!already) members.push({ ...me, status: session.status });
    server.send(JSON.stringify({ type: "welcome", room, you: { ...me, conn: session.conn }, last_id: this.lastId(), members, messages, more, expires_at: session.exp }));
    if (!already) this.tell({ type: "presence", event: "join", user: me, status: session.status }, server);
    return new Response(null, { status: 101, webSocket: client, headers: request.headers.get("sec-websocket-protocol") ? { "sec-websocket-protocol": "assay.v1" } : {} });
  }

  override async webSocketMessage(ws: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const session = this.sessions.get(ws);
    if (!session) return ws.close(1011, "unknown socket");
    if (session.exp * 1000 <= Date.now()) return this.end(ws, CLOSED.expired, "token expired");
    const wait = this.overRate(ws);
    let clientId: string | undefined;
    const refuse = (code: string, message: string, more: object = {}) =>
      ws.send(JSON.stringify({ type: "error", code, message, ...(clientId === undefined ? {} : { client_id: clientId }), ...more }));
    if (typeof data !== "string") return refuse("bad_frame", "Frames are text.");
    if (data.length > FRAME_MAX) return refuse("too_large", `A frame has at most ${FRAME_MAX} characters.`);
    let said: Record<string, unknown>;
    try {
      said = JSON.parse(data) as Record<string, unknown>;
    } catch {
      return refuse("bad_json", "The frame is not JSON.");
    }
    if (typeof said !== "object" || said === null || Array.isArray(said)) return refuse("bad_frame", "A frame is a JSON object.");
    if (typeof said.client_id === "string") clientId = cut(said.client_id, 64);
    if (wait > 0) return refuse("rate_limited", "Too fast: wait a moment.", { retry_after_ms: wait });
    switch (said.type) {
      case "send": return this.take(ws, session, said, refuse);
      case "typing": return this.tell({ type: "typing", user: { id: session.id, name: session.name }, on: said.on === true }, ws);
      case "status": {
        if (!STATUSES.includes(said.status as string)) return refuse("bad_frame", `status is one of ${STATUSES.join(", ")}.`);
        for (const [other, it] of this.sessions) {
          if (it.id !== session.id) continue;
          it.status = said.status as string;
          other.serializeAttachment(it);
        }
        return this.tell({ type: "presence", event: "status", user: { id: session.id, name: session.name }, status: said.status });
      }
      case "replay": {
        const since = said.since, limit = said.limit ?? 500;
        if (!Number.isSafeInteger(since) || !Number.isSafeInteger(limit) || (limit as number) < 1 || (limit as number) > 500)
          return refuse("bad_frame", "since is a message id, limit 1 to 500.");
        return ws.send(JSON.stringify({ type: "history", ...this.after(since as number, limit as number) }));
      }
      case "auth": {
        try {
          const user = await verify(this.env, String(said.token ?? ""));
          if (user.id !== session.id) return refuse("forbidden", "The token is another person's.");
          session.exp = user.expiresAt;
          ws.serializeAttachment(session);
          await this.wakeBy(session.exp * 1000);
          return ws.send(JSON.stringify({ type: "authed", expires_at: session.exp }));
        } catch (error) {
          return refuse("forbidden", error instanceof ApiError ? error.message : "The token could not be verified.");
        }
      }
      default: return refuse("unknown_type", "type is send, typing, status, replay or auth.");
    }
  }

  private take(ws: WebSocket, session: Session, said: Record<string, unknown>, refuse: (code: string, message: string) => void): void {
    const { client_id } = said;
    const body = typeof said.body === "string" ? said.body.toWellFormed() : said.body; // as it will be read back
    if (typeof client_id !== "string" || client_id.length < 1 || client_id.length > 64) return refuse("bad_frame", "client_id has 1 to 64 characters.");
    if (typeof body !== "string" || !body.trim()) return refuse("empty", "body is a text that is not empty.");
    if (body.length > BODY_MAX) return refuse("too_large", `body has at most ${BODY_MAX} characters.`);
    const known = this.sql.exec<{ id: number; at: number }>("SELECT id, at FROM messages WHERE user_id = ? AND client_id = ?", session.id, client_id).toArray()[0];
    if (known) return ws.send(JSON.stringify({ type: "ack", client_id, ...known, duplicate: true }));
    const at = Date.now();
    const { id } = this.sql.exec<{ id: number }>(
      "INSERT INTO messages (client_id, user_id, name, body, at) VALUES (?, ?, ?, ?, ?) RETURNING id", client_id, session.id, session.name, body, at).one();
    if (id % 100 === 0) this.sql.exec("DELETE FROM messages WHERE id <= ?", id - KEPT);
    // The runtime holds these frames back until the row is on disk: an ack means durable.
    ws.send(JSON.stringify({ type: "ack", client_id, id, at, duplicate: false }));
    this.tell(frame({ id, client_id, user_id: session.id, name: session.name, body, at }));
  }

  override webSocketClose(ws: WebSocket, code: number): void {
    this.leave(ws);
    try { ws.close(code === 1005 || code === 1006 ? 1000 : code); } catch { /* closed already */ }
  }

  override webSocketError(ws: WebSocket): void {
    this.leave(ws);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    for (const [ws, s] of this.sessions) if (s.exp * 1000 <= now) this.end(ws, CLOSED.expired, "token expired");
    const next = Math.min(...[...this.sessions.values()].map((s) => s.exp * 1000));
    if (Number.isFinite(next)) await this.wakeBy(next);
  }

  /** Messages after an id, oldest first; for the API and for replay. */
  after(since: number, limit: number): { messages: object[]; more: boolean } {
    const found = this.sql.exec<Message & Record<string, SqlStorageValue>>("SELECT * FROM messages WHERE id > ? ORDER BY id LIMIT ?", since, limit + 1).toArray();
    return { messages: found.slice(0, limit).map(frame), more: found.length > limit };
  }

  history(since: number, limit: number): object {
    const first = this.sql.exec<{ id: number | null }>("SELECT min(id) AS id FROM messages").one().id;
    return { ...this.after(since, limit), last_id: this.lastId(), first_id: first ?? 0 };
  }

  presence(): object {
    return { members: this.members(), sockets: this.sessions.size };
  }

  exportPerson(id: string): object[] {
    return this.sql.exec<Message & Record<string, SqlStorageValue>>("SELECT * FROM messages WHERE user_id = ? ORDER BY id", id).toArray()
      .map((m) => ({ id: m.id, body: m.body, at: new Date(m.at).toISOString() }));
  }

  /** Blanks a person's messages (ids stay, so the order has no holes) and ends their sockets. */
  erasePerson(id: string): number {
    for (const [ws, s] of this.sessions) if (s.id === id) this.end(ws, CLOSED.erased, "account erased");
    const { n } = this.sql.exec<{ n: number }>("SELECT count(*) AS n FROM messages WHERE user_id = ?", id).one();
    this.sql.exec("UPDATE messages SET user_id = '', name = '', body = '', client_id = 'erased-' || id WHERE user_id = ?", id);
    this.sql.exec("DELETE FROM people WHERE id = ?", id);
    this.tell({ type: "erased", user_id: id });
    return n;
  }

  ping(): boolean {
    return this.sql.exec("SELECT 1").toArray().length === 1;
  }

  private latest(limit: number): { messages: object[]; more: boolean } {
    const found = this.sql.exec<Message & Record<string, SqlStorageValue>>("SELECT * FROM messages ORDER BY id DESC LIMIT ?", limit + 1).toArray();
    return { messages: found.slice(0, limit).reverse().map(frame), more: found.length > limit };
  }

  private lastId(): number {
    return this.sql.exec<{ id: number }>("SELECT coalesce(max(seq), 0) AS id FROM sqlite_sequence WHERE name = 'messages'").one().id;
  }

  private members(): { id: string; name: string; status: string }[] {
    const byId = new Map([...this.sessions.values()].map(({ id, name, status }) => [id, { id, name, status }]));
    return [...byId.values()];
  }

  private tell(what: object, except?: WebSocket): void {
    const text = JSON.stringify(what);
    for (const ws of this.sessions.keys()) {
      if (ws === except) continue;
      try { ws.send(text); } catch { /* it is closing; webSocketClose follows */ }
    }
  }

  private end(ws: WebSocket, code: number, reason: string): void {
    this.leave(ws);
    try { ws.close(code, reason); } catch { /* closed already */ }
  }

  private leave(ws: WebSocket): void {
    const session = this.sessions.get(ws);
    if (!session) return;
    this.sessions.delete(ws);
    if (![...this.sessions.values()].some((s) => s.id === session.id))
      this.tell({ type: "presence", event: "leave", user: { id: session.id, name: session.name }, status: session.status });
  }

  /** Milliseconds to wait, 0 when the frame may pass. */
  private overRate(ws: WebSocket): number {
    const now = Date.now();
    const bucket = this.buckets.get(ws) ?? { tokens: BURST, at: now };
    bucket.tokens = Math.min(BURST, bucket.tokens + ((now - bucket.at) / 1000) * PER_SECOND);
    bucket.at = now;
    this.buckets.set(ws, bucket);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / PER_SECOND) * 1000);
    bucket.tokens -= 1;
    return 0;
  }

  private async wakeBy(at: number): Promise<void> {
    const due = await this.ctx.storage.getAlarm();
    if (due === null || due > at) await this.ctx.storage.setAlarm(at);
  }
}

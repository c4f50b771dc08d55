/** A room's connection: joins again by itself with `since`, and sends what was not acknowledged again (at least once). */
import { token } from "./session";

export interface Message { id: number; client_id: string; user: { id: string; name: string }; body: string; at: number }
export interface Member { id: string; name: string; status: string }
export type Frame = { type: string } & Record<string, unknown>;
export type Link = "connecting" | "online" | "reconnecting" | "offline";

const BACKOFF_MS = [250, 500, 1000, 2000, 5000];
const SILENCE_MS = 25_000;

export class RoomSocket {
  lastId = 0;
  private ws?: WebSocket;
  private attempts = 0;
  private closed = false;
  private heard = 0;
  private timer?: number;
  private beat?: number;
  private readonly unacknowledged = new Map<string, string>();

  constructor(private readonly room: string, private readonly frame: (frame: Frame) => void, private readonly link: (state: Link, why?: string) => void) {
    addEventListener("online", this.retry);
    addEventListener("offline", this.cut);
    void this.connect();
  }

  /** Sends a message; it is kept until the room says that it is durable. */
  send(body: string): string {
    const client_id = crypto.randomUUID();
    this.unacknowledged.set(client_id, body);
    this.put({ type: "send", client_id, body });
    return client_id;
  }

  put(frame: Frame): void {
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(frame));
  }

  close(): void {
    this.closed = true;
    removeEventListener("online", this.retry);
    removeEventListener("offline", this.cut);
    clearTimeout(this.timer);
    clearInterval(this.beat);
    this.ws?.close(1000, "left");
  }

  private readonly retry = (): void => {
    if (this.closed || this.ws?.readyState === WebSocket.OPEN) return;
    clearTimeout(this.timer);
    void this.connect();
  };

  private readonly cut = (): void => { this.link("offline"); this.ws?.close(); };

  private async connect(): Promise<void> {
    this.link(this.attempts || this.lastId ? "reconnecting" : "connecting");
    const bearer = await token().catch(() => undefined);
    if (this.closed || !navigator.onLine) return; // "online" calls again
    if (!bearer) return this.link("offline", "You are no longer signed in.");
    const url = new URL(`/api/rooms/${this.room}`, location.href.replace(/^http/, "ws"));
    if (this.lastId) url.searchParams.set("since", String(this.lastId));
    const ws = new WebSocket(url, ["assay.v1", `token.${bearer}`]);
    this.ws = ws;
    ws.onmessage = (event) => {
      this.heard = Date.now();
      if (event.data === "pong") return;
      this.take(JSON.parse(String(event.data)) as Frame);
    };
    ws.onclose = (event) => {
      clearInterval(this.beat);
      if (this.closed || ws !== this.ws) return;
      if (event.code === 4403) return this.link("offline", "This account was deleted.");
      const wait = BACKOFF_MS[Math.min(this.attempts++, BACKOFF_MS.length - 1)]! * (0.75 + Math.random() / 2);
      this.link(navigator.onLine ? "reconnecting" : "offline");
      this.timer = window.setTimeout(() => void this.connect(), wait);
    };
    this.beat = window.setInterval(() => {
      if (Date.now() - this.heard > 2 * SILENCE_MS) ws.close(); // a dead line is noticed though no close arrives
      else if (ws.readyState === WebSocket.OPEN) ws.send("ping");
    }, SILENCE_MS);
  }

  private take(frame: Frame): void {
    if (frame.type === "welcome") {
      this.attempts = 0;
      this.link("online");
      this.frame(frame);
      for (const message of frame.messages as Message[]) this.message(message);
      if (frame.more && this.lastId) this.put({ type: "replay", since: this.lastId });
      for (const [client_id, body] of this.unacknowledged) this.put({ type: "send", client_id, body });
      const ends = (frame.expires_at as number) * 1000 - Date.now();
      window.setTimeout(() => void this.renew(), Math.max(1000, Math.min(ends - 30_000, 2 ** 31 - 1)));
    } else if (frame.type === "history") {
      for (const message of frame.messages as Message[]) this.message(message);
      if (frame.more) this.put({ type: "replay", since: this.lastId });
    } else if (frame.type === "message") {
      this.message(frame as unknown as Message);
    } else {
      if (frame.type === "ack") this.unacknowledged.delete(frame.client_id as string);
      if (frame.type === "error" && typeof frame.client_id === "string") {
        const body = this.unacknowledged.get(frame.client_id);
        if (frame.code === "rate_limited" && body !== undefined) {
          window.setTimeout(() => this.put({ type: "send", client_id: frame.client_id, body }), (frame.retry_after_ms as number) + 50);
          return;
        }
        this.unacknowledged.delete(frame.client_id);
      }
      this.frame(frame);
    }
  }

  /** Each message once, whatever was delivered twice. */
  private message(message: Message): void {
    if (message.id <= this.lastId) return;
    this.lastId = message.id;
    this.unacknowledged.delete(message.client_id);
    this.frame({ ...message, type: "message" });
  }

  private async renew(): Promise<void> {
    const bearer = await token().catch(() => undefined);
    if (!this.closed && bearer) this.put({ type: "auth", token: bearer });
  }
}

/** Uploading from the browser: small files in one request, large ones in parts that survive a cut network and a reload. */
import { api, ApiFailure, config, token } from "./session";

export interface FileInfo { id: string; name: string; folder: string; size: number; mime: string; sha256: string; store: string; version: number; created_at: string; updated_at: string }
interface Started { id: string; part_size: number; parts: number; received: number[] }
export type State = "uploading" | "paused" | "waiting" | "done" | "failed" | "cancelled";

const PARALLEL = 3;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

/** One file on its way. `changed` is called with every progress or change of state. */
export class Upload {
  state: State = "uploading";
  sent = 0;
  error = "";
  file?: FileInfo;
  private running = new Set<XMLHttpRequest>();
  private partial = new Map<number, number>();
  private started?: Started;
  private readonly memory: string;

  constructor(readonly source: File, readonly folder: string, private readonly changed: (upload: Upload) => void) {
    this.memory = `upload:${folder}:${source.name}:${source.size}:${source.lastModified}`;
  }

  async run(): Promise<void> {
    this.become("uploading");
    try {
      this.file = this.source.size > config.limits.r2Above ? await this.inParts() : await this.whole();
      this.sent = this.source.size;
      this.become("done");
    } catch (error) {
      if (this.state === "paused" || this.state === "cancelled") return;
      this.error = error instanceof Error ? error.message : String(error);
      this.become("failed");
    }
  }

  pause(): void {
    if (this.state !== "uploading" && this.state !== "waiting") return;
    this.become("paused");
    for (const xhr of this.running) xhr.abort();
  }

  async cancel(): Promise<void> {
    this.become("cancelled");
    for (const xhr of this.running) xhr.abort();
    localStorage.removeItem(this.memory);
    if (this.started) await api(`/api/upload/${this.started.id}`, { method: "DELETE" }).catch((e: ApiFailure) => { if (e.status !== 404) throw e; });
  }

  private become(state: State): void {
    this.state = state;
    this.changed(this);
  }

  private get type(): string {
    const known: Record<string, string> = { md: "text/markdown", csv: "text/csv", txt: "text/plain", json: "application/json" };
    const named = known[this.source.name.split(".").pop()!.toLowerCase()];
    return config.limits.types.includes(this.source.type) ? this.source.type : (named ?? (this.source.type || "application/octet-stream"));
  }

  private async whole(): Promise<FileInfo> {
    const sum = await crypto.subtle.digest("SHA-256", await this.source.arrayBuffer());
    const hex = [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, "0")).join("");
    const query = new URLSearchParams({ name: this.source.name, folder: this.folder });
    const body = await this.send("POST", `/api/upload?${query}`, this.source, 0, { "content-type": this.type, "x-content-sha256": hex });
    return (body as { file: FileInfo }).file;
  }

  private async inParts(): Promise<FileInfo> {
    this.started = await this.resume() ?? (await api<{ upload: Started }>("/api/upload/start", {
      method: "POST", json: { name: this.source.name, folder: this.folder, size: this.source.size, mime: this.type } })).upload;
    localStorage.setItem(this.memory, this.started.id);
    const { id, part_size, parts } = this.started;
    const there = new Set(this.started.received);
    for (const n of there) this.partial.set(n, this.sizeOf(n));
    const left = Array.from({ length: parts }, (_, i) => i + 1).filter((n) => !there.has(n));
    const worker = async () => {
      for (let n = left.shift(); n !== undefined; n = left.shift()) {
        await this.send("PUT", `/api/upload/${id}/parts/${n}`, this.source.slice((n - 1) * part_size, n * part_size), n);
        this.started!.received.push(n);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    const { file } = await api<{ file: FileInfo }>(`/api/upload/${id}/complete`, { method: "POST", json: {} });
    localStorage.removeItem(this.memory);
    return file;
  }

  /** The same upload from before a pause, a cut or a reload, if the platform still has it. */
  private async resume(): Promise<Started | undefined> {
    const id = this.started?.id ?? localStorage.getItem(this.memory);
    if (!id) return undefined;
    try {
      return (await api<{ upload: Started }>(`/api/upload/${id}`)).upload;
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 404) return undefined;
      throw error;
    }
  }

  private sizeOf(n: number): number {
    const size = this.started!.part_size;
    return Math.min(size, this.source.size - (n - 1) * size);
  }

  /** Sends a body with progress; a cut network or a busy platform is waited for, an error that is ours is not. */
  private async send(method: string, path: string, body: Blob, n: number, headers: Record<string, string> = {}): Promise<unknown> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.once(method, path, body, n, headers);
      if (this.state !== "uploading" && this.state !== "waiting") throw new Error(this.state);
      if (answer && answer.status < 300) {
        if (this.state === "waiting") this.become("uploading");
        return JSON.parse(answer.text);
      }
      const passing = !answer || answer.status === 429 || answer.status >= 502;
      if (!passing || attempt >= RETRY_MS.length * 6) throw new Error(answer ? ((JSON.parse(answer.text || "{}") as { error?: { message: string } }).error?.message ?? `The platform answered ${answer.status}.`) : "The network is away.");
      this.partial.delete(n);
      this.become("waiting");
      const pause = (answer?.retryAfter ?? 0) * 1000 || RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]!;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, pause);
        function done(): void { clearTimeout(timer); removeEventListener("online", done); resolve(); }
        addEventListener("online", done);
      });
    }
  }

  private async once(method: string, path: string, body: Blob, n: number, headers: Record<string, string>): Promise<{ status: number; text: string; retryAfter: number } | undefined> {
    const bearer = await token().catch(() => undefined);
    return new Promise((resolve) => {
      const xhr = new XMLHttpRequest();
      this.running.add(xhr);
      xhr.open(method, path);
      for (const [name, value] of Object.entries({ ...headers, authorization: `Bearer ${bearer}` })) xhr.setRequestHeader(name, value);
      xhr.upload.onprogress = (event) => {
        this.partial.set(n, event.loaded);
        this.sent = [...this.partial.values()].reduce((a, b) => a + b, 0);
        this.changed(this);
      };
      xhr.onloadend = () => {
        this.running.delete(xhr);
        resolve(xhr.status ? { status: xhr.status, text: xhr.responseText, retryAfter: Number(xhr.getResponseHeader("retry-after")) } : undefined);
      };
      xhr.send(body);
    });
  }
}

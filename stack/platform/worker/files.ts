/** File management (P2.3): list and search, versions, rename, move, batch, download, signed links. */
import { cut, literal } from "../shared/text";
import { requireUser } from "./auth";
import { type Call, type Env } from "./env";
import { ApiError, from, hex, hmac, isUuid, json, readJson, sameSecret, UpstreamError } from "./http";
import { emptyTrash } from "./janitor";
import { presignR2 } from "./presign";
import { everyRow, rows, rpc, storage } from "./supabase";
import { checkFolder, checkName } from "./types";

export interface FileRow {
  id: string; name: string; folder: string; size: number; mime: string; sha256: string; store: "supabase" | "r2"; object_key: string;
  status: string; version: number; created_at: string; updated_at: string;
}
type VersionRow = Omit<FileRow, "name" | "folder" | "status" | "updated_at"> & { file_id: string };

const FILE = "id,name,folder,size,mime,sha256,store,object_key,status,version,created_at,updated_at";

export const fileOf = (row: FileRow): FileRow =>
  Object.fromEntries(FILE.split(",").map((key) => [key, row[key as keyof FileRow]])) as unknown as FileRow;

/** A value within quotes for PostgREST's or=(…). */
const quoted = (text: string) => encodeURIComponent(`"${text.replace(/[\\"]/g, "\\$&")}"`);

/** GET /api/files */
export async function listFiles(call: Call): Promise<Response> {
  const user = await requireUser(call);
  const q = call.url.searchParams;
  const number = (name: string, least: number, most: number, otherwise: number) => {
    const value = q.has(name) ? Number(q.get(name)) : otherwise;
    if (!Number.isInteger(value) || value < least || value > most) throw new ApiError("bad_request", `${name} is a number from ${least} to ${most}.`);
    return value;
  };
  const sort = q.get("sort") ?? "created_at", order = q.get("order") ?? "desc";
  if (!["name", "size", "created_at", "updated_at"].includes(sort) || !["asc", "desc"].includes(order))
    throw new ApiError("bad_request", "sort is name, size, created_at or updated_at; order is asc or desc.");
  const filters = [`select=${FILE}`, "status=eq.ready", `order=${sort}.${order},id.${order}`, `limit=${number("limit", 1, 200, 50)}`,
    `offset=${number("offset", 0, 1_000_000, 0)}`];
  if (q.get("q")) filters.push(`name=imatch.${encodeURIComponent(literal(cut(q.get("q")!.normalize("NFC"), 255)))}`);
  if (q.has("folder")) filters.push(`folder=eq.${encodeURIComponent(checkFolder(q.get("folder")))}`);
  const under = q.has("under") ? checkFolder(q.get("under")) : "/";
  if (under !== "/") filters.push(`or=(folder.eq.${quoted(under)},folder.match.${quoted(`^${literal(under)}/`)})`);
  const found = await rows<FileRow>(call.env, `files?${filters.join("&")}`, user.token, true);
  return json({ files: found.rows, total: found.total });
}

async function fileRow(env: Env, id: string, token?: string): Promise<FileRow> {
  const found = isUuid(id) ? (await rows<FileRow>(env, `files?select=${FILE}&id=eq.${id}&status=eq.ready`, token)).rows[0] : undefined;
  if (!found) throw new ApiError("file_not_found", "There is no such file.");
  return found;
}

/** GET /api/files/{id} */
export async function getFile(call: Call, id: string): Promise<Response> {
  const user = await requireUser(call);
  const file = await fileRow(call.env, id, user.token);
  const versions = await everyRow<VersionRow>(call.env, `file_versions?select=*&file_id=eq.${id}&order=version.desc`, user.token);
  return json({ file, versions });
}

/** Whether the database could hold it: a version is an `integer` there. */
const isVersion = (n: number): boolean => Number.isInteger(n) && Math.abs(n) < 2 ** 31;

type Op = { op: string; id: string; name?: string; folder?: string; version?: number; if_version?: number };

async function batch(call: Call, ops: Op[]): Promise<{ id: string; op: string; ok: boolean; file: FileRow | null }[]> {
  const user = await requireUser(call);
  const checked = ops.map((op, index) => {
    try {
      if (typeof op !== "object" || op === null || !isUuid(op.id)) throw new ApiError("file_not_found", "There is no such file.");
      const clean: Op = { op: op.op, id: op.id };
      if (op.op === "move") clean.folder = checkFolder(op.folder);
      if (op.op === "rename" || (op.op === "move" && op.name !== undefined)) clean.name = checkName(op.name);
      if (op.op === "rename" && op.folder !== undefined) clean.folder = checkFolder(op.folder);
      if (op.version !== undefined) clean.version = Number(op.version);
      if (op.if_version !== undefined) clean.if_version = Number(op.if_version);
      if (![clean.version ?? 1, clean.if_version ?? 1].every(isVersion)) throw new ApiError("bad_request", "A version is a number.");
      return clean;
    } catch (error) {
      if (error instanceof ApiError) Object.assign(error.details, { index });
      throw error;
    }
  });
  const results = await rpc<{ id: string; op: string; ok: boolean; file: FileRow | null }[]>(call.env, "files_batch", { p_owner: user.id, p_ops: checked });
  if (checked.some((op) => op.op === "delete")) {
    call.ctx.waitUntil(emptyTrash(call.env).catch((error) => console.error("objects are left to the sweeper:", String(error))));
  }
  return results;
}

/** POST /api/files/batch: all of it, or an error and none. */
export async function batchFiles(call: Call): Promise<Response> {
  const { ops } = await readJson(call);
  if (!Array.isArray(ops) || ops.length < 1 || ops.length > 100) throw new ApiError("bad_request", "ops is a list of 1 to 100 operations.");
  const unknown = ops.findIndex((o) => !["delete", "move", "rename"].includes((o as Op)?.op));
  if (unknown >= 0) throw new ApiError("bad_request", "An op is delete, move or rename.", { index: unknown });
  const results = await batch(call, ops as Op[]);
  return json({ results: results.map(({ id, op, ok }) => ({ id, op, ok })) });
}

/** PATCH /api/files/{id} */
export async function patchFile(call: Call, id: string): Promise<Response> {
  const { name, folder, if_version } = (await readJson(call)) as Partial<Op>;
  if (name === undefined && folder === undefined) throw new ApiError("bad_request", "Tell a name or a folder.");
  const op = name === undefined ? "move" : "rename";
  const [done] = await batch(call, [{ op, id, name, folder, if_version }]);
  return json({ file: fileOf(done!.file!) });
}

/** POST /api/files/{id}/restore */
export async function restoreFile(call: Call, id: string): Promise<Response> {
  const { version } = await readJson(call);
  const [done] = await batch(call, [{ op: "restore", id, version: version as number }]);
  return json({ file: fileOf(done!.file!) });
}

/** DELETE /api/files/{id} */
export async function deleteFile(call: Call, id: string): Promise<Response> {
  await batch(call, [{ op: "delete", id }]);
  return new Response(null, { status: 204 });
}

const linkSignature = async (env: Env, id: string, version: string, exp: string): Promise<string> =>
  hex(await hmac(await hmac(env.SUPABASE_SERVICE_KEY, "file links"), `${id}.${version}.${exp}`));

/** A link to a file's bytes, good for whoever holds it until it ends. */
export async function signedLink(call: Call, file: FileRow, version: number, seconds: number): Promise<{ url: string; expires_at: string }> {
  const exp = String(Math.floor(Date.now() / 1000) + seconds);
  const sig = await linkSignature(call.env, file.id, String(version), exp);
  return {
    url: `${call.url.origin}/api/files/${file.id}/content?version=${version}&exp=${exp}&sig=${sig}`,
    expires_at: new Date(Number(exp) * 1000).toISOString(),
  };
}

/** POST /api/files/{id}/link */
export async function linkFile(call: Call, id: string): Promise<Response> {
  const user = await requireUser(call);
  const { expires_in = 3600, version } = await readJson(call);
  if (!Number.isInteger(expires_in) || (expires_in as number) < 1 || (expires_in as number) > 604_800)
    throw new ApiError("bad_request", "expires_in is 1 to 604800 seconds.");
  const file = await fileRow(call.env, id, user.token);
  const wanted = version === undefined ? file.version : Number(version);
  await stored(call.env, file, String(wanted), user.token);
  return json(await signedLink(call, file, wanted, expires_in as number));
}

/** POST /api/files/{id}/direct: the browser reads a large file from R2 itself. */
export async function directFile(call: Call, id: string): Promise<Response> {
  const user = await requireUser(call);
  const file = await fileRow(call.env, id, user.token);
  if (file.store !== "r2") throw new ApiError("conflict", "This file is in Supabase Storage.", { store: file.store });
  return json({ url: await presignR2(call.env, file.object_key, 300), expires_at: new Date(Date.now() + 300_000).toISOString() });
}

async function stored(env: Env, file: FileRow, version: string | null, token?: string): Promise<FileRow | VersionRow> {
  if (version === null || Number(version) === file.version) return file;
  const n = Number(version);
  const found = isVersion(n) ? (await rows<VersionRow>(env, `file_versions?select=*&file_id=eq.${file.id}&version=eq.${n}`, token)).rows[0] : undefined;
  if (!found) throw new ApiError("file_not_found", "There is no such version.");
  return found;
}

/** One `bytes=` range of a body of `size` bytes; undefined: the whole. Throws bad_range. */
export function parseRange(header: string | null, size: number): { offset: number; length: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined; // several ranges or nonsense: the whole (RFC 9110 14.2)
  const offset = match[1] === "" ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === "" || match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (offset >= size || end < offset) throw new ApiError("bad_range", "The range is outside of the file.", { size }, { "content-range": `bytes */${size}` });
  return { offset, length: end - offset + 1 };
}

/** GET, HEAD /api/files/{id}/content */
export async function fileContent(call: Call, id: string): Promise<Response> {
  const { request, url, env } = call;
  const q = url.searchParams;
  let token: string | undefined;
  if (q.has("sig")) {
    const exp = q.get("exp") ?? "";
    if (!(await sameSecret(q.get("sig")!, await linkSignature(env, id, q.get("version") ?? "", exp)))) throw new ApiError("bad_signature", "This link was changed.");
    if (Number(exp) * 1000 <= Date.now()) throw new ApiError("link_expired", "This link has expired.");
  } else {
    token = (await requireUser(call)).token;
  }
  const file = await fileRow(env, id, token);
  const it = await stored(env, file, q.get("version"), token);
  const etag = `"${it.sha256}"`;
  const headers: Record<string, string> = {
    etag, "accept-ranges": "bytes", "content-type": it.mime, "x-store": it.store, "cache-control": "private, no-cache",
    "content-security-policy": "default-src 'none'; sandbox", "last-modified": new Date(it.created_at).toUTCString(),
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(file.name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`,
  };
  const none = request.headers.get("if-none-match");
  if (none && (none === "*" || none.split(",").some((t) => t.trim().replace(/^W\//, "") === etag))) return new Response(null, { status: 304, headers });
  const ifRange = request.headers.get("if-range");
  const range = ifRange && ifRange !== etag ? undefined : parseRange(request.headers.get("range"), it.size);
  if (range) headers["content-range"] = `bytes ${range.offset}-${range.offset + range.length - 1}/${it.size}`;
  const length = range?.length ?? it.size;
  if (request.method === "HEAD") return new Response(null, { status: range ? 206 : 200, headers: { ...headers, "content-length": String(length) } });
  const body = length === 0 ? null : await bytes(env, it, range);
  // A fixed length keeps a broken read from looking like a complete file.
  return new Response(body && body.pipeThrough(new FixedLengthStream(length)), { status: range ? 206 : 200, headers });
}

async function bytes(env: Env, it: FileRow | VersionRow, range?: { offset: number; length: number }): Promise<ReadableStream> {
  if (it.store === "r2") {
    const object = await from("r2", env.R2.get(it.object_key, range ? { range } : {}));
    if (!object) throw new UpstreamError("r2", "R2 does not have this object.");
    return object.body;
  }
  const answer = await storage.get(env, it.object_key, range ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {});
  if (answer.status !== (range ? 206 : 200)) throw new UpstreamError("storage", `Storage answered ${answer.status} for an object.`, { status: answer.status });
  return answer.body!;
}

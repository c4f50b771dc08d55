/**
 * Uploads (P2.1, P2.2): over 5 MiB to R2, else to Supabase Storage. The upload's row stands before the first byte and
 * becomes the file's row in one transaction at the end; whatever fails in between is dropped, and what a crash leaves
 * is swept by the Janitor after UPLOAD_TTL_SECONDS.
 */
import { limit, requireUser, type User } from "./auth";
import { type Call, type Env, FILE_MAX, ONE_REQUEST_MAX, PART_SIZE, QUOTA, R2_ABOVE } from "./env";
import { fileOf, type FileRow } from "./files";
import { ApiError, from, hex, isUuid, json, readJson, UpstreamError } from "./http";
import { armJanitor, emptyTrash } from "./janitor";
import { metric, transaction } from "./observe";
import { blocks, relay, TooShort } from "./streams";
import { rows, rpc, storage } from "./supabase";
import { acceptedType, checkContent, checkFolder, checkName, HEAD_BYTES } from "./types";

interface Upload {
  id: string; owner_id: string; file_id: string; size: number; mime: string; store: "supabase" | "r2"; object_key: string;
  multipart_id: string | null; part_size: number | null; parts: Record<string, { etag: string; size: number }>; expires_at: string;
}

/** How often an upload whose bytes are being hashed says that it lives. */
const ALIVE_MS = 10_000;

const ttl = (env: Env): number => Number(env.UPLOAD_TTL_SECONDS ?? 3600);

async function begin(call: Call, user: User, wanted: { name: unknown; folder: unknown; size: number; mime: string }, partSize?: number): Promise<Upload> {
  await armJanitor(call.env);
  return rpc<Upload>(call.env, "upload_begin", {
    p_owner: user.id, p_name: checkName(wanted.name), p_folder: checkFolder(wanted.folder), p_size: wanted.size, p_mime: wanted.mime,
    p_store: wanted.size > R2_ABOVE ? "r2" : "supabase", p_ttl: ttl(call.env), p_quota: QUOTA, p_part_size: partSize ?? null,
  });
}

/** Ends an upload and deletes what it stored, now if possible, else by the sweeper. */
async function drop(env: Env, upload: Upload): Promise<void> {
  try {
    await rpc(env, "upload_drop", { p_upload: upload.id, p_owner: upload.owner_id });
    await emptyTrash(env);
  } catch (error) {
    console.error("an upload is left to the sweeper:", upload.id, String(error));
  }
}

const wantedSum = (text: unknown): string | undefined => {
  if (text === undefined || text === null || text === "") return undefined;
  if (typeof text !== "string" || !/^[0-9a-f]{64}$/i.test(text)) throw new ApiError("bad_request", "A SHA-256 is 64 hexadecimal digits.");
  return text.toLowerCase();
};

function contentLength(call: Call, most: number): number {
  const told = call.request.headers.get("content-length");
  if (told === null || !/^\d+$/.test(told)) throw new ApiError("length_required", "Content-Length is needed.");
  if (Number(told) > most) throw new ApiError("too_large", `At most ${most} bytes fit in one request; larger files go in parts.`, { limit: most });
  return Number(told);
}

/** POST /api/upload: the whole file in one request. */
export async function uploadWhole(call: Call): Promise<Response> {
  const user = await requireUser(call);
  await limit(call.env.LIMIT_UPLOAD, user.id);
  const { request, url, env } = call;
  const size = contentLength(call, ONE_REQUEST_MAX);
  const mime = acceptedType(request.headers.get("content-type"));
  const sum = wantedSum(request.headers.get("x-content-sha256"));
  const started = Date.now();
  const upload = await begin(call, user, { name: url.searchParams.get("name"), folder: url.searchParams.get("folder"), size, mime });
  const work = store(env, upload, request.body, sum).catch(async (error) => {
    await drop(env, upload);
    throw error;
  });
  // The clean-up must go on when the client goes away, which cancels everything that is not waited for.
  call.ctx.waitUntil(work.catch(() => undefined));
  return finished(call, upload, started, work);
}

async function finished(call: Call, upload: Upload, started: number, work: Promise<FileRow>): Promise<Response> {
  const tell = (outcome: string) => {
    metric(call, "platform.upload.duration", Date.now() - started, [`store:${upload.store}`, `outcome:${outcome}`]);
    if (outcome === "ok") metric(call, "platform.upload.bytes", upload.size, [`store:${upload.store}`]);
    transaction(call, "POST /api/upload", "http.server", started, outcome === "ok" ? "ok" : "internal_error", { store: upload.store });
  };
  try {
    const file = await work;
    tell("ok");
    return json({ file: fileOf(file) }, 201);
  } catch (error) {
    tell(error instanceof ApiError ? error.code : "internal");
    throw error;
  }
}

async function store(env: Env, upload: Upload, body: ReadableStream<Uint8Array> | null, sum?: string): Promise<FileRow> {
  let sha: string;
  if (upload.store === "supabase") {
    const bytes = new Uint8Array(body ? await new Response(body).arrayBuffer() : []);
    if (bytes.length !== upload.size) throw new ApiError("bad_request", "The body is shorter than its Content-Length.");
    checkContent(upload.mime, bytes.subarray(0, HEAD_BYTES));
    sha = hex(await crypto.subtle.digest("SHA-256", bytes));
    if (sum && sum !== sha) throw new ApiError("checksum_mismatch", "The bytes do not have the SHA-256 that was told.", { sha256: sha });
    await storage.put(env, upload.object_key, bytes, upload.mime);
  } else {
    const digest = new crypto.DigestStream("SHA-256");
    await pour(env, upload, body!, digest);
    sha = hex(await digest.digest);
    if (sum && sum !== sha) throw new ApiError("checksum_mismatch", "The bytes do not have the SHA-256 that was told.", { sha256: sha });
  }
  return rpc<FileRow>(env, "upload_commit", { p_upload: upload.id, p_owner: upload.owner_id, p_size: upload.size, p_sha256: sha });
}

/** Streams the body into R2, hashing on the way. */
async function pour(env: Env, upload: Upload, body: ReadableStream<Uint8Array>, digest: WritableStream): Promise<void> {
  const sums = digest.getWriter();
  try {
    const put = (stream: ReadableStream) =>
      env.R2.put(upload.object_key, stream, { httpMetadata: { contentType: upload.mime }, customMetadata: { upload: upload.id } });
    await relay(body, upload.size, put, (block, at) => {
      if (at === 0) checkContent(upload.mime, block.subarray(0, HEAD_BYTES));
      return sums.write(block);
    });
    await sums.close();
  } catch (error) {
    await sums.abort(error).catch(() => undefined);
    throw notStored(error);
  }
}

/** Why R2 does not hold what a client sent: the client's fault by its code, else R2's. */
const notStored = (error: unknown): ApiError =>
  error instanceof ApiError ? error
    : error instanceof TooShort ? new ApiError("bad_request", "The body is shorter than its Content-Length.")
      : new UpstreamError("r2", `R2 did not take the bytes: ${String(error)}`);

const told = (u: Upload) => ({
  id: u.id, part_size: u.part_size, parts: Math.ceil(u.size / u.part_size!), store: u.store, size: u.size, expires_at: u.expires_at,
  received: Object.keys(u.parts).map(Number).sort((a, b) => a - b),
});

/** POST /api/upload/start: a large file in parts. */
export async function uploadStart(call: Call): Promise<Response> {
  const user = await requireUser(call);
  await limit(call.env.LIMIT_UPLOAD, user.id);
  const asked = await readJson(call);
  const size = Number(asked.size);
  if (!Number.isSafeInteger(size) || size <= R2_ABOVE) throw new ApiError("bad_request", "Parts are for files over 5 MiB.", { above: R2_ABOVE });
  if (size > FILE_MAX) throw new ApiError("too_large", "A file has at most 512 MiB.", { limit: FILE_MAX });
  const mime = acceptedType(asked.mime as string | undefined);
  wantedSum(asked.sha256);
  const upload = await begin(call, user, { name: asked.name, folder: asked.folder, size, mime }, PART_SIZE);
  try {
    const multipart = await from("r2", call.env.R2.createMultipartUpload(upload.object_key, { httpMetadata: { contentType: mime }, customMetadata: { upload: upload.id } }));
    const touched = await touch(call.env, upload, { p_multipart_id: multipart.uploadId });
    return json({ upload: told(touched) }, 201);
  } catch (error) {
    await drop(call.env, upload);
    throw error;
  }
}

const touch = (env: Env, upload: { id: string; owner_id: string }, more: Record<string, unknown> = {}): Promise<Upload> =>
  rpc<Upload>(env, "upload_touch", { p_upload: upload.id, p_owner: upload.owner_id, p_ttl: ttl(env), ...more });

async function mine(call: Call, user: User, id: string): Promise<Upload> {
  const found = isUuid(id) ? (await rows<Upload>(call.env, `uploads?select=*&id=eq.${id}&owner_id=eq.${user.id}&multipart_id=not.is.null`)).rows[0] : undefined;
  if (!found || Date.parse(found.expires_at) <= Date.now()) throw new ApiError("upload_not_found", "There is no such upload under way.");
  return found;
}

/** PUT /api/upload/{id}/parts/{n} */
export async function uploadPart(call: Call, id: string, part: string): Promise<Response> {
  const user = await requireUser(call);
  const n = Number(part);
  const length = contentLength(call, PART_SIZE);
  const upload = await mine(call, user, id);
  const count = Math.ceil(upload.size / upload.part_size!);
  if (!Number.isInteger(n) || n < 1 || n > count) throw new ApiError("bad_request", `Parts are numbered 1 to ${count}.`);
  const due = n < count ? upload.part_size! : upload.size - upload.part_size! * (count - 1);
  if (length !== due) throw new ApiError("part_mismatch", `Part ${n} has ${due} bytes, not ${length}.`, { expected: due, got: length });
  const put = (stream: ReadableStream) => call.env.R2.resumeMultipartUpload(upload.object_key, upload.multipart_id!).uploadPart(n, stream);
  const stored = await relay(call.request.body!, length, put, (block, at) => {
    if (n === 1 && at === 0) checkContent(upload.mime, block.subarray(0, HEAD_BYTES));
  }).catch((error: unknown) => { throw notStored(error); });
  await touch(call.env, upload, { p_part: n, p_etag: stored.etag, p_part_bytes: length });
  return json({ part: n, etag: stored.etag, size: length });
}

/** GET /api/upload/{id} */
export async function uploadStatus(call: Call, id: string): Promise<Response> {
  return json({ upload: told(await mine(call, await requireUser(call), id)) });
}

/** DELETE /api/upload/{id} */
export async function uploadAbort(call: Call, id: string): Promise<Response> {
  const upload = await mine(call, await requireUser(call), id);
  await drop(call.env, upload);
  return new Response(null, { status: 204 });
}

/** POST /api/upload/{id}/complete */
export async function uploadComplete(call: Call, id: string): Promise<Response> {
  const user = await requireUser(call);
  const sum = wantedSum((await readJson(call)).sha256);
  const started = Date.now();
  let upload: Upload;
  try {
    upload = await mine(call, user, id);
  } catch (error) {
    return json({ file: fileOf(await became(call.env, user, id, error)) }, 201); // asked again, since the answer was lost
  }
  const count = Math.ceil(upload.size / upload.part_size!);
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((n) => !upload.parts[n]);
  if (missing.length) throw new ApiError("conflict", "Parts are missing.", { missing });
  const work = touch(call.env, upload).then(() => join(call.env, upload, count, sum)).catch(async (error: unknown) => {
    // A sum that is wrong ends the upload; a service that is away may be asked again with the same parts.
    if (error instanceof ApiError && error.code === "checksum_mismatch") await drop(call.env, upload);
    return became(call.env, user, id, error); // somebody who asked at the same time may have been first
  });
  call.ctx.waitUntil(work.catch(() => undefined));
  return finished(call, upload, started, work);
}

/** The file that a finished upload became. Throws `error` when there is none. */
async function became(env: Env, user: User, id: string, error: unknown): Promise<FileRow> {
  if (!(error instanceof ApiError && error.code === "upload_not_found" && isUuid(id))) throw error;
  const [file] = await rpc<FileRow[]>(env, "upload_done", { p_upload: id, p_owner: user.id });
  if (!file) throw error;
  return file;
}

async function join(env: Env, upload: Upload, count: number, sum?: string): Promise<FileRow> {
  const parts = Array.from({ length: count }, (_, i) => ({ partNumber: i + 1, etag: upload.parts[i + 1]!.etag }));
  try {
    await env.R2.resumeMultipartUpload(upload.object_key, upload.multipart_id!).complete(parts);
  } catch (error) {
    // A complete that was cut before its answer has made the object: then go on from there.
    if ((await from("r2", env.R2.head(upload.object_key)))?.size !== upload.size) throw new UpstreamError("r2", `R2 did not join the parts: ${String(error)}`);
  }
  const object = await from("r2", env.R2.get(upload.object_key));
  if (!object) throw new UpstreamError("r2", "R2 lost the object it had just joined.");
  const digest = new crypto.DigestStream("SHA-256");
  const sums = digest.getWriter();
  let alive = Date.now();
  for await (const block of blocks(object.body, object.size)) {
    await sums.write(block);
    if (Date.now() - alive < ALIVE_MS) continue;
    alive = Date.now();
    await touch(env, upload); // else the sweeper would take a file whose hashing lasts longer than its time
  }
  await sums.close();
  const sha = hex(await digest.digest);
  if (object.size !== upload.size || (sum && sum !== sha))
    throw new ApiError("checksum_mismatch", "The joined bytes are not those that were told.", { sha256: sha, size: object.size });
  return rpc<FileRow>(env, "upload_commit", { p_upload: upload.id, p_owner: upload.owner_id, p_size: upload.size, p_sha256: sha });
}

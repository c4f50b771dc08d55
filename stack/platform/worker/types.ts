/** Which files may be stored, judged by name, declared type and first bytes (P6.3: upload validation). */
import { cut } from "../shared/text";
import { ApiError } from "./http";

const starts = (...bytes: number[]) => (head: Uint8Array) => bytes.every((b, i) => head[i] === b);
const text = (head: Uint8Array, at: number, want: string) => [...want].every((c, i) => head[at + i] === c.charCodeAt(0));
const isText = (head: Uint8Array) => !head.includes(0);

/** Accepted types; the value says whether the first bytes agree. An empty file agrees with text and octet-stream alone. */
const ACCEPTED: Record<string, (head: Uint8Array) => boolean> = {
  "image/png": starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
  "image/jpeg": starts(0xff, 0xd8, 0xff),
  "image/gif": (h) => text(h, 0, "GIF8"),
  "image/webp": (h) => text(h, 0, "RIFF") && text(h, 8, "WEBP"),
  "application/pdf": (h) => text(h, 0, "%PDF-"),
  "application/zip": (h) => starts(0x50, 0x4b, 0x03, 0x04)(h) || starts(0x50, 0x4b, 0x05, 0x06)(h),
  "application/gzip": starts(0x1f, 0x8b),
  "video/mp4": (h) => text(h, 4, "ftyp"),
  "audio/mpeg": (h) => text(h, 0, "ID3") || (h[0] === 0xff && (h[1]! & 0xe0) === 0xe0),
  "text/plain": isText,
  "text/csv": isText,
  "text/markdown": isText,
  "application/json": isText,
  "application/octet-stream": () => true,
};
export const ACCEPTED_TYPES = Object.keys(ACCEPTED);

/** Bytes of the head that the rules look at. */
export const HEAD_BYTES = 512;

/** The declared type without parameters. Throws type_refused. */
export function acceptedType(declared: string | null | undefined): string {
  const mime = (declared || "application/octet-stream").split(";")[0]!.trim().toLowerCase();
  if (!(mime in ACCEPTED)) throw new ApiError("type_refused", `Files of type ${mime} are not taken.`, { accepted: ACCEPTED_TYPES });
  return mime;
}

/** Throws type_refused for what a browser or a system would run, content_mismatch when the bytes belie the type. */
export function checkContent(mime: string, head: Uint8Array): void {
  const words = new TextDecoder().decode(head).replace(/^\uFEFF?\s*/, "").slice(0, 256).toLowerCase();
  const runs =
    text(head, 0, "MZ") || starts(0x7f, 0x45, 0x4c, 0x46)(head) || text(head, 0, "#!") || starts(0xcf, 0xfa, 0xed, 0xfe)(head) ||
    starts(0xca, 0xfe, 0xba, 0xbe)(head) || /^(<!doctype html|<html|<script|<svg|<\?xml|<\?php|<iframe|<body|<head)/.test(words);
  if (runs) throw new ApiError("type_refused", "Programs, scripts and web pages are not taken, under any name.");
  if (!ACCEPTED[mime]!(head)) throw new ApiError("content_mismatch", `The bytes are not those of ${mime}.`, { declared: mime });
}

/** A file's name and folder as stored. Throws bad_request. */
export function checkName(name: unknown): string {
  if (typeof name !== "string") throw new ApiError("bad_request", "A name is needed.");
  const clean = name.normalize("NFC");
  // eslint-disable-next-line no-control-regex
  if (!clean || [...clean].length > 255 || !clean.isWellFormed() || /[/\\\u0000-\u001f\u007f]/.test(clean) || clean === "." || clean === "..")
    throw new ApiError("bad_request", "A name has 1 to 255 characters and no slash.", { name: cut(clean, 255) });
  return clean;
}

export function checkFolder(folder: unknown): string {
  const clean = (typeof folder === "string" && folder ? folder : "/").normalize("NFC").replace(/(.)\/$/, "$1");
  const good = clean === "/" || (/^(\/[^/]{1,100}){1,10}$/u.test(clean) && clean.isWellFormed() && clean.length <= 500);
  // eslint-disable-next-line no-control-regex
  if (!good || /[\\\u0000-\u001f\u007f]/.test(clean) || clean.split("/").some((p) => p === "." || p === ".."))
    throw new ApiError("bad_request", "A folder is / or /a/b, at most ten deep.", { folder: cut(clean, 500) });
  return clean;
}

/** Presigned URLs for R2's S3 API (AWS Signature Version 4, query form), so that a browser reads a large object itself. */
import type { Env } from "./env";
import { ApiError, hex, hmac, sha256 } from "./http";

const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** A GET of the object for `seconds`. Throws unavailable when R2's S3 keys are not configured. */
export async function presignR2(env: Env, key: string, seconds: number): Promise<string> {
  const base = env.R2_ENDPOINT ?? (env.CLOUDFLARE_ACCOUNT_ID && `https://${env.CLOUDFLARE_ACCOUNT_ID}.r2.cloudflarestorage.com`);
  if (!base || !env.R2_ACCESS_KEY_ID || !env.R2_SECRET_ACCESS_KEY || !env.R2_BUCKET_NAME)
    throw new ApiError("unavailable", "Direct links need R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY and R2_BUCKET_NAME.");
  const url = new URL(`${base.replace(/\/$/, "")}/${encode(env.R2_BUCKET_NAME)}/${key.split("/").map(encode).join("/")}`);
  const stamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = `${stamp.slice(0, 8)}/auto/s3/aws4_request`;
  const query: [string, string][] = [
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"], ["X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"], ["X-Amz-Credential", `${env.R2_ACCESS_KEY_ID}/${scope}`],
    ["X-Amz-Date", stamp], ["X-Amz-Expires", String(seconds)], ["X-Amz-SignedHeaders", "host"],
  ];
  const canonicalQuery = query.map(([k, v]) => `${encode(k)}=${encode(v)}`).sort().join("&");
  const request = ["GET", url.pathname, canonicalQuery, `host:${url.host}\n`, "host", "UNSIGNED-PAYLOAD"].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", stamp, scope, await sha256(request)].join("\n");
  let signing: string | ArrayBuffer = `AWS4${env.R2_SECRET_ACCESS_KEY}`;
  for (const part of [stamp.slice(0, 8), "auto", "s3", "aws4_request"]) signing = await hmac(signing, part);
  return `${url.origin}${url.pathname}?${canonicalQuery}&X-Amz-Signature=${hex(await hmac(signing, toSign))}`;
}

/** The way into a room: the token is verified here, once, and the room is told who it is. */
import { limit, requireUser, verify } from "./auth";
import type { Call } from "./env";
import { ApiError, json } from "./http";
import { metric } from "./observe";

const room = (call: Call, name: string) => {
  if (!/^[\w-]{1,64}$/.test(name)) throw new ApiError("bad_request", "A room's name has 1 to 64 letters, digits, - or _.");
  return call.env.ROOMS.get(call.env.ROOMS.idFromName(name));
};

/** GET /api/rooms/{id} with Upgrade: websocket */
export async function joinRoom(call: Call, name: string): Promise<Response> {
  const { request, url } = call;
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") throw new ApiError("upgrade_required", "This is a WebSocket address.", {}, { upgrade: "websocket" });
  const stub = room(call, name);
  const since = url.searchParams.get("since") ?? "";
  if (!/^\d{0,15}$/.test(since)) throw new ApiError("bad_request", "since is a message id.");
  const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((p) => p.trim());
  const token = offered.find((p) => p.startsWith("token."))?.slice(6) ?? url.searchParams.get("token");
  if (!token) throw new ApiError("unauthenticated", "Joining a room needs a token.", {}, { "www-authenticate": "Bearer" });
  const user = await verify(call.env, token);
  await limit(call.env.LIMIT_USER, user.id);
  const headers = new Headers({ upgrade: "websocket", "x-room-id": name, "x-room-user": user.id, "x-room-name": encodeURIComponent(user.name),
    "x-room-exp": String(user.expiresAt), "x-room-since": since });
  if (offered.includes("assay.v1")) headers.set("sec-websocket-protocol", "assay.v1");
  metric(call, "platform.room.joins", 1);
  return stub.fetch(new Request(url.origin, { headers }));
}

/** GET /api/rooms/{id}/history */
export async function roomHistory(call: Call, name: string): Promise<Response> {
  await requireUser(call);
  const number = (key: string, otherwise: number) => Number(call.url.searchParams.get(key) ?? otherwise);
  const since = number("since", 0), most = number("limit", 100);
  if (!Number.isSafeInteger(since) || since < 0 || !Number.isInteger(most) || most < 1 || most > 500) throw new ApiError("bad_request", "since is a message id, limit 1 to 500.");
  return json(await room(call, name).history(since, most));
}

/** GET /api/rooms/{id}/presence */
export async function roomPresence(call: Call, name: string): Promise<Response> {
  await requireUser(call);
  return json(await room(call, name).presence());
}

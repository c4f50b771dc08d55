/** Rooms (P5): messages in one order for all, who is here, who is typing, and what was missed. */
import { button, field, form, h, page, tell } from "../dom";
import { go, type Page } from "../main";
import { api, userId } from "../session";
import { type Frame, type Member, type Message, RoomSocket } from "../socket";
import { track } from "../telemetry";

export function choose(): Page {
  const name = h("input", { required: true, pattern: "[A-Za-z0-9_\\-]{1,64}", value: "lobby" });
  return page("rooms", "Rooms", h("div", { class: "card narrow" },
    form([field("Room name", name, "Letters, digits, - and _")], "Join room", () => go(`/rooms/${name.value.trim()}`))));
}

export default function room(name: string): Page {
  const log = h("div", { class: "log", role: "log", "aria-label": "Messages", tabIndex: 0 });
  const people = h("ul", { class: "plain", "aria-label": "Members" });
  const typing = h("p", { class: "meta typing", "data-testid": "typing", "aria-live": "polite" });
  const state = h("p", { class: "meta", "data-testid": "room-status", role: "status" });
  const text = h("input", { maxlength: 4000, autocomplete: "off" });
  const status = h("select", {}, ["online", "away", "busy"].map((s) => h("option", { value: s }, s)));
  const members = new Map<string, Member>();
  const typists = new Map<string, { name: string; timer: number }>();
  let firstId = Infinity;

  const drawMembers = () => people.replaceChildren(...[...members.values()].sort((a, b) => a.name.localeCompare(b.name)).map((m) =>
    h("li", { "data-testid": "member", "data-user-id": m.id, "data-status": m.status }, h("span", { class: `dot ${m.status}` }), m.name, m.id === userId() && h("span", { class: "meta" }, " (you)"))));
  const drawTyping = () => { typing.textContent = typists.size ? `${[...typists.values()].map((t) => t.name).join(", ")} ${typists.size === 1 ? "is" : "are"} typing…` : ""; };
  const line = (m: { id?: number; client_id: string; user: { id: string; name: string }; body: string; at: number }) =>
    h("div", { class: "message", "data-testid": "message", "data-id": m.id, "data-client-id": m.client_id, "data-state": m.id ? "sent" : "sending" },
      h("b", {}, m.user.name || "deleted"), h("span", { "data-testid": "message-body" }, m.body || "(deleted)"), " ", h("time", { class: "meta" }, new Date(m.at).toLocaleTimeString(undefined, { timeStyle: "short" })));
  const bottom = () => { log.scrollTop = log.scrollHeight; };

  const show = (m: Message) => {
    firstId = Math.min(firstId, m.id);
    const mine = m.user.id === userId() && log.querySelector(`[data-client-id="${CSS.escape(m.client_id)}"]`);
    const waiting = [...log.querySelectorAll('[data-state="sending"]')].find((e) => e !== mine);
    if (mine) mine.remove();
    const it = line(m);
    if (waiting) waiting.before(it); else log.append(it); // what is not yet sent stays last
    stopTyping(m.user.id);
    bottom();
  };
  const stopTyping = (id: string) => {
    clearTimeout(typists.get(id)?.timer);
    typists.delete(id);
    drawTyping();
  };

  const taken = (frame: Frame) => {
    const user = frame.user as { id: string; name: string } | undefined;
    switch (frame.type) {
      case "welcome":
        members.clear();
        for (const m of frame.members as Member[]) members.set(m.id, m);
        if (!members.has((frame.you as Member).id)) members.set((frame.you as Member).id, { ...(frame.you as Member), status: "online" });
        drawMembers();
        if (status.value !== "online") socket.put({ type: "status", status: status.value });
        break;
      case "message": show(frame as unknown as Message); break;
      case "presence":
        if (frame.event === "leave") { members.delete(user!.id); stopTyping(user!.id); }
        else members.set(user!.id, { ...user!, status: frame.status as string });
        drawMembers();
        break;
      case "typing":
        stopTyping(user!.id);
        if (frame.on) typists.set(user!.id, { name: user!.name, timer: window.setTimeout(() => stopTyping(user!.id), 5000) });
        drawTyping();
        break;
      case "erased":
        members.delete(frame.user_id as string);
        drawMembers();
        break;
      case "error":
        log.querySelector(`[data-client-id="${CSS.escape(String(frame.client_id ?? ""))}"][data-state="sending"]`)?.remove();
        tell("error", frame.message as string);
        break;
    }
  };

  const socket = new RoomSocket(name, taken, (link, why) => {
    state.dataset.state = link;
    state.replaceChildren(h("span", { class: `dot ${link}` }), link);
    if (why) tell("error", why);
  });

  let typed = 0;
  text.addEventListener("input", () => {
    if (Date.now() - typed < 2000 || !text.value) return;
    typed = Date.now();
    socket.put({ type: "typing", on: true });
  });
  status.addEventListener("change", () => socket.put({ type: "status", status: status.value }));
  track("room_joined");

  const send = form([field("Message", text)], "Send", async () => {
    const body = text.value.trim();
    if (!body) return;
    text.value = "";
    typed = 0;
    const client_id = socket.send(body);
    log.append(line({ client_id, user: { id: userId()!, name: "You" }, body, at: Date.now() }));
    bottom();
  });
  const earlier = button("Load earlier", async () => {
    const first = Number.isFinite(firstId) ? firstId : socket.lastId + 1;
    const { messages } = await api<{ messages: Message[] }>(`/api/rooms/${name}/history?since=${Math.max(0, first - 51)}&limit=50`);
    const older = messages.filter((m) => m.id < first);
    firstId = older[0]?.id ?? firstId;
    log.prepend(...older.map(line));
    if (!older.length) tell("notice", "There is nothing earlier.");
  });

  const it: Page = page("room", `Room ${name}`, h("div", { class: "room" },
    h("section", { class: "card" }, h("div", { class: "row" }, state, earlier), log, typing, send),
    h("section", { class: "card" }, h("h2", {}, "Here now"), people, field("Status", status))));
  it.leave = () => socket.close();
  return it;
}

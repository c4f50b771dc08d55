/** My files (P2.3): upload, search, versions, rename, and whole batches moved or deleted at once. */
import { button, bytes, field, form, h, page, tell, when } from "../dom";
import type { Page } from "../main";
import { api } from "../session";
import { track } from "../telemetry";
import { type FileInfo, Upload } from "../upload";

interface Version { version: number; size: number; store: string; created_at: string }

export default async function files(): Promise<Page> {
  const uploads = h("ul", { class: "plain", "aria-label": "Uploads" });
  const body = h("tbody");
  const count = h("p", { class: "meta", role: "status" });
  const picker = h("input", { type: "file", multiple: true });
  const folder = h("input", { value: "/", pattern: "/.*" });
  const search = h("input", { type: "search" });
  const target = h("input", { placeholder: "/archive" });
  const picked = new Set<string>();

  const refresh = async () => {
    const query = new URLSearchParams({ limit: "200", sort: "updated_at", ...(search.value ? { q: search.value } : {}) });
    const found = await api<{ files: FileInfo[]; total: number }>(`/api/files?${query}`);
    for (const id of [...picked]) if (!found.files.some((f) => f.id === id)) picked.delete(id);
    body.replaceChildren(...found.files.flatMap(row));
    count.textContent = found.total === 1 ? "1 file" : `${found.total} files`;
  };

  const row = (file: FileInfo): HTMLElement[] => {
    const box = h("input", { type: "checkbox", checked: picked.has(file.id), "aria-label": `Select ${file.name}`, onchange: () => { if (box.checked) picked.add(file.id); else picked.delete(file.id); } });
    const versions = h("tr", { hidden: true }, h("td", { colspan: 7 }));
    return [h("tr", { "data-testid": "file-row", "data-file-id": file.id, "data-store": file.store },
      h("td", {}, box), h("td", { "data-testid": "file-name" }, file.folder === "/" ? file.name : `${file.folder}/${file.name}`), h("td", { "data-testid": "file-size" }, bytes(file.size)),
      h("td", { "data-testid": "file-store" }, file.store === "r2" ? "R2" : "Supabase"), h("td", { "data-testid": "file-version" }, `v${file.version}`), h("td", {}, when(file.updated_at)),
      h("td", {}, h("div", { class: "row" },
        button("Download", () => download(file)), button("Versions", () => showVersions(file, versions)), button("Rename", () => rename(file, versions))))), versions];
  };

  const showVersions = async (file: FileInfo, place: HTMLTableRowElement) => {
    if (!place.hidden) { place.hidden = true; return; }
    const { versions } = await api<{ versions: Version[] }>(`/api/files/${file.id}`);
    place.firstElementChild!.replaceChildren(h("ul", { class: "plain" }, versions.map((v) => h("li", { class: "row", "data-testid": "version-row", "data-version": v.version },
      `Version ${v.version} · ${bytes(v.size)} · ${when(v.created_at)}`, button("Download", () => download(file, v.version)),
      v.version !== file.version && button("Restore", async () => {
        await api(`/api/files/${file.id}/restore`, { method: "POST", json: { version: v.version } });
        await refresh();
        tell("notice", `Version ${v.version} of ${file.name} is restored.`);
      })))));
    place.hidden = false;
  };

  const rename = (file: FileInfo, place: HTMLTableRowElement) => {
    const name = h("input", { value: file.name, required: true, maxlength: 255 });
    place.firstElementChild!.replaceChildren(form([field("New name", name)], "Save name", async () => {
      await api(`/api/files/${file.id}`, { method: "PATCH", json: { name: name.value.trim() } });
      await refresh();
      tell("notice", "The file is renamed.");
    }));
    place.hidden = false;
    name.focus();
  };

  const batch = async (op: "delete" | "move") => {
    if (!picked.size) throw new Error("Select files first.");
    const ops = [...picked].map((id) => (op === "move" ? { op, id, folder: target.value.trim() } : { op, id }));
    await api("/api/files/batch", { method: "POST", json: { ops } });
    const n = picked.size;
    picked.clear();
    await refresh();
    tell("notice", `${n} ${n === 1 ? "file is" : "files are"} ${op === "move" ? "moved" : "deleted"}.`);
  };

  const begin = (source: File) => {
    const bar = h("progress", { max: Math.max(1, source.size), value: 0, "data-testid": "progress", "aria-label": `Progress of ${source.name}` });
    const said = h("span", { class: "meta" });
    const item = h("li", { class: "card", "data-testid": "upload-item" });
    const upload: Upload = new Upload(source, folder.value.trim() || "/", (now) => {
      bar.value = now.sent;
      item.dataset.state = now.state;
      said.textContent = { uploading: `${bytes(now.sent)} of ${bytes(source.size)}`, paused: "paused", waiting: "waiting for the network…", done: `stored in ${now.file?.store === "r2" ? "R2" : "Supabase Storage"}`, failed: now.error, cancelled: "cancelled" }[now.state];
      pause.hidden = !["uploading", "waiting"].includes(now.state);
      resume.hidden = !["paused", "failed"].includes(now.state);
      cancel.hidden = ["done", "cancelled"].includes(now.state);
      bar.hidden = now.state === "cancelled";
    });
    const run = async () => {
      await upload.run();
      if (upload.state !== "done") return;
      track("upload_finished", { store: upload.file!.store, size: source.size });
      await refresh();
    };
    const pause = button("Pause", () => upload.pause()), resume = button("Resume", () => void run()), cancel = button("Cancel", () => upload.cancel());
    item.append(h("div", { class: "row" }, h("strong", {}, source.name), said, pause, resume, cancel), bar);
    uploads.prepend(item);
    void run();
  };
  picker.addEventListener("change", () => {
    for (const source of picker.files ?? []) begin(source);
    picker.value = "";
  });

  await refresh();
  return page("files", "My files",
    h("section", { class: "card" }, h("div", { class: "row end" }, field("Choose files", picker, "Over 5 MiB goes to R2 in parts, the rest to Supabase Storage"), field("Folder", folder)), uploads),
    h("section", { class: "card" },
      form([field("Search files", search)], "Find", refresh, [], "inline"),
      h("div", { class: "row end" }, button("Delete selected", () => batch("delete"), { class: "danger" }), field("Target folder", target), button("Move selected", () => batch("move"))),
      count, h("div", { class: "table" }, h("table", {}, h("thead", {}, h("tr", {}, ["Select", "Name", "Size", "Store", "Version", "Changed", "Actions"].map((t) => h("th", { scope: "col" }, t)))), body))));
}

/** The browser fetches it by a short-lived signed link, so that large files stream to disk. */
async function download(file: FileInfo, version?: number): Promise<void> {
  const { url } = await api<{ url: string }>(`/api/files/${file.id}/link`, { method: "POST", json: { expires_in: 300, version: version ?? file.version } });
  h("a", { href: new URL(url).pathname + new URL(url).search, download: file.name }).click();
}

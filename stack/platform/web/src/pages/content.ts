/** A page from Builder.io (P3.2), and its visual editor's preview (P3.3). The Worker has rendered it to safe HTML. */
import type { Content } from "../../../shared/render";
import { h, page, when } from "../dom";
import type { Page } from "../main";
import { ApiFailure, supabase } from "../session";

interface Rendered { path: string; title: string; html: string; lastUpdated?: number; fetched_at: number }

export default async function content(path: string): Promise<Page> {
  const query = new URLSearchParams(location.search);
  const editing = query.has("builder.preview") || query.has("builder.frameEditing") || window.self !== window.top;
  const place = h("div", { "data-testid": "content" });
  const it: Page = page("content", "…", place);
  const heading = it.querySelector("h1")!;

  const draw = (title: string, html: string) => {
    heading.textContent = title;
    document.title = `${title} – Platform`;
    place.innerHTML = html; // made by shared/render.ts, which lets no script or foreign attribute through
    place.dataset.rendered = "true";
    performance.mark("content-rendered");
    void fillPostLists(place);
  };

  try {
    const answer = await fetch(`/api/content?${new URLSearchParams({ path, ...Object.fromEntries(["locale", "device", "audience"].flatMap((k) => (query.has(k) ? [[k, query.get(k)!]] : []))) })}`);
    const body = (await answer.json()) as Rendered & { error?: { code: string; message: string } };
    if (!answer.ok) throw new ApiFailure(answer.status, body.error!.code, body.error!.message);
    place.dataset.cache = answer.headers.get("x-cache") ?? "";
    draw(body.title, body.html);
    if (body.lastUpdated) it.append(h("p", { class: "meta" }, `Updated ${when(new Date(body.lastUpdated).toISOString())}`));
  } catch (error) {
    if (!editing && error instanceof ApiFailure) {
      draw(error.status === 404 ? "Not found" : "Not available", "");
      place.textContent = error.status === 404 ? "There is no page at this address." : "This page cannot be shown at the moment.";
      delete place.dataset.rendered;
    } else if (!editing) throw error;
    else draw("New page", "");
  }
  if (editing) {
    const { edit } = await import("../editor");
    const redraw = async (it: Content) => draw(it.data?.title ?? it.name ?? "", (await import("../../../shared/render")).renderBlocks(it.data?.blocks));
    it.leave = edit(path, redraw);
  }
  return it;
}

async function fillPostLists(place: HTMLElement): Promise<void> {
  for (const section of place.querySelectorAll<HTMLElement>(".post-list")) {
    const { data } = await supabase.from("posts").select("id,title").eq("status", "published").order("created_at", { ascending: false }).limit(Number(section.dataset.count));
    section.querySelector("ul")!.replaceChildren(...(data ?? []).map((p) => h("li", {}, h("a", { href: `/posts/${p.id as string}` }, p.title as string))));
  }
}


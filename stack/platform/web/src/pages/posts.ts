/** Posts (P1.3): list, read, write, edit; row-level security decides who may. */
import { button, field, form, h, page, tell, when } from "../dom";
import { go, type Page } from "../main";
import { currentSession, got, supabase, userId } from "../session";
import { track } from "../telemetry";
import { literal } from "../../../shared/text";

interface Post { id: string; author_id: string; title: string; body: string; status: string; tags: string[]; version: number; created_at: string; updated_at: string; author: { username: string } | null }

/** Names of authors are for signed-in people. */
const columns = () => `id,author_id,title,body,status,tags,version,created_at,updated_at${currentSession() ? ",author:profiles(username)" : ""}`;

async function find(q: string, limit: number): Promise<Post[]> {
  let query = supabase.from("posts").select(columns()).order("created_at", { ascending: false }).limit(limit);
  if (q) query = query.filter("title", "imatch", literal(q));
  return got(await query) as unknown as Post[];
}

const item = (post: Post) => h("li", { class: "card", "data-testid": "post-item", "data-post-id": post.id },
  h("a", { href: `/posts/${post.id}` }, post.title), " ", post.status === "draft" && h("span", { class: "tag" }, "draft"),
  h("div", { class: "meta" }, post.author ? `${post.author.username} · ` : "", when(post.created_at)));

export async function home(): Promise<Page> {
  const posts = (await find("", 5)).filter((p) => p.status === "published");
  return page("home", "Write, share, talk", h("p", {}, "Posts for everyone, files of your own, rooms to talk in, and pages from the visual editor."),
    h("div", { class: "row" }, h("a", { class: "button", href: currentSession() ? "/posts/new" : "/register" }, currentSession() ? "Write a post" : "Create an account"), h("a", { href: "/rooms" }, "Join a room")),
    h("h2", {}, "Latest posts"), posts.length ? h("ul", { class: "plain" }, posts.map(item)) : h("p", { class: "meta" }, "Nothing is published yet."));
}

export async function list(): Promise<Page> {
  const results = h("ul", { class: "plain", "aria-live": "polite" });
  const search = h("input", { type: "search", value: new URLSearchParams(location.search).get("q") ?? "" });
  const fill = async () => {
    const posts = await find(search.value.trim(), 50);
    results.replaceChildren(...(posts.length ? posts.map(item) : [h("li", { class: "meta" }, "No post was found.")]));
  };
  await fill();
  const find_ = form([field("Search", search)], "Find", async () => {
    history.replaceState(null, "", search.value ? `/posts?q=${encodeURIComponent(search.value)}` : "/posts");
    await fill();
  }, [], "inline");
  return page("posts", "Posts", h("div", { class: "row end" }, find_, h("a", { class: "button", href: "/posts/new" }, "Write a post")), h("h2", {}, "Found"), results);
}

async function one(id: string): Promise<Post | null> {
  return got(await supabase.from("posts").select(columns()).eq("id", id).limit(1) as never as { data: Post[]; error: null })[0] ?? null;
}

export async function show(id: string): Promise<Page> {
  const post = await one(id);
  if (!post) return page("post", "Not found", h("p", {}, "This post does not exist, or it is not published."));
  const it = page("post", post.title, h("article", { class: "card" },
    h("p", { class: "meta" }, h("span", { "data-testid": "post-author" }, post.author?.username ?? "a member"), ` · ${when(post.created_at)}`, post.version > 1 && ` · edited ${when(post.updated_at)}`, post.status === "draft" && " · draft"),
    h("div", { class: "prose", "data-testid": "post-body" }, post.body), h("p", { class: "row" }, post.tags.map((t) => h("span", { class: "tag" }, t)))),
    post.author_id === userId() && h("a", { class: "button", href: `/posts/${id}/edit` }, "Edit"));
  it.querySelector("h1")!.setAttribute("data-testid", "post-title");
  return it;
}

export async function edit(id?: string): Promise<Page> {
  const post = id ? await one(id) : null;
  if (id && post?.author_id !== userId()) return page("post-edit", "Not found", h("p", {}, "You have no such post."));
  const title = h("input", { value: post?.title ?? "", required: true, maxlength: 200 });
  const body = h("textarea", { value: post?.body ?? "", maxlength: 100000 });
  const tags = h("input", { value: post?.tags.join(", ") ?? "" });
  const status = h("select", {}, h("option", { value: "draft" }, "Draft"), h("option", { value: "published" }, "Published"));
  status.value = post?.status ?? "draft";
  const freshId = crypto.randomUUID(); // a repeated click or a lost answer makes no second post
  const save = async () => {
    const values = { title: title.value.trim(), body: body.value, status: status.value, tags: tags.value.split(",").map((t) => t.trim()).filter(Boolean) };
    let saved = id;
    if (post) {
      const changed = got(await supabase.from("posts").update(values).eq("id", post.id).eq("version", post.version).select("id"));
      if (!changed.length) throw new Error("This post was changed elsewhere meanwhile. Copy your text, reload and try again.");
    } else {
      const { error } = await supabase.from("posts").insert({ id: freshId, ...values });
      if (error && error.code !== "23505") throw new Error(error.message);
      saved = freshId;
    }
    if (values.status === "published" && post?.status !== "published") track("post_published", { length: values.body.length });
    await go(`/posts/${saved}`);
    tell("notice", "The post is saved.");
  };
  return page("post-edit", post ? "Edit the post" : "Write a post", h("div", { class: "card" },
    form([field("Title", title), field("Body", body), field("Tags", tags, "Separated by commas"), field("Status", status)], "Save post", save, [
      h("a", { href: post ? `/posts/${id}` : "/posts" }, "Cancel"),
      post && button("Delete post", async () => {
        const gone = got(await supabase.from("posts").delete().eq("id", post.id).select("id"));
        if (!gone.length) throw new Error("The post could not be deleted.");
        await go("/posts");
        tell("notice", "The post is deleted.");
      }, { class: "danger" })])));
}

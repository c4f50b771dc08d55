/** My profile: shown to signed-in people, changed by me alone. */
import { button, field, form, h, page, tell } from "../dom";
import { go, type Page, refreshAccount } from "../main";
import { currentSession, got, supabase, userId } from "../session";

interface Profile { username: string; display_name: string; bio: string; avatar_url: string | null; version: number }

export default async function profile(): Promise<Page> {
  const id = userId()!;
  const mine = got(await supabase.from("profiles").select("username,display_name,bio,avatar_url,version").eq("id", id).single()) as Profile;
  const username = h("input", { value: mine.username, required: true, pattern: "[a-z0-9_]{3,32}", autocomplete: "username" });
  const name = h("input", { value: mine.display_name, maxlength: 80, autocomplete: "name" });
  const bio = h("textarea", { value: mine.bio, maxlength: 500 });
  const avatar = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif" });
  const picture = h("img", { alt: "", width: 72, height: 72, src: mine.avatar_url ?? "/icon.svg", "data-testid": "avatar" });
  let version = mine.version;

  const save = form([h("div", { class: "row" }, picture, field("Avatar", avatar, "PNG, JPEG, WebP or GIF, at most 1 MiB")),
    field("Username", username), field("Display name", name), field("Bio", bio)], "Save profile", async () => {
    const changed: Record<string, string> = { username: username.value.trim(), display_name: name.value.trim(), bio: bio.value };
    const file = avatar.files?.[0];
    if (file) {
      const path = `${id}/avatar-${Date.now()}.${file.type.split("/")[1]}`;
      got(await supabase.storage.from("avatars").upload(path, file, { contentType: file.type }));
      changed.avatar_url = supabase.storage.from("avatars").getPublicUrl(path).data.publicUrl;
    }
    const { data, error } = await supabase.from("profiles").update(changed).eq("id", id).eq("version", version).select("version,avatar_url");
    if (error) throw new Error(error.code === "23505" ? "This username is taken." : error.message);
    if (!data.length) throw new Error("Your profile was changed elsewhere meanwhile: reload the page.");
    version = data[0]!.version as number;
    if (data[0]!.avatar_url) picture.src = data[0]!.avatar_url as string;
    avatar.value = "";
    await refreshAccount();
    tell("notice", "Your profile is saved.");
  });

  const mail = h("input", { type: "email", required: true, autocomplete: "email" });
  const change = form([field("New email", mail)], "Change email", async () => {
    got(await supabase.auth.updateUser({ email: mail.value.trim() }, { emailRedirectTo: `${location.origin}/auth/callback` }));
    tell("notice", "Open the links we sent to the old and the new address.");
  });

  return page("profile", "My profile", h("section", { class: "card" }, save),
    h("section", { class: "card" }, h("h2", {}, "Account"), h("p", {}, "Signed in as ", h("strong", { "data-testid": "email" }, currentSession()?.user.email ?? "")), change,
      h("h2", {}, "Sessions"), button("Log out everywhere", async () => {
        got(await supabase.auth.signOut({ scope: "global" }));
        await go("/login");
        tell("notice", "All your sessions are ended.");
      }, { class: "danger" })));
}

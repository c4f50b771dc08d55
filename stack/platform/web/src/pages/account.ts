/** Register, log in, confirm, recover (P1.2), by Supabase Auth. */
import { button, field, form, h, page, tell } from "../dom";
import { go, type Page } from "../main";
import { config, got, supabase } from "../session";
import { track } from "../telemetry";

const email = () => h("input", { type: "email", name: "email", required: true, autocomplete: "email" });
const callbackUrl = (next?: string) => `${location.origin}/auth/callback${next ? `?next=${encodeURIComponent(next)}` : ""}`;

function nextPage(): string {
  const next = sessionStorage.getItem("next");
  sessionStorage.removeItem("next");
  return next?.startsWith("/") && !next.startsWith("//") ? next : "/profile";
}

export function register(): Page {
  const username = h("input", { name: "username", required: true, pattern: "[a-z0-9_]{3,32}", autocomplete: "username", autocapitalize: "none" });
  const mail = email();
  const password = h("input", { type: "password", name: "password", required: true, minlength: 8, autocomplete: "new-password" });
  const card = h("div", { class: "card narrow" });
  card.append(form([
    field("Username", username, "3 to 32 of a–z, 0–9 and _"), field("Email", mail), field("Password", password, "At least 8 characters"),
  ], "Create account", async () => {
    const { session } = got(await supabase.auth.signUp({
      email: mail.value.trim(), password: password.value, options: { data: { username: username.value }, emailRedirectTo: callbackUrl() } }));
    track("sign_up", { method: "email" });
    if (session) return go(nextPage());
    card.replaceChildren(h("p", { "data-testid": "confirm-hint" }, "Almost there: we sent a link to ", h("strong", {}, mail.value.trim()), ". Open it to confirm your address."));
  }), h("p", {}, "You have an account? ", h("a", { href: "/login" }, "Log in")));
  return page("register", "Create an account", card);
}

export function login(): Page {
  const mail = email();
  const password = h("input", { type: "password", name: "password", required: true, autocomplete: "current-password" });
  const providers = config.oauthProviders.map((provider) =>
    button(`Log in with ${provider[0]!.toUpperCase()}${provider.slice(1)}`, async () => {
      got(await supabase.auth.signInWithOAuth({ provider: provider as "github", options: { redirectTo: callbackUrl() } }));
    }, { "data-testid": `oauth-${provider}` }));
  return page("login", "Log in", h("div", { class: "card narrow" },
    form([field("Email", mail), field("Password", password)], "Log in", async () => {
      const { error } = await supabase.auth.signInWithPassword({ email: mail.value.trim(), password: password.value });
      if (error) throw new Error(error.code === "email_not_confirmed" ? "Open the link in our mail first, to confirm your address." : error.message);
      track("login", { method: "email" });
      await go(nextPage(), true);
    }),
    providers.length > 0 && h("div", { class: "row" }, h("span", { class: "meta" }, "or"), providers),
    h("p", {}, h("a", { href: "/recover" }, "Forgotten your password?"), " · ", h("a", { href: "/register" }, "Create an account"))));
}

/** Where links from mails and OAuth come back to. */
export async function callback(): Promise<Page> {
  const query = new URLSearchParams(location.search), hash = new URLSearchParams(location.hash.slice(1));
  const get = (name: string) => query.get(name) ?? hash.get(name);
  history.replaceState(null, "", location.pathname); // tokens stay out of history and telemetry
  const failed = (why: string) => page("callback", "This link does not work", h("p", { "data-testid": "callback-failed" }, why),
    h("p", {}, h("a", { href: "/login" }, "Log in"), " or ", h("a", { href: "/recover" }, "ask for a new link"), "."));
  if (get("error")) return failed(get("error_description") ?? get("error")!);
  try {
    const type = get("type");
    if (get("token_hash")) got(await supabase.auth.verifyOtp({ token_hash: get("token_hash")!, type: (type ?? "email") as "email" }));
    else if (get("code")) got(await supabase.auth.exchangeCodeForSession(get("code")!));
    else if (get("access_token")) got(await supabase.auth.setSession({ access_token: get("access_token")!, refresh_token: get("refresh_token")! }));
    else if (!get("message")) return failed("The link carries no code.");
    const next = query.get("next");
    setTimeout(() => {
      void go(type === "recovery" ? "/reset" : next?.startsWith("/") && !next.startsWith("//") ? next : nextPage(), true)
        .then(() => get("message") && tell("notice", get("message")!));
    });
    return page("callback", "One moment", h("p", {}, "You are being logged in."));
  } catch (error) {
    return failed((error as Error).message);
  }
}

export function recover(): Page {
  const mail = email();
  return page("recover", "Recover your account", h("div", { class: "card narrow" }, form([field("Email", mail)], "Send link", async () => {
    got(await supabase.auth.resetPasswordForEmail(mail.value.trim(), { redirectTo: callbackUrl("/reset") }));
    tell("notice", "If this address has an account, a link is on its way.");
  })));
}

export function reset(): Page {
  const password = h("input", { type: "password", required: true, minlength: 8, autocomplete: "new-password" });
  return page("reset", "Choose a new password", h("div", { class: "card narrow" }, form([field("New password", password, "At least 8 characters")], "Save password", async () => {
    got(await supabase.auth.updateUser({ password: password.value }));
    await go("/profile", true);
    tell("notice", "Your new password is saved.");
  })));
}

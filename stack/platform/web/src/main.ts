/** The web app's frame: routes, navigation, account, consent banner. */
import { button, h, page, tell } from "./dom";
import { currentSession, got, onSession, start, supabase, userId } from "./session";
import { adoptAccount, choose, consent, pageShown, startTelemetry } from "./telemetry";

/** A page's builder; what it returns may carry `leave`, run when another page follows. */
export type Page = HTMLElement & { leave?: () => void };
type Builder = (...parts: string[]) => Page | Promise<Page>;

const signedIn = (load: () => Promise<{ default: Builder }>) => async (...parts: string[]): Promise<Page> => {
  if (!currentSession()) {
    sessionStorage.setItem("next", location.pathname + location.search);
    history.replaceState(null, "", "/login");
    tell("notice", "Log in to go on.");
    return (await import("./pages/account")).login();
  }
  return (await load()).default(...parts);
};

const ROUTES: [RegExp, Builder][] = [
  [/^\/$/, async () => (await import("./pages/posts")).home()],
  [/^\/register$/, async () => (await import("./pages/account")).register()],
  [/^\/login$/, async () => (await import("./pages/account")).login()],
  [/^\/auth\/callback$/, async () => (await import("./pages/account")).callback()],
  [/^\/recover$/, async () => (await import("./pages/account")).recover()],
  [/^\/reset$/, async () => (await import("./pages/account")).reset()],
  [/^\/profile$/, signedIn(() => import("./pages/profile"))],
  [/^\/posts$/, async () => (await import("./pages/posts")).list()],
  [/^\/posts\/new$/, signedIn(async () => ({ default: (await import("./pages/posts")).edit }))],
  [/^\/posts\/([0-9a-f-]{36})\/edit$/, signedIn(async () => ({ default: (await import("./pages/posts")).edit }))],
  [/^\/posts\/([0-9a-f-]{36})$/, async (id) => (await import("./pages/posts")).show(id!)],
  [/^\/files$/, signedIn(() => import("./pages/files"))],
  [/^\/c(\/.*)$/, async (path) => (await import("./pages/content")).default(path!)],
  [/^\/rooms$/, signedIn(async () => ({ default: (await import("./pages/room")).choose }))],
  [/^\/rooms\/([\w-]{1,64})$/, signedIn(() => import("./pages/room"))],
  [/^\/privacy$/, signedIn(() => import("./pages/privacy"))],
  [/^\/status$/, async () => (await import("./pages/status")).default()],
];
const LINKS: [string, string][] = [["/posts", "Posts"], ["/files", "Files"], ["/rooms", "Rooms"], ["/c/welcome", "Welcome"], ["/privacy", "Privacy"], ["/status", "Status"]];

let shown: Page | undefined;
let turn = 0;

async function show(): Promise<void> {
  const mine = ++turn;
  const path = location.pathname;
  let next: Page;
  try {
    const found = ROUTES.find(([route]) => route.test(path));
    next = found ? await found[1](...(found[0].exec(path)!.slice(1))) : page("missing", "Not found", h("p", {}, "There is no such page."));
  } catch (error) {
    next = page("failed", "Something went wrong", h("p", {}, error instanceof Error ? error.message : String(error)));
    tell("error", "This page could not be shown.");
  }
  if (mine !== turn) return next.leave?.(); // another page was asked for meanwhile
  shown?.leave?.();
  document.getElementById("app")!.replaceChildren(next);
  if (shown) next.focus({ preventScroll: true });
  shown = next;
  frame();
  document.documentElement.dataset.ready = "true";
  pageShown(path.replace(/[0-9a-f-]{36}/g, ":id").replace(/^\/rooms\/.+/, "/rooms/:id"));
}

/** Goes to a page of the app. */
export function go(path: string, replace = false): Promise<void> {
  tell("error", "");
  tell("notice", "");
  history[replace ? "replaceState" : "pushState"](null, "", path);
  window.scrollTo(0, 0);
  return show();
}

function frame(): void {
  document.getElementById("nav")!.replaceChildren(...LINKS.map(([href, text]) =>
    h("a", { href, "aria-current": location.pathname === href || (location.pathname.startsWith(`${href}/`) && href !== "/c/welcome") ? "page" : undefined }, text)));
  const account = document.getElementById("account")!;
  const user = currentSession()?.user;
  const name = (user?.user_metadata.username as string | undefined) ?? user?.email ?? "";
  account.replaceChildren(...(user
    ? [h("a", { href: "/profile", "data-testid": "current-user" }, username ?? name), button("Log out", logOut)]
    : [h("a", { href: "/login" }, "Log in"), h("a", { href: "/register" }, "Register")]));
  const banner = document.getElementById("banner")!;
  banner.replaceChildren(...(consent() === "unknown" ? [h("section", { class: "banner", "data-testid": "consent-banner", "aria-label": "Analytics consent" },
    h("p", {}, "May we count visits and measure speed? Nothing is sent before you agree, and you can change your mind under Privacy."),
    h("div", { class: "row" }, button("Decline", () => choose("declined")), button("Accept analytics", () => choose("granted"), { class: "" })))] : []));
}

let username: string | undefined;
/** Reads the account's name again, after it was changed. */
export async function refreshAccount(): Promise<void> {
  username = undefined;
  if (userId()) username = got(await supabase.from("profiles").select("username").eq("id", userId()!).maybeSingle())?.username as string | undefined;
  frame();
}

async function logOut(): Promise<void> {
  got(await supabase.auth.signOut({ scope: "local" }));
  await go("/");
  tell("notice", "You are logged out.");
}

document.addEventListener("click", (event) => {
  const link = (event.target as Element).closest?.("a");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target || link.hasAttribute("download")) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || to.pathname.startsWith("/api/") || (to.hash && to.pathname === location.pathname)) return;
  event.preventDefault();
  void go(to.pathname + to.search);
});
window.addEventListener("popstate", () => void show());
window.addEventListener("consent", frame);

async function boot(): Promise<void> {
  try {
    await start();
    startTelemetry();
    let known = userId();
    onSession((now, event) => {
      if (now?.user.id === known && event !== "USER_UPDATED") return;
      const left = known && !now;
      known = now?.user.id;
      void adoptAccount().then(refreshAccount);
      if (left && /^\/(profile|files|rooms|privacy|posts\/(new|.*\/edit))/.test(location.pathname)) void show(); // ended in another tab
    });
    if (known) await Promise.allSettled([adoptAccount(), refreshAccount()]);
    await show();
    tell("notice", sessionStorage.getItem("notice") ?? "");
    sessionStorage.removeItem("notice");
  } catch (error) {
    document.getElementById("app")!.replaceChildren(page("failed", "The platform cannot be reached", h("p", {}, String((error as Error).message))));
    document.documentElement.dataset.ready = "true";
    throw error;
  }
}
void boot();

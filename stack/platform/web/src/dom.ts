/** Small helpers to build pages from elements. Text is always set as text, never as HTML. */
type Child = Node | string | number | null | undefined | false | Child[];
type Props = Record<string, unknown>;

/** An element. `on…` props are listeners, `data-…`, `aria-…` and known names are attributes, the rest are properties. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else if (name === "class") element.className = String(value);
    else if (/^(data-|aria-|role$|for$|list$|autocomplete$|maxlength$|minlength$|scope$|colspan$)/.test(name)) element.setAttribute(name, String(value));
    else (element as unknown as Props)[name] = value;
  }
  append(element, children);
  return element;
}

function append(element: HTMLElement, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  }
}

/** A labelled field. */
export function field(text: string, control: HTMLElement, hint?: string): HTMLLabelElement {
  return h("label", {}, text, control, hint && h("span", { class: "hint" }, hint));
}

/** A form whose submit runs `work` with its button disabled and its errors told. */
export function form(children: Child[], button: string, work: () => Promise<void>, more: Child[] = [], style = ""): HTMLFormElement {
  const submit = h("button", { type: "submit" }, button);
  return h("form", { noValidate: true, class: style, onsubmit: (event: Event) => {
    event.preventDefault();
    const bad = [...(event.currentTarget as HTMLFormElement).elements].find((e) => e instanceof HTMLInputElement && !e.checkValidity()) as HTMLInputElement | undefined;
    if (bad) {
      tell("error", `${bad.closest("label")?.firstChild?.textContent ?? "A field"}: ${bad.validationMessage}`);
      bad.focus();
      return;
    }
    void act(submit, work);
  } }, ...children, more.length ? h("div", { class: "row" }, submit, ...more) : submit);
}

/** A button that runs `work` with itself disabled and its errors told. */
export function button(text: string, work: () => Promise<void> | void, props: Props = {}): HTMLButtonElement {
  const it: HTMLButtonElement = h("button", { type: "button", class: "quiet", ...props, onclick: () => void act(it, async () => work()) }, text);
  return it;
}

async function act(it: HTMLButtonElement, work: () => Promise<void>): Promise<void> {
  tell("error", "");
  it.disabled = true;
  try {
    await work();
  } catch (error) {
    tell("error", error instanceof Error ? error.message : String(error));
  } finally {
    it.disabled = false;
  }
}

/** Says something in the page's notice or error line. */
export function tell(kind: "notice" | "error", text: string): void {
  document.getElementById(kind)!.textContent = text;
  if (text) document.getElementById(kind === "notice" ? "error" : "notice")!.textContent = "";
}

/** A page: one main with one heading. */
export function page(name: string, title: string, ...children: Child[]): HTMLElement {
  document.title = `${title} – Platform`;
  return h("main", { id: "main", tabIndex: -1, "data-testid": `page-${name}` }, h("h1", {}, title), ...children);
}

export const when = (iso: string): string => new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const i = n < 1 ? 0 : Math.min(3, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** i).toFixed(i ? 1 : 0)} ${units[i]}`;
}

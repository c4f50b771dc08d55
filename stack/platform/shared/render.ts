/**
 * Builder.io blocks as safe HTML. The Worker renders a page with it, and the web app redraws with it in the visual editor,
 * so that what an editor sees is what a visitor gets. The registered components stand here, once.
 */
export interface Block {
  id?: string;
  tagName?: string;
  component?: { name: string; options?: Record<string, unknown> };
  children?: Block[];
}
export interface Content { id?: string; name?: string; lastUpdated?: number; data?: { title?: string; blocks?: Block[]; [key: string]: unknown } }

interface Input { name: string; type: string; defaultValue?: unknown; required?: boolean; enum?: string[] }
export interface Component { name: string; inputs: Input[]; render: (o: Record<string, unknown>, block: Block) => string }

export const escapeHtml = (value: unknown): string =>
  String(value ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** An address that a link or image may have; anything else (javascript:, data:) becomes "#". */
export const safeUrl = (value: unknown): string => {
  const text = String(value ?? "").trim();
  return /^(https?:\/\/|\/(?!\/)|#|mailto:)/i.test(text) ? text : "#";
};

const KEPT = new Set("p br b strong i em u s ul ol li h2 h3 h4 blockquote code pre span a".split(" "));

/** Rich text of an editor reduced to harmless tags: no attributes but a safe href, unknown tags dropped, text escaped. */
export function sanitize(html: unknown): string {
  const open: string[] = [];
  const text = String(html ?? "").replace(/<!--[\s\S]*?-->/g, "").replace(/<(script|style|iframe|object|svg|math|template)\b[\s\S]*?(<\/\1\s*>|$)/gi, "");
  const out = text.replace(/<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>|[^<]+|</g, (all, close: string | undefined, tag: string | undefined, attributes: string) => {
    if (tag === undefined) return all.replace(/&(?!#?\w{1,31};)/g, "&#38;").replace(/[<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
    const name = tag.toLowerCase();
    if (!KEPT.has(name)) return "";
    if (name === "br") return "<br>";
    if (close) {
      const at = open.lastIndexOf(name);
      return at < 0 ? "" : open.splice(at).reverse().map((t) => `</${t}>`).join("");
    }
    open.push(name);
    const href = name === "a" && /\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(attributes);
    return href ? `<a href="${escapeHtml(safeUrl(href[1] ?? href[2] ?? href[3]))}" rel="noopener">` : `<${name}>`;
  });
  return out + open.reverse().map((t) => `</${t}>`).join("");
}

const text = (name: string, defaultValue = ""): Input => ({ name, type: "string", defaultValue });

/** Our own components (registered with Builder.io) and the built-in ones that pages use. */
export const COMPONENTS: Component[] = [
  { name: "Hero", inputs: [text("title", "A title"), text("subtitle"), { name: "image", type: "file" }, text("buttonText"), { name: "buttonLink", type: "url" }],
    render: (o) => `<header class="hero"><h2>${escapeHtml(o.title)}</h2>${o.subtitle ? `<p>${escapeHtml(o.subtitle)}</p>` : ""}${
      o.image ? `<img src="${escapeHtml(safeUrl(o.image))}" alt="">` : ""}${o.buttonText ? `<a class="button" href="${escapeHtml(safeUrl(o.buttonLink))}">${escapeHtml(o.buttonText)}</a>` : ""}</header>` },
  { name: "Quote", inputs: [{ name: "text", type: "longText", defaultValue: "Words" }, text("author")],
    render: (o) => `<figure class="quote"><blockquote>${escapeHtml(o.text)}</blockquote>${o.author ? `<figcaption>${escapeHtml(o.author)}</figcaption>` : ""}</figure>` },
  { name: "Callout", inputs: [{ name: "tone", type: "string", enum: ["info", "warning"], defaultValue: "info" }, { name: "html", type: "richText", defaultValue: "Note" }],
    render: (o) => `<aside class="callout ${o.tone === "warning" ? "warning" : "info"}">${sanitize(o.html)}</aside>` },
  { name: "PostList", inputs: [text("title", "Latest posts"), { name: "count", type: "number", defaultValue: 3 }],
    render: (o) => `<section class="post-list" data-count="${Math.min(20, Math.max(1, Number(o.count) || 3))}"><h3>${escapeHtml(o.title)}</h3><ul></ul></section>` },
  { name: "Text", inputs: [{ name: "text", type: "richText" }], render: (o) => `<div class="text">${sanitize(o.text)}</div>` },
  { name: "Image", inputs: [{ name: "image", type: "file" }, text("altText")],
    render: (o) => `<img src="${escapeHtml(safeUrl(o.image))}" alt="${escapeHtml(o.altText)}" loading="lazy">` },
  { name: "Button", inputs: [text("text"), { name: "link", type: "url" }],
    render: (o) => `<a class="button" href="${escapeHtml(safeUrl(o.link))}">${escapeHtml(o.text)}</a>` },
  { name: "Columns", inputs: [{ name: "columns", type: "list" }],
    render: (o) => `<div class="columns">${(Array.isArray(o.columns) ? (o.columns as { blocks?: Block[] }[]) : []).map((c) => `<div>${renderBlocks(c.blocks)}</div>`).join("")}</div>` },
];
/** Those that Builder.io does not bring itself. */
export const OWN_COMPONENTS = COMPONENTS.slice(0, 4);
const byName = new Map(COMPONENTS.flatMap((c) => [[c.name, c], [`Core:${c.name}`, c], [`Builder:${c.name}`, c]]));

export function renderBlocks(blocks: Block[] | undefined): string {
  return (Array.isArray(blocks) ? blocks : []).map((block) => {
    const component = block.component && byName.get(block.component.name);
    const inner = component ? component.render(block.component!.options ?? {}, block) : "";
    // The id is what Builder.io's editor finds a block by.
    return `<div class="block" builder-id="${escapeHtml(block.id)}" data-component="${escapeHtml(block.component?.name)}">${inner}${renderBlocks(block.children)}</div>`;
  }).join("");
}

/** Builder.io's visual editor: our components are offered to it, and its messages redraw the page. Loaded only there. */
import { Builder, builder } from "@builder.io/sdk";
import { type Content, OWN_COMPONENTS } from "../../shared/render";
import { config } from "./session";

let ready = false;

function prepare(): void {
  if (ready) return;
  ready = true;
  Builder.overrideHost = config.builderApiUrl;
  Builder.registerTrustedHost(new URL(config.builderEditorUrl).hostname);
  Builder.isStatic = false;
  builder.apiEndpoint = "content";
  builder.init(config.builderKey ?? "");
  builder.canTrack = false; // Builder.io's own visitor tracking needs consent, which is asked for analytics only
  for (const { name, inputs } of OWN_COMPONENTS) Builder.registerComponent(() => null, { name, inputs: inputs as never });
}

/** Follows the editor's changes of this page until the returned function is called. */
export function edit(path: string, redraw: (content: Content) => void): () => void {
  prepare();
  const subscription = builder.queueGetContent("page", { key: "page", userAttributes: { urlPath: path } })
    .subscribe((found: Content[]) => { if (found[0]) redraw(found[0]); });
  return () => (subscription as unknown as { unsubscribe(): void }).unsubscribe();
}

// Builder.io's first-generation SDK: content by target, both of its endpoints.
import { Builder, builder } from "@builder.io/sdk";

const { key, host, path, endpoint } = window.settings;
builder.init(key, false);
Builder.overrideHost = host;
builder.apiEndpoint = endpoint;
Builder.registerTrustedHost("127.0.0.1"); // the editor's host here; Builder.io's own are trusted already
Builder.registerComponent(() => null, { name: "Hero", inputs: [{ name: "title", type: "string" }] });
builder
  .queueGetContent("page", { key: "page", userAttributes: { urlPath: path } })
  .subscribe((found) => (window.shown = found[0]?.data?.title));
builder
  .get("page", { key: "once", userAttributes: { urlPath: path }, cachebust: true })
  .promise()
  .then(
    (content) => (window.answer = { content: content ?? null }),
    (error) => (window.answer = { error: String(error) }),
  )
  .finally(() => (window.ready = true));

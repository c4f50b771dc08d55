// Builder.io's first-generation SDK: content by target, both of its endpoints.
import { Builder, builder } from "@builder.io/sdk";

const { key, host, path, endpoint } = window.settings;
builder.init(key, false);
Builder.overrideHost = host;
builder.apiEndpoint = endpoint;
builder
  .get("page", { userAttributes: { urlPath: path }, cachebust: true })
  .promise()
  .then(
    (content) => (window.answer = { content: content ?? null }),
    (error) => (window.answer = { error: String(error) }),
  )
  .finally(() => (window.ready = true));

// Builder.io's second-generation SDK: content fetched and rendered with React, a registered component in it.
import { Content, fetchOneEntry } from "@builder.io/sdk-react";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const { key, host, path } = window.settings;
const Hero = ({ title }) => createElement("h1", { "data-testid": "hero" }, title);
const components = [{ component: Hero, name: "Hero", inputs: [{ name: "title", type: "string" }] }];
const trustedHosts = ["127.0.0.1"]; // the editor's host here; Builder.io's own are trusted already
fetchOneEntry({ model: "page", apiKey: key, apiHost: host, userAttributes: { urlPath: path } })
  .then((content) => {
    window.answer = { content };
    const root = createRoot(document.getElementById("root"));
    root.render(createElement(Content, { content, model: "page", apiKey: key, apiHost: host, customComponents: components, trustedHosts }));
  })
  .catch((error) => (window.answer = { error: error?.message ?? String(error) }))
  .finally(() => (window.ready = true));

// DataDog's browser SDK as a site would use it; `window.settings` holds keys and addresses.
import { datadogRum } from "@datadog/browser-rum";

const { applicationId, clientToken, proxy, marker, compress } = window.settings;
datadogRum.init({
  applicationId,
  clientToken,
  site: "datadoghq.com",
  proxy: proxy.startsWith("function ") ? ({ path, parameters }) => `${proxy.slice(9)}${path}?${parameters}` : proxy,
  service: "platform",
  env: "test",
  version: "1.2.3",
  sessionSampleRate: 100,
  sessionReplaySampleRate: 0,
  trackResources: true,
  trackLongTasks: true,
  trackUserInteractions: true,
  trackingConsent: "granted",
  compressIntakeRequests: compress,
  allowUntrustedEvents: true, // the SDK ignores events that a script made, so a test could not flush it
});
datadogRum.setGlobalContextProperty("marker", marker);
datadogRum.setUser({ id: "u1" });
datadogRum.addAction("bought", { price: 3 });
datadogRum.addError(new Error(`boom ${marker}`));
datadogRum.addDurationVital("render", { startTime: Date.now() - 20, duration: 20 });
// The SDK begins only once its session is kept; a page left before that has nothing to send.
while (!datadogRum.getInternalContext()) await new Promise((done) => setTimeout(done, 5));
await fetch("/resource.txt");
const until = performance.now() + 120;
while (performance.now() < until);
window.rum = datadogRum;
window.ready = true;

// Sentry's browser SDK as a site would use it: by the data source name, or through a tunnel.
import * as Sentry from "@sentry/browser";

const { dsn, tunnel, marker } = window.settings;
Sentry.init({
  dsn,
  tunnel,
  release: `platform@${marker}`,
  environment: "test",
  tracesSampleRate: 1,
  integrations: [Sentry.browserTracingIntegration()],
});
Sentry.setTag("marker", marker);
window.eventId = Sentry.captureException(new Error(`boom ${marker}`));
Sentry.startSpan({ name: `checkout ${marker}`, op: "task", forceTransaction: true }, () => {});
window.flushed = Sentry.flush(5000);
window.ready = true;

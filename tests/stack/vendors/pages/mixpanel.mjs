// Mixpanel's browser SDK as a site would use it.
import mixpanel from "mixpanel-browser";

const { token, apiHost, marker, batch } = window.settings;
mixpanel.init(token, { api_host: apiHost, batch_requests: batch, persistence: "localStorage", ip: false, debug: false });
mixpanel.identify(marker);
mixpanel.people.set({ plan: "gold" });
mixpanel.track("bought", { marker, price: 3 }, { send_immediately: !batch }, (answer) => (window.answer = answer));
window.ready = true;

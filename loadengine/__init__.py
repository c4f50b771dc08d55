"""The load engine: truthful HTTP and WebSocket load on Locust. Profiles import `loadengine.api`."""

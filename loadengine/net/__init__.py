"""Sockets, HTTP/1.1 and WebSockets on one epoll descriptor beside gevent's hub."""

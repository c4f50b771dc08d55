"""What the cases share."""

import gevent


def read_request(reader):
    """(first line, headers, body) of one request, None at the end."""
    first = reader.readline()
    if not first:
        return None
    headers = {}
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        headers[name.strip().lower().decode()] = value.strip().decode()
    body = reader.read(int(headers.get("content-length", 0)))
    return first.decode().strip(), headers, body


def counts(engine):
    """Outcome names and how often, over all series and phases."""
    found = {}
    for delta in engine.recorder.take():
        for outcome, n in enumerate(delta.counts.sum(axis=0).tolist()):
            if n:
                name = ("ok", "wrong", "error", "refused", "cancelled")[outcome]
                found[name] = found.get(name, 0) + n
    return found


def within(seconds, ready):
    """Waits until `ready()` holds."""
    with gevent.Timeout(seconds):
        while not ready():
            gevent.sleep(0.005)

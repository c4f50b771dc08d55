/** Bytes on their way through the Worker, a block at a time: never a whole file in memory, never the thread for long. */

const BLOCK = 256 * 1024;

/**
 * The first `size` bytes of a stream in blocks of at most 256 KiB; fewer when the stream ends before.
 *
 * Between blocks the event loop gets a turn: workerd looks at its sockets only when nothing else is ready, so streams that
 * never wait (a file on this machine, a fast sender) would keep every other request, timer and connection waiting.
 */
export async function* blocks(source: ReadableStream<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  const reader = source.getReader({ mode: "byob" });
  for (let got = 0; got < size; ) {
    const { value } = await reader.readAtLeast(Math.min(BLOCK / 2, size - got), new Uint8Array(BLOCK));
    if (!value?.length) return;
    got += value.length;
    yield value;
    await scheduler.wait(0);
  }
}

/** A stream was shorter than was told. */
export class TooShort extends Error {}

/**
 * Hands the first `size` bytes of `source` on to `take` as a stream of known length, and shows each block, with where it
 * begins, to `see` first. Throws TooShort, what `see` threw, or what `take` failed with; `take` has ended by then.
 */
export async function relay<T>(
  source: ReadableStream<Uint8Array>, size: number, take: (stream: ReadableStream) => Promise<T>, see: (block: Uint8Array, at: number) => unknown,
): Promise<T> {
  const { readable, writable } = new FixedLengthStream(size);
  const out = writable.getWriter();
  const taken = take(readable);
  // A taker that fails may leave the stream unread, and writing to it would wait for ever.
  const failed = new Promise<never>((_, no) => void taken.catch(no));
  failed.catch(() => undefined); // awaited below; a failure while we still read must not be "unhandled"
  try {
    let at = 0;
    for await (const block of blocks(source, size)) {
      await Promise.race([Promise.all([see(block, at), out.write(block)]), failed]);
      at += block.length;
    }
    if (at < size) throw new TooShort();
    await Promise.race([out.close(), failed]);
    return await taken;
  } catch (error) {
    await Promise.allSettled([out.abort(error), taken]);
    throw error;
  }
}

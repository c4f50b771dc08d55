/** Text by code points, and text as a literal in a PostgreSQL regular expression. */

/** At most `most` code points of a text, so that no emoji is cut in two; half a pair that was in it becomes U+FFFD. */
export const cut = (text: string, most: number): string => [...text.slice(0, 2 * most)].slice(0, most).join("").toWellFormed();

/** A text that matches only itself. PostgREST has no escape for its wildcard `*` in `like`, so a search uses `match`. */
export const literal = (text: string): string => text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");

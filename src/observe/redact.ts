/**
 * Where the password ends is decided generously (the last `@` before a space or quote), because a wrong URL
 * with a bare `@` or `/` in the password is just what ends up in an error message.
 * The lengths are bounded so that text chosen by a device cannot make the search quadratic.
 */
const URL_PASSWORD = /(:\/\/[^\s:/@"]{0,256}:)(?:\\.|[^\s"\\]){1,512}@/g;

/** The text with the password of every URL replaced by `***`. Made for JSON lines: it leaves them valid. */
export function redactUrls(text: string): string {
  return text.includes('://') ? text.replace(URL_PASSWORD, '$1***@') : text;
}

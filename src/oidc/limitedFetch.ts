// Requests to a provider: short answers only, in time, and nowhere else than asked.
const BYTES_MAX = 256 * 1024;
const TIME_MS = 10_000;

/** As fetch(), for a library that takes one. Throws for an answer that is longer than any of a provider's has to be. */
export async function limitedFetch(url: string, options: object): Promise<Response> {
  const response = await fetch(url, { ...options, redirect: "manual", signal: AbortSignal.timeout(TIME_MS) });
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > BYTES_MAX) throw new Error(`the answer is longer than ${BYTES_MAX} bytes`);
    parts.push(part);
  }
  const { status, statusText, headers } = response;
  const isEmpty = status === 204 || status === 304 || status < 200;
  return new Response(isEmpty ? null : Buffer.concat(parts), { status, statusText, headers });
}

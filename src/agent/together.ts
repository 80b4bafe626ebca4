// Runs the loops of a daemon together: if one fails, all end.

/** A part runs until its signal aborts. */
type Part = (signal: AbortSignal) => Promise<unknown>;

/**
 * Runs all until the signal aborts. If one rejects, the signal of the others aborts; when all have ended, rejects with
 * the first error. So none of them still runs when the caller closes what they use.
 */
export async function together(signal: AbortSignal, parts: readonly Part[]): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let first: { readonly error: unknown } | undefined;
  const ended = parts.map(async (part) => {
    try {
      await part(either);
    } catch (error) {
      first ??= { error };
      failed.abort("a part failed");
    }
  });
  await Promise.all(ended);
  if (first !== undefined) throw first.error;
}

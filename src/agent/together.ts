// Parts of a daemon that live and end together.

/** A part runs until its signal aborts. */
type Part = (signal: AbortSignal) => Promise<unknown>;

/**
 * Runs all until the signal aborts. When one rejects, the others are told to stop; rejects with what it said when all
 * have ended, so that nobody works on what is taken down then.
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

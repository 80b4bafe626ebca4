// Runs the loops of a daemon together: if one fails, all end.

/** A part runs until its signal aborts. */
type Part = (signal: AbortSignal) => Promise<unknown>;

/** Runs all until the signal aborts. If one rejects, ends the others; when all have ended, rejects with its error. */
export async function together(signal: AbortSignal, parts: readonly Part[]): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let first: { readonly error: unknown } | undefined;
  const run = async (part: Part) => await part(either);
  const fail = (error: unknown) => {
    first ??= { error };
    failed.abort("a part failed");
  };
  await Promise.all(parts.map((part) => run(part).catch(fail)));
  if (first !== undefined) throw first.error;
}

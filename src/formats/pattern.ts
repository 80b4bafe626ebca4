// Patterns of names as shells have them: `*`, `?`. Patterns come from files, so matching takes linear steps for each
// star and never goes back further than the last one.

export function isPattern(text: string): boolean {
  return /[*?[\]]/.test(text);
}

/** Whether the whole name fits; a set in brackets fits nothing. */
export function isMatch(pattern: string, name: string): boolean {
  let [p, n] = [0, 0];
  let retry: { readonly p: number; n: number } | undefined;
  while (n < name.length) {
    const letter = pattern[p];
    if (letter === "*") {
      retry = { p: ++p, n };
    } else if (letter !== undefined && letter !== "[" && (letter === "?" || letter === name[n])) {
      p++;
      n++;
    } else if (retry !== undefined) {
      p = retry.p;
      n = ++retry.n;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

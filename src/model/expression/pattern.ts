// Patterns of expressions: `*` is any text, `?` any character, `\` takes the meaning from the character after it. A
// pattern is compiled once and asked of thousands of texts; the time grows with their product at most, never faster.

export type Pattern = (text: string) => boolean;

/** A character itself, any one, or any number of them. */
type Piece = { readonly character: string } | "one" | "many";

export function patternOf(pattern: string): Pattern {
  const pieces = piecesOf(pattern);
  if (pieces.includes("one")) return (text) => matches(pieces, text);
  const [first = "", ...rest] = runsOf(pieces);
  const last = rest.pop();
  if (last === undefined) return (text) => text === first;
  return (text) => {
    const end = text.length - last.length;
    if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    // Each as early as it can be leaves most for those after it.
    for (const run of rest) {
      const found = text.indexOf(run, at);
      if (found < 0 || found + run.length > end) return false;
      at = found + run.length;
    }
    return true;
  };
}

/** What stands before, between and after the stars. */
function runsOf(pieces: readonly Piece[]): string[] {
  const runs = [""];
  for (const piece of pieces) {
    if (piece === "many") runs.push("");
    else if (piece !== "one") runs.push((runs.pop() ?? "") + piece.character);
  }
  return runs;
}

function piecesOf(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern.charAt(i);
    if (character === "\\" && i + 1 < pattern.length) pieces.push({ character: pattern.charAt(++i) });
    else if (character === "?") pieces.push("one");
    else if (character !== "*") pieces.push({ character });
    else if (pieces.at(-1) !== "many") pieces.push("many");
  }
  return pieces;
}

/** Goes back only to the last `*`: what an earlier one could take, that one can. */
function matches(pieces: readonly Piece[], text: string): boolean {
  let [p, t] = [0, 0];
  let [star, from] = [-1, 0];
  while (t < text.length) {
    const piece = pieces[p];
    if (piece === "many") [star, from, p] = [p, t, p + 1];
    else if (piece === "one" || (piece !== undefined && piece.character === text.charAt(t))) [p, t] = [p + 1, t + 1];
    else if (star >= 0) [p, t, from] = [star + 1, from + 1, from + 1];
    else return false;
  }
  while (pieces[p] === "many") p++;
  return p === pieces.length;
}

// Where a text stops being JSON (RFC 8259). JSON.parse reads it; only when that fails is it walked again to find the
// place, because the engine's messages name one only sometimes.

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER_OR_WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** `line 2, column 14` of the first character that cannot be there; its end if the text is cut off. */
export function errorPosition(text: string): string {
  const before = text.slice(0, errorOffset(text)).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/** How much of the text is the beginning of a JSON value. */
function errorOffset(text: string): number {
  const open: string[] = [];
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    at += found?.[0].length ?? 0;
    return found !== null;
  };
  const spaceThen = (pattern: RegExp): boolean => skip(SPACE) && skip(pattern);
  const key = (): boolean => spaceThen(STRING) && spaceThen(/:/y);
  let wants: "value" | "first" | "next" = "value";
  for (;;) {
    const inside = open.at(-1);
    if (wants === "next") {
      if (inside === undefined) {
        skip(SPACE);
        return at;
      }
      if (spaceThen(inside === "{" ? /\}/y : /\]/y)) open.pop();
      else if (!skip(/,/y)) return at;
      else if (inside === "{" && !key()) return at;
      else wants = "value";
    } else if (wants === "first" && spaceThen(inside === "{" ? /\}/y : /\]/y)) {
      open.pop();
      wants = "next";
    } else if (wants === "first" && inside === "{") {
      if (!key()) return at;
      wants = "value";
    } else if (spaceThen(/[{[]/y)) {
      open.push(text.charAt(at - 1));
      wants = "first";
    } else if (skip(STRING) || skip(NUMBER_OR_WORD)) wants = "next";
    else return at;
  }
}

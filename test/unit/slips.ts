// For tests of parsers of user input: typing mistakes made from a valid text, and the promise that none of them is
// ignored.
import assert from "node:assert/strict";
import fc from "fast-check";
import { Fault } from "../../src/model/fault.ts";

const SEPARATORS = /[:,;=+/.\- ]/g;
const GARBAGE = [" x", "x", "(x)", "\n", "\0", ",", ":", "=", "-", "+1", "/", ":log", ",0", "=1", "٣", "%d"];

/** One to three slips: doubled separators, zeros in front, parts given twice, ends cut or grown, upper case. */
function slipsOf(word: string): fc.Arbitrary<string> {
  const slip = fc.tuple(fc.nat({ max: 7 }), fc.nat(), fc.constantFrom(...GARBAGE));
  return fc.array(slip, { maxLength: 3 }).map((slips) =>
    slips.reduce((text, [kind, place, garbage]) => {
      const at = text === "" ? 0 : place % text.length;
      const separators = [...text.matchAll(SEPARATORS)].map(({ index }) => index);
      const separator = separators[place % Math.max(1, separators.length)] ?? at;
      if (kind === 0) return text.slice(0, separator) + text.slice(separator, separator + 1) + text.slice(separator);
      if (kind === 1) return text.replace(/\d+/g, (number, index: number) => (index >= at ? `0${number}` : number));
      if (kind === 2) return text + text.slice(separator);
      if (kind === 3) return text + garbage;
      if (kind === 4) return text.slice(0, at) + text.slice(at + 1);
      if (kind === 5) return text.slice(0, at) + garbage + text.slice(at);
      if (kind === 6) return text.toUpperCase();
      return text.slice(0, at);
    }, word),
  );
}

type Reader<T> = {
  readonly read: (text: string) => T;
  readonly print: (value: T) => string;
  /** What of a text has to be found in what is printed of its value; by default its words in any order and case. */
  readonly parts?: (text: string) => readonly string[];
};

/** Each slip of each word is refused by a Fault that says where, or read whole: what is printed says all of it. */
export function readsWhole<T>(words: readonly string[], { read, print, parts = partsOf }: Reader<T>): void {
  fc.assert(
    fc.property(fc.constantFrom(...words).chain(slipsOf), (text) => {
      const value = tried(() => read(text));
      if (value instanceof Fault) return assert.notEqual(value.detail.where ?? "", "", value.message);
      const printed = print(value);
      assert.deepEqual(read(printed), value, `"${text}" is printed as "${printed}"`);
      assert.deepEqual(parts(printed), parts(text), `"${text}" is printed as "${printed}"`);
    }),
    { numRuns: 2000 },
  );
}

/** An IPv6 address that ends like an IPv4 address is printed in hexadecimal (RFC 5952, section 5). */
export function inHexadecimal(text: string): string {
  return text.replaceAll(/(?<=:)(\d+)\.(\d+)\.(\d+)\.(\d+)/g, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
}

function partsOf(text: string): readonly string[] {
  return text.toLowerCase().split(SEPARATORS).sort();
}

function tried<T>(work: () => T): T | Fault {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

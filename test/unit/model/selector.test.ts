// Labels and selectors: every selector selects what a naive reading of its text says, and what is wrong is told by its
// column.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../src/model/fault.ts";
import { type Labels, checkLabels, labelsText } from "../../../src/model/labels.ts";
import { parseSelector, selects } from "../../../src/model/selector.ts";

const KEYS = ["a", "tier", "in", "example.org/x"];
const VALUES = ["", "1", "web", "in", "a.b-c_d"];
const labels = fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES));
const key = fc.constantFrom(...KEYS);
const value = fc.constantFrom(...VALUES);
const space = fc.constantFrom("", " ", "  ");

/** A requirement as text, with what it says to a person who looks at labels. */
type Said = { readonly text: string; readonly holds: (labels: Labels) => boolean };
const said: fc.Arbitrary<Said> = fc
  .tuple(key, value, fc.array(value, { minLength: 1, maxLength: 3 }), space, fc.nat(6))
  .map(([k, v, list, s, form]): Said => {
    const has = (of: Labels) => Object.keys(of).includes(k);
    const forms: readonly Said[] = [
      { text: `${s}${k}${s}=${s}${v}`, holds: (of) => has(of) && of[k] === v },
      { text: `${k}==${v}${s}`, holds: (of) => of[k] === v },
      { text: `${k}${s}!=${v}`, holds: (of) => of[k] !== v },
      { text: `${k} in (${list.join(`${s},${s}`)}${s})`, holds: (of) => list.some((one) => of[k] === one) },
      { text: `${k} notin${s}(${list.join(",")})`, holds: (of) => list.every((one) => of[k] !== one) },
      { text: `${s}${k}${s}`, holds: has },
      { text: `!${s}${k}`, holds: (of) => !has(of) },
    ];
    return forms[form] ?? assert.fail();
  });

test("a selector selects what each of its requirements says", () => {
  fc.assert(
    fc.property(fc.array(said, { maxLength: 4 }), labels, (all, of) => {
      const selector = parseSelector(all.map(({ text }) => text).join(","), "?labels");
      assert.equal(selector.length, all.length);
      assert.equal(
        selects(selector, of),
        all.every(({ holds }) => holds(of)),
      );
    }),
    { numRuns: 2000 },
  );
});

test("what cannot be read is told with its column, and any text is read or refused", () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(
      () => parseSelector(text, "-l"),
      (error) => error instanceof Fault && error.reason === "selector-invalid" && message.test(error.message),
      text,
    );
  refused("a=b,", /from column 5 on: expected the key of a label, got the end/);
  refused("a b", /column 3 on: expected a comma or the end, got "b"/);
  refused("a in b", /column 6 on: expected a list of values in parentheses, got "b"/);
  refused("a in (b", /column 8 on: expected a comma or a closing parenthesis, got the end/);
  refused("a=-b", /column 3 on: expected the value of a label, got "-b"/);
  refused("=b", /column 1 on: expected the key of a label, got "="/);
  refused("!a=b", /column 3 on: expected a comma or the end, got "="/);
  refused("a".repeat(5000), /longer than 4096/);
  refused("__proto__", /expected the key/);
  assert.deepEqual(parseSelector("  ", "-l"), []);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."ab=!(), in-/.".split("")) }), (text) => {
      try {
        parseSelector(text, "-l");
      } catch (error) {
        assert.ok(error instanceof Fault && error.reason === "selector-invalid", String(error));
      }
    }),
  );
});

test("labels of the prototype are nobody's", () => {
  assert.equal(selects(parseSelector("constructor", "-l"), {}), false);
  assert.equal(selects(parseSelector("!constructor", "-l"), {}), true);
});

test("keys and values are Kubernetes', in the order of their keys", () => {
  const good = { tier: "web", "example.org/x": "", a1: "x".repeat(63) };
  assert.deepEqual(Object.keys(checkLabels(good, "labels") ?? {}), ["a1", "example.org/x", "tier"]);
  assert.equal(labelsText({ a: "b", c: "" }), "a=b, c=");
  const bad: readonly Labels[] = [
    { "": "x" },
    { "-a": "x" },
    { "a b": "x" },
    { "a/b/c": "x" },
    { "/a": "x" },
    { "Org/a": "x" },
    { [`${"d".repeat(254)}/a`]: "x" },
    { ["x".repeat(64)]: "x" },
    { a: "-" },
    { a: "x".repeat(64) },
    { a: "ü" },
    JSON.parse('{"__proto__": "x"}'),
    Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, "v"])),
  ];
  for (const one of bad)
    assert.throws(
      () => checkLabels(one, "spec.labels"),
      (error) => error instanceof Fault && error.reason === "label-invalid" && error.detail.where === "spec.labels",
      JSON.stringify(one).slice(0, 80),
    );
});

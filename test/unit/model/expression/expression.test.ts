// Expressions: what is written is read, what cannot be read is refused with its column, and what is read means what a
// naive reading says.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scoreOf, testOf, whyNot } from "../../../../src/model/expression/evaluate.ts";
import { parseRank, parseRequirement } from "../../../../src/model/expression/parse.ts";
import { patternOf } from "../../../../src/model/expression/pattern.ts";
import { rankText, requirementText } from "../../../../src/model/expression/text.ts";
import { EXPRESSION_MAX } from "../../../../src/model/expression/tokens.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { type Fields, anyFields, anyRank, anyRequirement, naiveHolds, naiveScore, ofFields } from "./anyExpression.ts";

const blue: Readonly<Record<string, string | number | readonly string[]>> = {
  NAME: "blue",
  CLUSTER: ["east", "north"],
  FREE_LEASES: 12,
  zone: "a-1",
  speed: "25",
  'LABEL("example.com/tier")': "gold",
};
const ofBlue: Fields = (name) => blue[name];
const holds = (text: string) => testOf(parseRequirement(text), ofFields)(ofBlue);
const score = (text: string) => scoreOf(parseRank(text), ofFields)(ofBlue);

test("requirements, as OpenNebula's users write them", () => {
  for (const text of [
    'CLUSTER = "east" & FREE_LEASES > 10 & !(NAME = "*test*")',
    "CLUSTER=north",
    'CLUSTER @> "nor*"',
    'CLUSTER != "west"',
    "FREE_LEASES >= 12 & FREE_LEASES <= 12 & FREE_LEASES < 12.5 & FREE_LEASES > -1",
    "speed > 10 & speed = 25 & speed != 24",
    'zone = "a-?" | zone = "b-?"',
    '!zone = "b*"',
    'LABEL("example.com/tier") = gold',
    '(NAME = "x" | NAME = blue) & FREE_LEASES = 12',
    "!missing = 5",
    '!!(NAME="b*e")',
  ])
    assert.equal(holds(text), true, text);
  for (const text of [
    "missing = 5",
    "missing != 5",
    'missing != "x"',
    'NAME = "blu"',
    "NAME > 5",
    'CLUSTER != "east"',
    'NAME = "\\*"',
    'LABEL("other") = gold',
    'zone = "b*" | zone = "c*"',
  ])
    assert.equal(holds(text), false, text);
});

test("ranks are arithmetic; a field that is not there is 0", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["FREE_LEASES", 12],
    ["-FREE_LEASES", -12],
    ["2 + 3 * 4 - 1", 13],
    ["(2 + 3) * 4", 20],
    ["8 - 4 - 2", 2],
    ["16 / 4 / 2", 2],
    ["FREE_LEASES-speed", -13],
    ["FREE_LEASES/2 + missing", 6],
    ["NAME + CLUSTER", 0],
    ['LABEL("example.com/tier") + 1.5e1', 15],
    ["- (speed * 2)", -50],
    ["1 / missing", Number.NaN],
    ["1e300 * 1e300", Number.NaN],
  ];
  for (const [text, value] of cases) assert.equal(score(text), value, text);
});

test("what cannot be read is refused with the column, and a line that points at it", () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ["", 1, /it ends where a field should follow/],
    ["  ", 3, /it ends/],
    ["NAME", 5, /expected one of = != > < >= <= @> after NAME/],
    ["NAME =", 7, /expected a number or text after =/],
    ['NAME = "x', 8, /quotation mark has no second one/],
    ['NAME > "x"', 8, /> compares numbers/],
    ["NAME < blue", 8, /< compares numbers/],
    ["FREE_LEASES > - x", 17, /expected a number or text/],
    ["A = 1 & B = 2 | C = 3", 15, /& and \| stand side by side/],
    ["(A = 1", 1, /there is no "\)" for this one/],
    ["A = 1)", 6, /there is no "\(" for this one/],
    ["A = 1 B = 2", 7, /expected the end or an operator/],
    ["A = 1 & ", 9, /it ends/],
    ["5 = A", 1, /expected a field/],
    ["A == 5", 4, /expected a number or text after =/],
    ["A # 5", 3, /"#" has no meaning here/],
    ["A = 😀", 5, /"😀" has no meaning here/],
    ['A = "x[ab]"', 7, /no sets of characters/],
    ["LABEL(x) = 1", 7, /expected the key of a label/],
    ["A = 1e999", 5, /too large/],
  ];
  for (const [text, column, why] of cases) {
    const fault = faultOf(() => parseRequirement(text, "requires"));
    assert.match(fault.detail.what, new RegExp(`^requires, column ${column}: `), text);
    assert.match(fault.detail.what, why, text);
    assert.equal(fault.detail.where, "requires");
    const [, line, mark] = (fault.detail.why ?? "").split("\n");
    if (line === undefined || mark === undefined) assert.equal(text.trim(), "");
    else assert.equal(mark, `${" ".repeat(column - 1)}^`);
  }
  for (const text of ["", "1 +", "* 2", "(1", "1)", '"x"', "1 2", "1 & 2"])
    assert.match(faultOf(() => parseRank(text)).detail.what, /^rank, column \d+: /, text);
});

test("the line that points at a place far inside shows what is around it", () => {
  const text = `${'NAME = "blue" & '.repeat(100)}NAME ? 1${' & NAME = "blue"'.repeat(100)}`;
  const [, line = "", mark = ""] = (faultOf(() => parseRequirement(text)).detail.why ?? "").split("\n");
  assert.ok(line.length < 130 && line.startsWith("…") && line.endsWith("…"), line);
  assert.equal(line[mark.length - 1], "?");
});

test("hostile text is answered at once", () => {
  for (const sign of ["(", "!", "-", '"', "\\", "A=1&", " ", "\u0000", "😀"]) {
    const text = sign.repeat((16 * 1024 * 1024) / sign.length);
    for (const parse of [parseRequirement, parseRank]) assert.match(faultOf(() => parse(text)).message, /too long/);
    const short = sign.repeat(EXPRESSION_MAX / sign.length);
    for (const parse of [parseRequirement, parseRank]) faultOf(() => parse(short));
  }
  const deep = (n: number) => `${"(".repeat(n)}A = 1${")".repeat(n)}`;
  assert.ok(parseRequirement(deep(64)));
  assert.match(faultOf(() => parseRequirement(deep(65))).message, /more than 64 levels/);
  const long = Array.from({ length: 500 }, (_, i) => `A=${i % 10}`).join("|");
  assert.equal(
    testOf(parseRequirement(long), ofFields)(() => 5),
    true,
  );
  const sum = Array.from({ length: 2000 }, () => "1").join("+");
  assert.equal(
    scoreOf(parseRank(sum), ofFields)(() => undefined),
    2000,
  );
});

test("a pattern of many stars takes no longer than text times pattern", () => {
  const fits = patternOf(`${"*a".repeat(1000)}b`);
  assert.equal(fits("a".repeat(4000)), false);
});

test("any text is read or refused, and never anything else", () => {
  const unit = fc.constantFrom(...'AB1.5 "\\*?!=<>&|()@+-/[é\n'.split(""), "LABEL(", "NAME", '"x"');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
      for (const parse of [parseRequirement, parseRank])
        try {
          parse(text);
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
        }
    }),
    { numRuns: 2000 },
  );
});

test("what is written from a value is read as that value", () => {
  fc.assert(fc.property(anyRequirement, (value) => assert.deepEqual(parseRequirement(requirementText(value)), value)));
  fc.assert(fc.property(anyRank, (value) => assert.deepEqual(parseRank(rankText(value)), value)));
});

test("a requirement holds where a naive reading says so, and says why where it does not", () => {
  fc.assert(
    fc.property(anyRequirement, anyFields, (requirement, fields) => {
      const expected = naiveHolds(requirement, fields);
      assert.equal(testOf(requirement, ofFields)(fields), expected);
      assert.equal(whyNot(requirement, ofFields, fields) === undefined, expected);
    }),
    { numRuns: 2000 },
  );
});

test("a rank comes to what a naive reading says", () => {
  fc.assert(
    fc.property(anyRank, anyFields, (rank, fields) => {
      assert.equal(scoreOf(rank, ofFields)(fields) + 0, naiveScore(rank, fields) + 0);
    }),
    { numRuns: 2000 },
  );
});

test("why a requirement does not hold: the first part that fails, with what was found", () => {
  const why = (text: string) => whyNot(parseRequirement(text), ofFields, ofBlue);
  assert.equal(why("FREE_LEASES > 20 & NAME = x"), "FREE_LEASES > 20: its FREE_LEASES is 12");
  assert.equal(why("NAME = blue & CLUSTER = west"), 'CLUSTER = "west": its CLUSTER is east, north');
  assert.equal(why("tier = gold"), 'tier = "gold": it has no tier');
  assert.equal(why("!(NAME = b* )".replace(" )", ")").replace("b*", '"b*"')), 'NAME = "b*" holds, and must not');
  assert.match(why("NAME = x | NAME = y") ?? "", /^none of 2 alternatives holds: NAME = "x": its NAME is blue$/);
});

function faultOf(parse: () => unknown): Fault {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.reason, "expression-invalid");
    return error;
  }
  assert.fail("it was read");
}

// A line of JSON and its checksum: what is read is what was written, or nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { sealed, unsealed } from "../../../src/files/seal.ts";

test("a seal is the last field of JSON, with the checksum of the JSON without it", () => {
  for (const value of [{}, { a: 1 }, { a: { b: ["ö", null] } }, { crc: "0" }]) {
    const text = JSON.stringify(value);
    const sum = crc32(text).toString(16).padStart(8, "0");
    assert.equal(sealed(value), `${text.slice(0, -1)}${text === "{}" ? "" : ","}"crc":"${sum}"}`);
    assert.deepEqual(JSON.parse(sealed(value)), { ...value, crc: sum });
  }
  // Checksums of seven and six digits have eight, too.
  const small = Array.from({ length: 400 }, (_, n) => ({ n })).filter((one) => crc32(JSON.stringify(one)) < 2 ** 28);
  assert(small.length > 5);
  for (const one of small) assert.match(sealed(one), /"crc":"0[0-9a-f]{7}"\}$/);
});

test("whatever is sealed is read again, and without its seal it is read as such", () => {
  const values = fc.dictionary(fc.string(), fc.jsonValue()).filter((value) => !("__proto__" in value));
  fc.assert(
    fc.property(values, (value) => {
      const plain = JSON.parse(JSON.stringify(value)) as object;
      assert.deepEqual(unsealed(sealed(plain)), { value: plain, isSealed: true });
    }),
  );
  assert.deepEqual(unsealed('{"a":1}'), { value: { a: 1 }, isSealed: false });
  assert.deepEqual(unsealed("{}"), { value: {}, isSealed: false });
  assert.deepEqual(unsealed('{"crc":"1","a":2}'), { value: { crc: "1", a: 2 }, isSealed: false });
});

test("a flipped bit anywhere in what was sealed, or a text that is not JSON, is nothing", () => {
  const line = sealed({ put: { address: "10.0.0.2" } });
  const body = line.indexOf(',"crc"');
  for (let at = 0; at < body; at++) {
    const flipped = line.slice(0, at) + String.fromCodePoint((line.codePointAt(at) ?? 0) ^ 1) + line.slice(at + 1);
    assert.equal(unsealed(flipped), undefined, flipped);
  }
  for (const text of ["", "{", "x", '{"a":1', line.slice(0, -1), line.replace(/[0-9a-f]{8}"\}$/, '00000000"}')])
    assert.equal(unsealed(text), undefined, text);
});

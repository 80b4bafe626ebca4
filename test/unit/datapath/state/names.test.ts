// Names of devices stay what they were: an agent must find the links of its earlier lives, whatever version made them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceName } from "../../../../src/model/device.ts";
import { alias, portMac, portName, shaperName } from "../../../../src/datapath/state/names.ts";

test("an endpoint's names are those of all versions", () => {
  for (const [endpoint, tail, mac] of [
    ["web.eth0", "222079vnbuf", "fe:65:5a:be:4e:b7"],
    ["", "0wvjl67o803", "fe:b8:1a:ee:8d:83"],
    ["x", "049fp6jq86t", "fe:af:18:20:c6:f5"],
    ["ü-workload.eth12", "1mhg18nuvzh", "fe:1e:84:54:a4:6d"],
    ["a".repeat(100), "0hbipne3yim", "fe:d1:42:c6:6b:7e"],
  ] as const)
    assert.deepEqual([portName(endpoint), shaperName(endpoint), portMac(endpoint)], [`wp${tail}`, `wq${tail}`, mac]);
});

test("a name that does not fit ends in a hash of the whole", () => {
  const names = ["short", "a-very-long-name", "With.Dots", "_"].map((name) => deviceName("wb", name));
  assert.deepEqual(names, ["wb-short", "wb-a-ver-1es2ww", "wb-WithD-09z9wn", "wb--1wp6ai"]);
});

test("the digits of a hash are its number, whatever the number", () => {
  for (let i = 0; i < 2000; i++) {
    const [text, mac] = [portName(`w${i}.eth0`).slice(2), portMac(`w${i}.eth0`)];
    const value = text.split("").reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
    assert.match(text, /^[0-9a-z]{11}$/);
    assert.equal(value.toString(36).padStart(11, "0"), text);
    const low = (value & 0xff_ffff_ffffn).toString(16).padStart(10, "0");
    assert.equal(mac, `fe:${low.match(/../g)?.join(":")}`);
  }
});

test("an alias is as long as the kernel takes, in whole characters", () => {
  assert.equal(alias("endpoint", "web.eth0"), "weft:endpoint:web.eth0");
  assert.equal(alias("endpoint", "x".repeat(240)), `weft:endpoint:${"x".repeat(240)}`);
  assert.equal(alias("endpoint", "x".repeat(241)), `weft:endpoint:${"x".repeat(240)}`);
  assert.equal(alias("endpoint", "ü".repeat(300)), `weft:endpoint:${"ü".repeat(120)}`);
  assert.equal(alias("endpoint", `x${"😀".repeat(100)}`), `weft:endpoint:x${"😀".repeat(59)}`);
});

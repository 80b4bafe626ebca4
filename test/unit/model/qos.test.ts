// Units are read as they are written, and only so; limits that no kernel could keep are refused with the field's path;
// the narrowest word counts.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../src/model/fault.ts";
import {
  DIRECTIONS,
  formatLimit,
  formatRate,
  formatSize,
  limitOf,
  limited,
  parseQos,
  patched,
  type Qos,
  qosOfCni,
  type QosInput,
  rateOf,
  sizeOf,
} from "../../../src/model/qos.ts";

test("rates and sizes with their units", () => {
  const rates: readonly (readonly [string, number | undefined])[] = [
    ["10mbit", 10_000_000],
    ["10Mbit/s", 10_000_000],
    ["1gbit", 1_000_000_000],
    ["1.5 Gbit", 1_500_000_000],
    ["64kbit", 64_000],
    ["1mibit", 1_048_576],
    ["125kB/s", 1_000_000],
    ["1MiB/s", 8_388_608],
    ["20000", 20_000],
    ["10mbps", undefined],
    ["10m", undefined],
    ["10MB", undefined],
    ["-1mbit", undefined],
    ["1e3bit", undefined],
    ["", undefined],
    ["mbit", undefined],
    ["9999999999tbit", undefined],
  ];
  for (const [text, bits] of rates) assert.equal(rateOf(text), bits, text);
  const sizes: readonly (readonly [string, number | undefined])[] = [
    ["64kB", 64_000],
    ["64KiB", 65_536],
    ["1MB", 1_000_000],
    ["1500", 1500],
    ["1500B", 1500],
    ["2m", 2_000_000],
    ["64kbit", undefined],
    ["1.5.5kB", undefined],
    ["kB", undefined],
  ];
  for (const [text, bytes] of sizes) assert.equal(sizeOf(text), bytes, text);
});

test("what is shown can be given back", () => {
  const number = fc.oneof(
    fc.integer({ min: 0, max: 2 ** 40 }),
    fc.integer({ min: 1, max: 999 }).chain((n) => fc.constantFrom(n * 1e3, n * 1e6, n * 1e9, n * 1.5e9)),
  );
  fc.assert(
    fc.property(number, (n) => {
      assert.equal(rateOf(formatRate(n)), n, formatRate(n));
      assert.equal(sizeOf(formatSize(n)), n, formatSize(n));
    }),
  );
  assert.equal(formatLimit({ average: 1.5e9, peak: 2e9, burst: 64_000 }), "1.5gbit, peak 2gbit, burst 64kB");
  assert.equal(formatRate(1_234_567), "1234.567kbit");
});

test("a parsed limit is canonical: parsing it again changes nothing", () => {
  const amount = fc.constantFrom("10mbit", "125kB/s", 64_000, "1gbit", 16_000, "nonsense", 5);
  const limit = fc.record(
    { average: amount, peak: amount, burst: fc.constantFrom("64kB", 2000, 1, "x") },
    { requiredKeys: ["average"] },
  );
  const choice = fc.oneof(limit, fc.constantFrom("none" as const, "inherit" as const));
  let good = 0;
  fc.assert(
    fc.property(fc.record({ inbound: choice, outbound: choice }, { requiredKeys: [] }), (input) => {
      const first = parsedOrFault(input);
      if (first instanceof Fault) return;
      good++;
      assert.deepEqual(parseQos(first, "qos"), first);
      for (const direction of DIRECTIONS) {
        const said = first[direction];
        if (typeof said === "object")
          for (const value of Object.values(said)) assert(Number.isSafeInteger(value), JSON.stringify(said));
      }
    }),
  );
  assert(good > 0);
});

function parsedOrFault(input: QosInput) {
  try {
    return parseQos(input, "qos");
  } catch (error) {
    assert(error instanceof Fault);
    return error;
  }
}

test("what cannot be meant or kept is refused where it stands", () => {
  const cases: readonly (readonly [QosInput, string, RegExp])[] = [
    [{ inbound: { average: "fast" } }, "qos.inbound.average", /"fast" is not a rate.*10mbit/],
    [{ outbound: { average: "10mbps" } }, "qos.outbound.average", /bits and some as bytes/],
    [{ outbound: { average: 0 } }, "qos.outbound.average", /from 16kbit/],
    [{ outbound: { average: "2000gbit" } }, "qos.outbound.average", /to 1tbit/],
    [{ inbound: { average: "10mbit", peak: "9mbit" } }, "qos.inbound.peak", /not above the average/],
    [{ inbound: { average: "10mbit", peak: "10mbit" } }, "qos.inbound.peak", /not above the average/],
    [{ inbound: { average: "10mbit", burst: "10mbit" } }, "qos.inbound.burst", /is not a size/],
    [{ inbound: { average: "10mbit", burst: 100 } }, "qos.inbound.burst", /from 2kB to 5MB/],
    [{ inbound: { average: "10mbit", burst: "6MB" } }, "qos.inbound.burst", /to 5MB/],
  ];
  for (const [input, where, text] of cases) {
    const fault = parsedOrFault(input);
    assert(fault instanceof Fault, JSON.stringify(input));
    assert.equal(fault.reason, "qos-invalid");
    assert.equal(fault.detail.where, where);
    assert.match(fault.message, text);
  }
});

test("the narrowest word counts, direction by direction", () => {
  const network: Qos = { inbound: { average: 1_000_000 }, outbound: { average: 2_000_000, burst: 9000 } };
  const endpoint: Qos = { inbound: "none", outbound: { average: 3_000_000 } };
  assert.equal(limitOf([endpoint, network], "inbound"), undefined);
  assert.deepEqual(limitOf([endpoint, network], "outbound"), { average: 3_000_000 });
  assert.deepEqual(limitOf([undefined, network], "inbound"), network.inbound);
  assert.deepEqual(limited([{ inbound: "none" }, network]), ["outbound"]);
  assert.deepEqual(limited([]), []);
});

test("a patch speaks only of what it names", () => {
  const own: Qos = { inbound: { average: 1_000_000 }, outbound: "none" };
  assert.deepEqual(patched(own, { inbound: "none" }), { inbound: "none", outbound: "none" });
  assert.deepEqual(patched(own, { outbound: "inherit" }), { inbound: { average: 1_000_000 } });
  assert.equal(patched(own, { inbound: "inherit", outbound: "inherit" }), undefined);
  assert.deepEqual(patched(own, {}), own);
});

test("CNI's bandwidth, in bits, becomes limits that are always accepted", () => {
  assert.deepEqual(qosOfCni({}), {});
  assert.deepEqual(qosOfCni({ ingressRate: 0, egressRate: 0 }), {});
  assert.deepEqual(qosOfCni({ ingressRate: 10_000_000, ingressBurst: 800_000, egressRate: 1_000_000 }), {
    inbound: { average: 10_000_000, burst: 100_000 },
    outbound: { average: 1_000_000 },
  });
  // kubelet asks for the greatest burst there is.
  assert.deepEqual(qosOfCni({ egressRate: 1_000_000, egressBurst: 2_147_483_647 }), {
    outbound: { average: 1_000_000, burst: 500_000 },
  });
  const rate = fc.integer({ min: 16_000, max: 1_000_000_000_000 });
  const burst = fc.integer({ min: 0, max: 2 ** 53 - 1 });
  fc.assert(
    fc.property(rate, burst, (ingressRate, ingressBurst) => {
      parseQos(qosOfCni({ ingressRate, ingressBurst }), "bandwidth");
    }),
  );
});

// Addresses, prefixes and MACs: parsing, printing and arithmetic.
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  addressCount,
  BITS,
  cidrOf,
  contains,
  firstOf,
  formatCidr,
  formatIp,
  hostMask,
  interfaceOf,
  ipFromBytes,
  ipOf,
  type Ip,
  lastOf,
  macFromIp,
  macOf,
  overlaps,
  parseCidr,
  parseIp,
  vtepMac,
} from "../../../src/model/address.ts";
import { Fault } from "../../../src/model/fault.ts";
import { ipBytes } from "../../netns/lab/frames.ts";

const anyIp: fc.Arbitrary<Ip> = fc.oneof(
  fc.bigInt(0n, 2n ** 32n - 1n).map((value) => ({ family: 4 as const, value })),
  // Runs of zero groups are what "::" is about.
  fc
    .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
    .map((groups) => ({ family: 6 as const, value: groups.reduce((v, g) => (v << 16n) | BigInt(g), 0n) })),
);
const anyCidr = fc.tuple(anyIp, fc.nat(128)).map(([ip, n]) => {
  const length = n % (BITS[ip.family] + 1);
  return { family: ip.family, base: ip.value & ~hostMask(ip.family, length), length };
});

describe("addresses", () => {
  test("print and parse are inverse, in text and in bytes", () => {
    fc.assert(
      fc.property(anyIp, (ip) => {
        assert.deepEqual(ipOf(formatIp(ip)), ip);
        assert.deepEqual(ipFromBytes(ipBytes(ip)), ip);
        assert.equal(isIP(formatIp(ip)), ip.family);
      }),
    );
  });

  test("what people write has one meaning: no octal, no IPv4 as IPv6, no quad in the middle", () => {
    const refused = (reason: string, fix: RegExp) => (error: unknown) =>
      error instanceof Fault && error.reason === reason && fix.test(error.message);
    for (const text of ["::ffff:10.0.0.1", "::ffff:a00:1", "0:0:0:0:0:FFFF:10.0.0.1"])
      assert.throws(() => parseIp(text, "x"), refused("address-invalid", /did you mean 10\.0\.0\.1/), text);
    for (const text of ["10.7.0.99::", "10.7.0.9::1", "010.1.2.3", "10.1.2.3/8", "fe80::1%eth0", "", "::10.1.2.03"])
      assert.throws(() => parseIp(text, "x"), refused("address-invalid", /write it like/), text);
    assert.throws(() => parseCidr("::ffff:10.0.0.0/104", "x"), refused("cidr-invalid", /did you mean 10\.0\.0\.0\/8/));
    for (const text of ["10.8.0.0/016", "10.0.0.0/08", "fd00::/064", "10.0.0.0/00"])
      assert.throws(() => parseCidr(text, "x"), refused("cidr-invalid", /begins with a zero/), text);
    // A host may have such a route in its kernel, and must still be able to say so.
    assert.equal(interfaceOf("::ffff:0:0/96")?.length, 96);
  });

  test("IPv6 prints as RFC 5952 wants it, which is what URL parsers print too", () => {
    fc.assert(
      fc.property(anyIp, (ip) => {
        if (ip.family === 4) return;
        const host = new URL(`http://[${formatIp(ip)}]/`).hostname;
        assert.equal(`[${formatIp(ip)}]`, host);
      }),
    );
  });

  test("what is not an address is not taken for one", () => {
    for (const text of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.4/8",
      "a",
      ":",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "12345::",
      "fe80::1%eth0",
      "1.2.3.4 ",
      "::1.2.3",
      "1:2:3:4:5:6:7:8::",
    ]) {
      assert.equal(ipOf(text), undefined, text);
    }
    assert.equal(formatIp(ipOf("::ffff:1.2.3.4") ?? assert.fail()), "::ffff:102:304");
  });

  test("any text: agrees with the platform about what an IPv4 or IPv6 address is", () => {
    const texts = fc.oneof(
      fc.string({ unit: fc.constantFrom(..."0123456789abf:./".split("")), maxLength: 20 }),
      anyIp.map(formatIp),
    );
    fc.assert(fc.property(texts, (text) => assert.equal(ipOf(text)?.family ?? 0, isIP(text))));
  });
});

describe("networks", () => {
  test("contain their first and last address and nothing beyond", () => {
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        assert.deepEqual(cidrOf(formatCidr(cidr)), cidr);
        assert(contains(cidr, firstOf(cidr)) && contains(cidr, lastOf(cidr)));
        assert(!contains(cidr, { family: cidr.family, value: lastOf(cidr).value + 1n }));
        assert.equal(lastOf(cidr).value - firstOf(cidr).value + 1n, addressCount(cidr));
      }),
    );
  });

  test("overlap is symmetric and means a common address", () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, (a, b) => {
        assert.equal(overlaps(a, b), overlaps(b, a));
        const common =
          a.family === b.family && firstOf(a).value <= lastOf(b).value && firstOf(b).value <= lastOf(a).value;
        assert.equal(overlaps(a, b), common);
      }),
    );
  });

  test("host bits are refused with the network that was meant", () => {
    assert.throws(
      () => parseCidr("10.1.2.3/16", "subnets[0].cidr"),
      (fault: unknown) =>
        fault instanceof Fault &&
        fault.reason === "cidr-invalid" &&
        fault.message.includes("10.1.0.0/16") &&
        fault.message.includes("subnets[0].cidr"),
    );
    for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/129", "10.0.0.0/8/8", "/8"])
      assert.throws(() => parseCidr(text, "x"), Fault, text);
    assert.deepEqual(interfaceOf("10.1.2.3/16")?.length, 16);
  });
});

describe("MACs", () => {
  test("a VTEP's is the OUI and the low 24 bits of its address, as DC/OS has it", () => {
    const vectors = [
      ["44.128.0.1", "70:b3:d5:80:00:01"],
      ["44.128.15.254", "70:b3:d5:80:0f:fe"],
      ["198.15.0.3", "70:b3:d5:0f:00:03"],
      ["192.15.0.1", "70:b3:d5:0f:00:01"],
    ] as const;
    for (const [ip, mac] of vectors) assert.equal(vtepMac("70:B3:D5:00:00:00", ipOf(ip) ?? assert.fail()), mac);
  });

  test("an endpoint's is local and unicast, and tells its IPv4 address", () => {
    assert.equal(macFromIp(ipOf("10.1.2.255") ?? assert.fail()), "02:00:0a:01:02:ff");
    assert.equal(macFromIp(ipOf("fd00::ffff:ffff:1:2") ?? assert.fail()), "02:00:00:01:00:02");
    assert.equal(macOf("AA:bb:00:11:22:33"), "aa:bb:00:11:22:33");
    for (const text of ["aa:bb:cc:dd:ee", "aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:gg", "a:b:c:d:e:f"])
      assert.equal(macOf(text), undefined);
  });
});

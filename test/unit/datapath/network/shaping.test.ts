// A limit becomes a bucket that the kernel can keep exactly and that lets every frame through; and its numbers come
// back from the kernel's ticks as they went in.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Limit, Qos } from "../../../../src/model/qos.ts";
import { parseQos } from "../../../../src/model/qos.ts";
import type { Endpoint, Network, Vrf } from "../../../../src/model/resource.ts";
import { bytesOfTicks, compileShaping, ticksOf, wholeTicks } from "../../../../src/datapath/network/shaping.ts";

const envelope = { uid: "u", revision: 1 };
const VRF = { kind: "vrf", name: "blue", ...envelope, spec: {} } as unknown as Vrf;

function shaping(own: Qos | undefined, wide: Qos | undefined, mtu = 1450) {
  const network = { kind: "network", name: "blue", ...envelope, spec: { ...(wide && { qos: wide }) } };
  const endpoint = { kind: "endpoint", name: "web.eth0", ...envelope, spec: { ...(own && { qos: own }) } };
  return compileShaping(VRF, network as unknown as Network, endpoint as unknown as Endpoint, mtu);
}

test("sizes of buckets survive the kernel's ticks", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2000, max: 125_000_000_000 }),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      (rate, n) => {
        const whole = wholeTicks(rate, n);
        assert(whole >= n && whole - n <= Math.ceil((rate * 64) / 1e9));
        assert.equal(wholeTicks(rate, whole), whole);
        assert.equal(bytesOfTicks(rate, ticksOf(rate, whole)), whole);
      },
    ),
  );
});

test("nothing for nobody's limit, and nothing for a direction that says none", () => {
  assert.deepEqual(shaping(undefined, undefined), []);
  assert.deepEqual(shaping({ inbound: "none" }, { inbound: { average: 1_000_000 } }), []);
});

test("an endpoint's word goes before its range's, and that before the network's", () => {
  const wide = { inbound: { average: 8_000_000 }, outbound: { average: 8_000_000 } };
  const ranges = [{ name: "slow", qos: { inbound: { average: 800_000 }, outbound: "none" } }, { name: "plain" }];
  const network = { kind: "network", name: "blue", ...envelope, spec: { qos: wide, ranges } } as unknown as Network;
  const rates = (spec: object) =>
    compileShaping(VRF, network, { name: "web.eth0", spec } as unknown as Endpoint, 1450).flatMap((object) =>
      object.kind === "tbf" ? [object.rate] : [],
    );
  assert.deepEqual(rates({}), [1_000_000, 1_000_000]);
  assert.deepEqual(rates({ range: "plain" }), [1_000_000, 1_000_000]);
  assert.deepEqual(rates({ range: "slow" }), [100_000]);
  assert.deepEqual(rates({ range: "slow", qos: { inbound: { average: 80_000 } } }), [10_000]);
});

test("inbound is the port's own queue; outbound needs a device whose queue comes before the redirect", () => {
  const limit = { average: 8_000_000 };
  assert.deepEqual(
    shaping({ inbound: limit }, undefined).map(({ kind }) => kind),
    ["tbf"],
  );
  assert.deepEqual(
    shaping(undefined, { outbound: limit }).map(({ kind }) => kind),
    ["ifb", "tbf", "redirect"],
  );
});

test("every limit that is accepted fits the kernel's 32 bits and lets a full frame through", () => {
  const rate = fc.integer({ min: 16_000, max: 1_000_000_000_000 });
  const limit = fc
    .tuple(rate, rate, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
    .map(([a, b, part, isWhole]) => {
      const [average, peak] = a < b ? [a, b] : [b, a];
      const most = Math.min(1_000_000_000, Math.max(2000, Math.floor(average / 2)));
      const burst = 2000 + Math.floor(part * (most - 2000));
      return { average, ...(peak > average + 16 ? { peak } : {}), ...(isWhole ? { burst } : {}) } satisfies Limit;
    });
  fc.assert(
    fc.property(limit, fc.integer({ min: 576, max: 65_450 }), (inbound, mtu) => {
      parseQos({ inbound }, "qos");
      const [bucket] = shaping({ inbound }, undefined, mtu);
      assert(bucket?.kind === "tbf");
      assert(bucket.burst >= mtu + 18 && (bucket.peak === undefined || bucket.peak.burst >= mtu + 18));
      // A bucket is time to the kernel: above 2^32 ns it would be cut, silently.
      assert(ticksOf(bucket.rate, bucket.burst) * 64 < 2 ** 32);
      assert(bucket.limit < 2 ** 32, `${bucket.limit}`);
      if (bucket.peak !== undefined) assert(bucket.peak.rate > bucket.rate);
    }),
  );
});

test("average, peak and burst are bytes per second, and sizes that pass at once; a queue holds 50 ms more", () => {
  const bucketOf = (limit: Limit, mtu = 1450) => {
    const [bucket] = shaping({ inbound: limit }, undefined, mtu);
    assert(bucket?.kind === "tbf");
    const { rate, burst, limit: queue, peak } = bucket;
    return { rate, burst, queue, ...(peak === undefined ? {} : { peak: [peak.rate, peak.burst] }) };
  };
  // Of 100 Mbit/s: 10 ms at once, 50 ms waiting. At its peak a burst goes out in pieces of 1 ms.
  const queue = 125_000 + 625_000;
  assert.deepEqual(bucketOf({ average: 100_000_000 }), { rate: 12_500_000, burst: 125_000, queue });
  const peak = [25_000_000, 25_000];
  assert.deepEqual(bucketOf({ average: 100_000_000, peak: 200_000_000 }), {
    rate: 12_500_000,
    burst: 125_000,
    queue,
    peak,
  });
  assert.deepEqual(bucketOf({ average: 100_000_000, peak: 200_000_000, burst: 50_000 }), {
    rate: 12_500_000,
    burst: 50_000,
    queue: 50_000 + 625_000,
    peak,
  });
  // Slow ones: a piece, and a burst, is a frame at least; a queue takes one offloaded packet.
  assert.deepEqual(bucketOf({ average: 800_000, peak: 1_600_000 }), {
    rate: 100_000,
    burst: 4_000,
    queue: 4_000 + 65_536,
    peak: [200_000, wholeTicks(200_000, 1_468)],
  });
  assert.deepEqual(bucketOf({ average: 800_000, peak: 1_600_000, burst: 2_000 }, 9_000), {
    rate: 100_000,
    burst: wholeTicks(100_000, 9_018),
    queue: 9_018 + 65_536,
    peak: [200_000, wholeTicks(200_000, 9_018)],
  });
  // A peak that is the average in whole bytes is one more; a frame passes within four seconds.
  assert.deepEqual(bucketOf({ average: 16_000, peak: 16_001 }, 65_450).peak?.[0], Math.ceil(65_468 / 4) + 1);
});

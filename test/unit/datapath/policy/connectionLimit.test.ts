// Where a VRF's connections are counted together: where a workload may have any address, and nowhere else, because it
// costs each new connection. What the kernel makes of it is test/netns/tracked.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network, NetworkSpec } from "../../../../src/model/resource.ts";
import { connectionLimitChain } from "../../../../src/datapath/policy/connectionLimit.ts";

const network = (more: Partial<NetworkSpec>) =>
  ({ name: "blue", spec: { subnets: [], ...more } }) as unknown as Network;
const ETHER = { name: "e", type: "ether", mac: "02:00:00:00:01:00", size: 4 } as const;
const isCountedTogether = (...networks: readonly Network[]) => connectionLimitChain(networks).includes("set tracked {");

test("a VRF's connections are counted together where a workload of it may have any address", () => {
  const usual = network({});
  for (const loose of [{ spoofing: { ip: true } }, { spoofing: { mac: true } }, { ranges: [ETHER] }])
    assert.equal(isCountedTogether(usual, network(loose)), true, JSON.stringify(loose));
  for (const strict of [{}, { spoofing: { broadcasts: true, tags: true, dhcpServer: true } }])
    assert.equal(isCountedTogether(usual, network(strict)), false, JSON.stringify(strict));
});

test("by its own byte, before an address is, and every address everywhere", () => {
  const lines = connectionLimitChain([network({ spoofing: { ip: true } })]).split("\n");
  const adds = lines.flatMap(
    (line) => /add (@tracked\S*) \{ (?:ip6? saddr \. )?(\S+) ct count over (\d+)/.exec(line) ?? [],
  );
  const rows = Array.from({ length: adds.length / 4 }, (_, i) => adds.slice(i * 4 + 1, i * 4 + 4).join(" "));
  const both = (set: string, part: string) => [`@tracked ${part} 256`, `${set} ${part} 48`];
  assert.deepEqual(rows, [
    ...["@th,40,8", "@th,8,8", "@nh,152,8"].flatMap((part) => both("@tracked4", part)),
    ...["@th,40,8", "@th,8,8", "@nh,312,8"].flatMap((part) => both("@tracked6", part)),
  ]);
  assert.equal(connectionLimitChain([network({})]).match(/@tracked[46] /g)?.length, 6);
});

// The main job on the kernel of guests: two hosts, real processes, packets in networks of both kinds.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { inGuest } from "../guest/inGuest.ts";
import { BOTH_DATAPATHS, Cluster } from "./lab/cluster.ts";

await inGuest(import.meta.filename, () => {
  describe("two hosts in a guest", () => {
    const cluster = new Cluster(2);
    before(() => cluster.open());
    after(() => cluster.close());

    for (const [kind, spec] of Object.entries(BOTH_DATAPATHS))
      test(`workloads of a ${kind} network reach each other, in both families`, async () => {
        assert.equal((await cluster.api("PUT", `/v1/networks/${kind}`, { spec })).status, 201);
        await cluster.converged();
        const [a, b] = await Promise.all(cluster.hosts.map((host) => cluster.attach(host, kind, `${kind}-${host}`)));
        assert(a !== undefined && b !== undefined);
        for (const address of b.addresses) await cluster.reaches(a, address, 3);
        assert.equal(b.addresses.length, 2);
      });
  });
});

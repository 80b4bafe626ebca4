// A network changes its driver from VXLAN to GRE and back under traffic, on a kernel that has both.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { inGuest } from "../guest/inGuest.ts";
import { BOTH_DATAPATHS, Cluster, type Workload } from "./lab/cluster.ts";

await inGuest(import.meta.filename, () => {
  describe("VXLAN to GRE and back", { timeout: 240_000 }, () => {
    const cluster = new Cluster(2);
    const workloads = new Map<string, readonly [Workload, Workload]>();

    before(async () => {
      await cluster.open();
      for (const [name, spec] of Object.entries(BOTH_DATAPATHS)) {
        const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec });
        assert.equal(status, 201, JSON.stringify(body));
      }
      await cluster.converged();
      for (const name of Object.keys(BOTH_DATAPATHS)) {
        const pair = [
          await cluster.attach("h1", name, `${name}1`),
          await cluster.attach("h2", name, `${name}2`),
        ] as const;
        workloads.set(name, pair);
      }
      await cluster.converged();
    });
    after(() => cluster.close());

    for (const driver of ["gre", "vxlan"]) {
      test(`to ${driver}: no packet is lost`, async () => {
        for (const [name, [from, to]] of workloads) {
          const address = to.addresses[0] ?? "";
          assert.ok(await cluster.pings(from, address), "it is reached before");
          const argv = ["netns", "exec", from.netns, "ping", "-q", "-i", "0.02", "-w", "100", address];
          const ping = spawn("ip", argv, { stdio: ["ignore", "pipe", "inherit"] });
          let said = "";
          ping.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
          const edited = await cluster.weft("network", "edit", name, "--driver", driver, "--wait", "80");
          ping.kill("SIGINT");
          await once(ping, "exit");
          assert.equal(edited.code, 0, edited.stderr + edited.stdout);
          const [, sent = 0, received = 0] = (/(\d+) packets transmitted, (\d+) received/.exec(said) ?? []).map(Number);
          // The last one may be on its way when ping is stopped.
          assert.ok(sent > 50 && sent - received <= 1, `${name}: ${said}`);
          assert.ok(await cluster.pings(from, address), "it is reached after");
        }
      });
    }
  });
});

// How far a network's endpoints are, by what their hosts reported; and a new try where it failed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostReport } from "../../../../src/model/status.ts";
import { progressText } from "../../../../src/model/progress.ts";
import { openLab, reportOf } from "../lab.ts";

const blue = { subnets: [{ cidr: "10.7.0.0/16" }] };

test("updating until hosts report a change, failed where they refused, outdated where not heard", async () => {
  const lab = await openLab();
  await lab.put("blue", blue);
  await lab.put("red", { subnets: [{ cidr: "10.8.0.0/16" }] });
  for (const n of [1, 2, 3]) await lab.join(n);
  for (const [host, owner] of [
    ["h1", "a"],
    ["h1", "b"],
    ["h2", "c"],
    ["h3", "d"],
  ] as const)
    await lab.attach("blue", host, owner);
  const { control } = lab;
  const say = (host: string, more: Partial<HostReport>) => control.report({ ...reportOf(host), ...more });
  const told = async () => progressText((await control.progress("blue")) ?? assert.fail());
  const all = { revision: control.revision, policyRevision: control.revision, networks: ["blue"] };
  for (const host of ["h1", "h2", "h3"]) await say(host, all);
  assert.equal(await told(), "4 up to date");
  await lab.put("red", { subnets: [{ cidr: "10.8.0.0/16" }], dns: ["10.0.0.1"] });
  assert.equal(await told(), "4 up to date", "another network's change");
  await lab.put("blue", { ...blue, dns: ["10.0.0.1"] });
  assert.equal(await told(), "4 updating");
  const now = { revision: control.revision, policyRevision: control.revision };
  await say("h1", { ...all, ...now, policyFailed: ["a.eth0"] });
  await say("h2", { ...all, policyRevision: control.revision, networks: [], errors: ["ip link add: no"] });
  assert.equal(await told(), "1 up to date, 1 updating, 2 failed");
  const hosts = (await control.progress("blue"))?.hosts ?? [];
  assert.deepEqual(
    hosts.map(({ host, state, failed, errors }) => ({ host, state, failed, errors })),
    [
      { host: "h1", state: "up-to-date", failed: ["a.eth0"], errors: undefined },
      { host: "h2", state: "failed", failed: undefined, errors: ["ip link add: no"] },
      { host: "h3", state: "updating", failed: undefined, errors: undefined },
    ],
  );
  // Something else was refused there; the network is whole.
  await say("h2", { ...all, policyRevision: control.revision, errors: ["ip route add: no"] });
  assert.equal(await told(), "2 up to date, 1 updating, 1 failed");
  const { revision, changes, resource } = await control.write({ verb: "retry-network", name: "blue" });
  assert.deepEqual([changes.length, resource?.revision], [1, revision]);
  assert.equal(await told(), "4 updating");
  for (const host of ["h1", "h2", "h3"]) await say(host, { ...all, revision, policyRevision: revision });
  assert.equal(await told(), "4 up to date");
  await lab.put("blue", blue);
  lab.time.now += 3_600_000;
  await say("h1", { ...all, revision });
  assert.equal(await told(), "2 updating, 2 outdated");
  await assert.rejects(control.write({ verb: "retry-network", name: "none" }), /no network "none"/);
  assert.equal(await control.progress("none"), undefined);
});

// Rights by clusters of hosts: to their hosts, to what is for them, and to make something for them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Lab, Reader, openLab, sorted, v4 } from "../lab.ts";
import { as, callerOf, give, people, put, tried } from "./lab.ts";

/** h1 is in east, h2 in west. */
async function labWithClusters(): Promise<Lab> {
  const lab = await openLab();
  await people(lab.control);
  for (const n of [1, 2]) await lab.join(n);
  for (const [name, rack] of [
    ["east", "r1"],
    ["west", "r2"],
  ] as const)
    await lab.control.write({ verb: "put", kind: "hostcluster", name, spec: { selector: `rack=${rack}` } });
  await label(lab, "h1", "r1");
  await label(lab, "h2", "r2");
  return lab;
}

const label = (lab: Lab, host: string, rack: string) =>
  lab.control.write({ verb: "set-host", host, settings: { labels: { rack } } });
const hostsSeen = async (lab: Lab) => (await lab.control.list("host", as("ann"))).items.map(({ name }) => name);
const drain = (host: string) => ({ verb: "drain", host, drained: true });

test("a rule for a cluster gives its hosts, as they are in it now", async () => {
  const lab = await labWithClusters();
  const ann = callerOf("ann");
  assert.deepEqual(await hostsSeen(lab), []);
  assert.equal(await tried(lab.control, ann, drain("h1")), "host-unknown");
  await give(lab, "ann", { kinds: ["host"], hostcluster: "east" }, "use", "manage");
  assert.deepEqual(await hostsSeen(lab), ["h1"]);
  assert.equal(await tried(lab.control, ann, drain("h1")), "done");
  assert.equal(await tried(lab.control, ann, drain("h2")), "host-unknown");
  const reader = await Reader.open(lab.control, as("ann"));
  await label(lab, "h2", "r1");
  assert.deepEqual(await hostsSeen(lab), ["h1", "h2"]);
  await assert.rejects(reader.readTo(lab.control.revision), /what the reader may see has changed/);
  await reader.close();
  assert.equal(await tried(lab.control, ann, drain("h2")), "done");
  const later = await Reader.open(lab.control, as("ann"));
  await lab.control.write({ verb: "drain", host: "h2", drained: false });
  await later.readTo(lab.control.revision);
  assert.deepEqual(later.state, sorted(await lab.snapshot(as("ann"))));
  await lab.control.write({ verb: "put", kind: "hostcluster", name: "east", spec: { hosts: ["h2"] } });
  await assert.rejects(later.readTo(lab.control.revision), /what the reader may see has changed/);
  await later.close();
  assert.deepEqual(await hostsSeen(lab), ["h2"]);
});

test("create within a cluster makes networks of that cluster, and no others", async () => {
  const lab = await labWithClusters();
  const ann = callerOf("ann");
  const network = (name: string, more: object) => put("network", name, { ...v4("10.9.0.0/24"), ...more });
  const east = { clusters: ["east"] };
  assert.equal(await tried(lab.control, ann, network("n", east)), "forbidden");
  await give(lab, "ann", { kinds: ["network", "template"], hostcluster: "east" }, "create");
  assert.equal(await tried(lab.control, ann, network("n", east)), "done");
  assert.equal(await tried(lab.control, ann, network("m", {})), "forbidden", "on every host");
  assert.equal(await tried(lab.control, ann, network("m", { clusters: ["west"] })), "forbidden");
  assert.equal(await tried(lab.control, ann, network("m", { clusters: ["east", "west"] })), "forbidden");
  assert.equal(await tried(lab.control, ann, network("m", { ...east, hosts: ["*"] })), "forbidden");
  const described = network("n", { ...east, description: "mine" });
  assert.equal(await tried(lab.control, ann, described), "done", "without a right to the cluster itself");
  await give(lab, "ann", { kinds: ["network"], hostcluster: "west" }, "create");
  assert.equal(await tried(lab.control, ann, network("m", { clusters: ["east", "west"] })), "done", "by two rules");
  const template = put("template", "t", { network: { pool: { name: "private-ipv4" }, ...east } });
  assert.equal(await tried(lab.control, ann, template), "done", "of networks in the cluster");
  const own = { verb: "instantiate", template: "t", request: { name: "made" } };
  assert.equal(await tried(lab.control, ann, own), "done");
  assert.deepEqual((await lab.control.find("network", "made", as("ann")))?.spec.clusters, ["east"]);
  await lab.control.write({ verb: "chmod", kind: "template", name: "t", mode: "uma---u--" });
  const others = (name: string, more: object) => ({
    verb: "instantiate",
    template: "t",
    request: { name, network: more },
  });
  assert.equal(await tried(lab.control, callerOf("cat"), others("cats", {})), "done", "the template says where");
  for (const clusters of [[], ["west"], ["east", "west"]])
    assert.notEqual(await tried(lab.control, callerOf("cat"), others("more", { clusters })), "done");
});

test("a network goes from one cluster to another by who has admin of both", async () => {
  const lab = await labWithClusters();
  const ann = callerOf("ann");
  await give(lab, "ann", { kinds: ["network"], all: true }, "use", "manage");
  await give(lab, "ann", { kinds: ["hostcluster"], name: "east" }, "use", "admin");
  await give(lab, "ann", { kinds: ["hostcluster"], name: "west" }, "use");
  const at = (clusters: readonly string[], more: object = {}) =>
    put("network", "n", { ...v4("10.9.0.0/24"), ...(clusters.length === 0 ? {} : { clusters }), ...more });
  await lab.control.write(at(["west"]) as never);
  assert.equal(await tried(lab.control, ann, at(["east"])), "forbidden", "away from west");
  assert.equal(await tried(lab.control, ann, at(["east"], { hosts: ["h1"] })), "forbidden");
  await lab.control.write(at(["east"]) as never);
  assert.equal(await tried(lab.control, ann, at(["east"], { hosts: ["h1"] })), "done", "what is of east alone");
  assert.equal(await tried(lab.control, ann, at(["west"])), "forbidden", "into west");
  assert.equal(await tried(lab.control, ann, at(["east", "west"])), "forbidden");
  assert.equal(await tried(lab.control, ann, at([])), "forbidden", "onto every host");
  await give(lab, "ann", { kinds: ["hostcluster"], name: "west" }, "admin");
  assert.equal(await tried(lab.control, ann, at(["west"])), "done");
});
